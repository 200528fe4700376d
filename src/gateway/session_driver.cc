#include "gateway/session_driver.h"

namespace sluice::gateway {
namespace {

// An empty `elicitation` means forms (MCP 2025-11-25 "Elicitation: Capabilities").
bool asks_by_form(const mcp::RequestContext& context) {
  if (context.revision < mcp::Revision::k2025_06_18) return false;  // it knows no such thing
  const Json* elicitation = find_member(context.client_capabilities, "elicitation");
  return elicitation && elicitation->is_object() && (elicitation->empty() || elicitation->contains("form"));
}

}  // namespace

std::shared_ptr<SessionDriver> SessionDriver::create(const mcp::ServerProfile& profile, mcp::Scope scope,
                                                     Dispatcher& dispatcher, Caller caller, Send send) {
  std::shared_ptr<SessionDriver> driver(
      new SessionDriver(profile, scope, dispatcher, std::move(caller), std::move(send)));
  if (scope != mcp::Scope::kModernHttp) driver->watch_tools();  // there only a listen hears of anything
  return driver;
}

mcp::Step SessionDriver::feed(mcp::Message message) {
  if (const auto* response = std::get_if<mcp::Response>(&message)) take_response(*response);
  const auto* notification = std::get_if<mcp::Notification>(&message);
  const bool is_none = std::holds_alternative<mcp::Malformed>(message) ||
                       (notification && !notification->method.starts_with("notifications/"));
  mcp::Step step = session_.feed(std::move(message));
  if (step.refused == mcp::rpc::kMethodNotFound) {
    dispatcher_.count_unknown(caller_);
  } else if (is_none || step.refused == mcp::rpc::kInvalidRequest || step.refused == mcp::rpc::kInvalidParams) {
    count_malformed();
  }
  for (const mcp::OperationKey key : step.cancelled) {
    stop(key);
    send_({key, "", true, 200});
  }
  return step;
}

void SessionDriver::begin(mcp::Operation operation) {
  const mcp::OperationKey key = operation.key;
  const bool is_read = std::holds_alternative<mcp::ReadResource>(operation.body);
  if (!dispatcher_.offers(caller_, operation.method,
                          is_read ? Dispatcher::Record::kByCall : Dispatcher::Record::kHere)) {
    if (auto answer = session_.complete(key, mcp::method_not_found(operation.method))) {
      send_({key, std::move(answer->text), true, answer->http_status});
    }
    return;
  }
  if (auto* listened = std::get_if<mcp::Listen>(&operation.body)) return listen(key, std::move(listened->filter));
  if (const auto* wanted = std::get_if<mcp::Subscribe>(&operation.body)) {
    if (dispatcher_.watchable(caller_, std::span(&wanted->uri, 1)).empty()) {
      complete(key, fail(Code::kNotFound, "Resource not found"));
    } else {
      complete(key, Json::object());
    }
    return watch_again();
  }
  if (std::holds_alternative<mcp::Unsubscribe>(operation.body)) {
    complete(key, Json::object());
    return watch_again();
  }
  call(key, operation.context, std::move(operation.body));
}

void SessionDriver::call(mcp::OperationKey key, const mcp::RequestContext& context, mcp::OperationBody body) {
  Dispatcher::Progress progress;
  if (context.wants_progress) {
    progress = [weak = weak_from_this(), key](double done, double total, const std::string& message) {
      const auto self = weak.lock();
      if (!self || self->closed_) return;
      if (auto text = self->session_.progress(key, done, total, message)) {
        self->send_({key, *std::move(text), false, 200});
      }
    };
  }
  Caller caller = caller_;
  caller.can_ask_user = asks_by_form(context);
  if (caller.can_ask_user && context.era() == mcp::Era::kLegacy) caller.ask_user = asker(key);
  calls_[key] = dispatcher_.call(caller, std::move(body), std::move(progress),
                                 [weak = weak_from_this(), key](Result<Json> outcome) {
                                   if (const auto self = weak.lock()) self->complete(key, std::move(outcome));
                                 });
}

AskUser SessionDriver::asker(mcp::OperationKey key) {
  return [weak = weak_from_this(), key](Json params, std::function<void(Json)> answered) -> std::function<void()> {
    const auto self = weak.lock();
    if (!self || self->closed_) return {};
    const mcp::RequestId id(++self->last_question_);
    self->questions_.emplace(id, Question{key, std::move(answered)});
    self->send_({key, mcp::write_request(id, "elicitation/create", std::move(params)), false, 200});
    return [weak, key, id] {
      const auto still = weak.lock();
      if (!still || still->closed_ || still->questions_.erase(id) == 0) return;
      still->send_(
          {key, mcp::write_notification("notifications/cancelled", {{"requestId", id.to_json()}}), false, 200});
    };
  };
}

// What nobody asked for is dropped, and so is the answer to what was asked on a stream that is over.
void SessionDriver::take_response(const mcp::Response& response) {
  const auto found = response.id && !closed_ ? questions_.find(*response.id) : questions_.end();
  if (found == questions_.end()) return;
  const auto answered = std::move(found->second.answered);
  questions_.erase(found);
  answered(response.is_error ? Json(nullptr) : response.body);
}

void SessionDriver::watch_tools() {
  if (tools_watch_) return;
  tools_watch_ = dispatcher_.watch_tools([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->closed_) return;
    for (mcp::Notice& notice : self->session_.notify({mcp::Change::What::kToolList, ""})) {
      self->send_({notice.stream, std::move(notice.text), false, 200});
    }
  });
}

void SessionDriver::listen(mcp::OperationKey key, mcp::SubscriptionFilter filter) {
  if (filter.tools_list_changed) watch_tools();
  filter.resources = dispatcher_.watchable(caller_, filter.resources);
  if (auto acknowledgement = session_.accept_listen(key, filter)) {
    send_({key, *std::move(acknowledgement), false, 200});
  }
  watch_again();
}

void SessionDriver::complete(mcp::OperationKey key, Result<Json> outcome) {
  if (closed_) return;
  calls_.erase(key);
  // Nothing to write for a cancelled one: its end was sent when it was cancelled.
  if (auto answer = session_.complete(key, std::move(outcome))) {
    send_({key, std::move(answer->text), true, answer->http_status});
  }
}

void SessionDriver::watch_again() {
  subscription_.reset();
  const std::set<std::string> watched = session_.watched();
  if (watched.empty() || closed_) return;
  auto subscription =
      dispatcher_.subscribe(caller_, {watched.begin(), watched.end()}, [weak = weak_from_this()](std::string_view uri) {
        const auto self = weak.lock();
        if (!self || self->closed_) return;
        for (mcp::Notice& notice : self->session_.notify({mcp::Change::What::kResource, std::string(uri)})) {
          self->send_({notice.stream, std::move(notice.text), false, 200});
        }
      });
  if (subscription) subscription_ = *std::move(subscription);
}

void SessionDriver::stop(mcp::OperationKey key) {
  if (const auto found = calls_.find(key); found != calls_.end()) {
    found->second->request_stop();
    calls_.erase(found);
  } else {
    watch_again();  // a listen ended
  }
}

void SessionDriver::cancel(mcp::OperationKey key) {
  if (!closed_ && session_.cancel(key)) stop(key);
}

void SessionDriver::close() {
  if (closed_) return;
  closed_ = true;
  for (const mcp::OperationKey key : session_.close()) {
    if (const auto found = calls_.find(key); found != calls_.end()) found->second->request_stop();
  }
  calls_.clear();
  questions_.clear();
  subscription_.reset();
  tools_watch_.reset();
}

}  // namespace sluice::gateway

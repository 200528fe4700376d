#include "gateway/session_driver.h"

namespace sluice::gateway {
namespace {

// An empty `elicitation` means forms (MCP 2025-11-25 "Elicitation: Capabilities").
bool asks_by_form(const mcp::RequestContext& context) {
  if (context.era() != mcp::Era::kModern) return false;
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
  mcp::Step step = session_.feed(std::move(message));
  for (const mcp::OperationKey key : step.cancelled) {
    stop(key);
    send_({key, "", true, 200});
  }
  return step;
}

void SessionDriver::begin(mcp::Operation operation) {
  const mcp::OperationKey key = operation.key;
  if (!dispatcher_.offers(caller_, operation.method)) {
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
  calls_[key] = dispatcher_.call(caller, std::move(body), std::move(progress),
                                 [weak = weak_from_this(), key](Result<Json> outcome) {
                                   if (const auto self = weak.lock()) self->complete(key, std::move(outcome));
                                 });
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
  subscription_.reset();
  tools_watch_.reset();
}

}  // namespace sluice::gateway

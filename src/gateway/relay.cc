// The client's side of the relay. The server's: relay_server.cc.
#include "gateway/relay.h"

#include <fmt/format.h>

#include "base/json_spelling.h"
#include "gateway/era_messages.h"
#include "gateway/relay_rules.h"
#include "gateway/upstream_call.h"

namespace sluice::gateway {
namespace {

mcp::RpcError invalid_params(std::string message) { return {mcp::rpc::kInvalidParams, std::move(message), nullptr}; }

}  // namespace

std::shared_ptr<Relay> Relay::create(Deps deps) {
  std::shared_ptr<Relay> relay(new Relay(std::move(deps)));
  // Its tools are fetched like anything else; what answers after the relay is gone finds nobody.
  return relay;
}

Relay::Relay(Deps deps)
    : deps_(std::move(deps)),
      tools_({deps_.clock, deps_.pins, deps_.name, deps_.first,
              [this](Json params, std::function<void(Answered)> done) {
                const auto told = done;
                if (send("tools/list", std::move(params), {std::move(done), {}, {}, false})) return;
                told({{}, true, {{"code", mcp::rpc::kInternalError}, {"message", "the server cannot be asked"}}});
              },
              deps_.over_http, [this] { return deps_.pin_mode.value_or(deps_.policy.pins(deps_.caller)); },
              [this](std::string_view text) { note(text); }, [this] { tell_of_list(); }, deps_.lane}),
      tasks_(deps_.entropy, deps_.clock),
      hears_(!deps_.over_http) {}

void Relay::tell_of_list() const {
  if (!deps_.listed) return;
  std::set<std::string, std::less<>> names;
  for (const auto& tool : tools_.all()) names.insert(tool->name);
  deps_.listed(deps_.caller, names);
}

void Relay::note(std::string_view text) {
  if (notices_ > kMaxNotices) return;
  deps_.notice(++notices_ > kMaxNotices ? "and more of the like, which is not said" : text);
}

bool Relay::is_open(std::string_view method) const {
  return deps_.policy.judge_method(deps_.caller, governing_method(method)).allow;
}

bool Relay::is_pending(const mcp::RequestId& id, std::uint64_t serial) const {
  const auto found = requests_.find(id);
  return !closed_ && found != requests_.end() && found->second.serial == serial;
}

void Relay::end_request(const mcp::RequestId& id, const std::function<std::string(const mcp::RequestId&)>& write,
                        int error) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  const mcp::RequestId shown = found->second.shown;
  requests_.erase(found);
  if (!closed_) deps_.to_client({write(shown), id, true, error});
}

void Relay::answer(const mcp::RequestId& id, Json result) {
  end_request(
      id, [&](const mcp::RequestId& shown) { return mcp::write_result(shown, std::move(result)); }, 0);
}

void Relay::refuse(const mcp::RequestId& id, const mcp::RpcError& error) {
  end_request(
      id, [&](const mcp::RequestId& shown) { return mcp::write_error(shown, error); }, error.code);
}

void Relay::refuse(const mcp::RequestId& id, const Error& error) {
  const auto found = requests_.find(id);
  const bool modern = found != requests_.end() && found->second.modern;
  refuse(id, mcp::map_error(error, modern ? mcp::Era::kModern : mcp::Era::kLegacy));
}

void Relay::refuse_raw(const mcp::RequestId& id, Json error) {
  const Json* code = find_member(error, "code");
  const int number = code && code->is_number_integer() ? code->get<int>() : mcp::rpc::kInternalError;
  end_request(
      id, [&](const mcp::RequestId& shown) { return mcp::write_raw_error(shown, std::move(error)); }, number);
}

void Relay::take(std::string_view line) { take(mcp::parse_spelled_message(line), std::nullopt); }

void Relay::take(mcp::Message message, std::optional<mcp::RequestId> as) {
  if (closed_) return;
  if (auto* request = std::get_if<mcp::Request>(&message)) {
    const mcp::RequestId id = as ? *std::move(as) : request->id;
    return on_request(std::move(*request), id);
  }
  if (auto* response = std::get_if<mcp::Response>(&message)) return on_response(std::move(*response));
  if (auto* notification = std::get_if<mcp::Notification>(&message)) return on_notification(std::move(*notification));
  const auto& malformed = std::get<mcp::Malformed>(message);
  count_malformed();
  if (!malformed.is_notification) deps_.to_client({mcp::write_error(malformed.id, malformed.error)});
}

void Relay::too_long() {
  count_malformed();
  deps_.to_client(
      {mcp::write_error(std::nullopt, {mcp::rpc::kInvalidRequest, "the message is larger than the limit", nullptr})});
}

void Relay::on_request(mcp::Request request, const mcp::RequestId& id) {
  if (requests_.contains(id)) {
    // A10. The one in flight goes on under its id.
    count_malformed();
    deps_.to_client(
        {mcp::write_error(request.id, {mcp::rpc::kInvalidRequest, "this id is already in flight", nullptr})});
    return;
  }
  const bool modern = is_modern_request(request.params);
  requests_[id] = {++last_serial_, request.id, modern, {}, nullptr, nullptr};
  request.id = id;
  if (requests_.size() > kMaxInFlight) {
    return refuse(id, {mcp::rpc::kInternalError, "too many requests are in flight; try again", nullptr});
  }
  if (server_gone_) return refuse(id, {mcp::rpc::kInternalError, "the server has ended", nullptr});
  if (modern && is_removed(request.method)) {
    count_unknown();
    return refuse(id, mcp::method_not_found(request.method));
  }
  if (request.method == "initialize" && initialized_) {
    return refuse(id, {mcp::rpc::kInvalidRequest, "this session is initialized already", nullptr});
  }
  // Where there are none it is a method like any other that no policy knows.
  const bool has_tasks = offers_tasks_ || !tasks_.is_empty() || is_open(request.method);
  if (is_task_method(request.method) && has_tasks) return call_task(std::move(request));
  const std::string governing(governing_method(request.method));
  const bool has_record = request.method != "tools/list" && !is_plain(request.method);
  if (!deps_.dispatcher.offers(deps_.caller, governing,
                               has_record ? Dispatcher::Record::kByCall : Dispatcher::Record::kHere)) {
    return refuse(id, mcp::method_not_found(request.method));
  }
  const bool handshake =
      request.method == "initialize" || request.method == "ping" || request.method == "server/discover";
  if (const auto until = handshake ? std::nullopt : deps_.dispatcher.shut_out_until(deps_.caller);
      until && request.method != "tools/call") {
    return refuse(id, Error{Code::kRefused, "[POLICY DENIED] too many calls were denied; nothing is answered before " +
                                                iso8601_ms(*until)});
  }
  tasks_.hide_related(request.params);
  if (request.method == "subscriptions/listen") tasks_.hide_listened(request.params);
  if (request.method == "initialize") offers_form_ = offers_form(request.params);
  close_request(request.method, request.params, [this](std::string_view method) { return is_open(method); });
  if (request.method == "tools/list") return list_tools(std::move(request));
  if (request.method == "tools/call") return call_tool(std::move(request), false);
  if (is_plain(request.method)) return pass_on(std::move(request));
  auto call = std::make_shared<UpstreamCall>(weak_from_this(), id, request.method, request.params, nullptr);
  begin_call(id, std::move(call), request.params);
}

void Relay::list_tools(mcp::Request request) {
  if (find_member(request.params, "cursor")) {
    return refuse(request.id, invalid_params("`cursor` is not valid"));  // the list is whole
  }
  const auto freshness =
      tools_.is_kept(tells_of_tools_ && hears_) ? UpstreamTools::Freshness::kKept : UpstreamTools::Freshness::kNew;
  const std::uint64_t serial = requests_[request.id].serial;
  tools_.want(freshness, connection_meta(request.params),
              [this, id = request.id, serial](const UpstreamTools::Failure& failure) {
                if (!is_pending(id, serial)) return;
                if (failure) return refuse_raw(id, *failure);
                std::vector<std::string> shown;
                const std::string& result = tools_.list_text([&](const UpstreamTool& tool) {
                  if (!shows(tool)) return false;
                  shown.push_back(tool.name);
                  return true;
                });
                shown_ = std::move(shown);
                end_request(
                    id, [&](const mcp::RequestId& as) { return mcp::write_result_text(as, result); }, 0);
              });
}

void Relay::call_tool(mcp::Request request, bool refreshed) {
  const Json* name = find_member(request.params, "name");
  const Json* arguments = find_member(request.params, "arguments");
  if (!name || !name->is_string()) {
    count_malformed();
    return refuse(request.id, invalid_params("`name` must be a string"));
  }
  if (request.params.contains("arguments") && (!arguments || !arguments->is_object())) {
    count_malformed();
    return refuse(request.id, invalid_params("`arguments` must be an object"));
  }
  auto tool = tools_.find(name->get_ref<const std::string&>());
  if (!tool && !refreshed) {
    const std::uint64_t serial = requests_[request.id].serial;
    const Json meta = connection_meta(request.params);
    tools_.want(UpstreamTools::Freshness::kNew, meta,
                [this, request = std::move(request), serial](const UpstreamTools::Failure& failure) mutable {
                  if (!is_pending(request.id, serial)) return;
                  if (failure) return refuse_raw(request.id, *failure);
                  call_tool(std::move(request), true);
                });
    return;
  }
  if (!tool) {
    count_unknown();
    return refuse(request.id, deps_.dispatcher.unknown_tool(prefix_ + name->get_ref<const std::string&>()));
  }
  auto call =
      std::make_shared<UpstreamCall>(weak_from_this(), request.id, request.method, request.params, std::move(tool));
  begin_call(request.id, std::move(call), request.params);
}

// Open to whoever may call the tool: the server hears of nobody else's.
void Relay::call_task(mcp::Request request) {
  const bool is_list = request.method == "tasks/list";
  tasks_.hide_related(request.params);
  auto task = tasks_.named_by(request.params);
  if (!is_list && !task) {
    count_unknown();
    return refuse(request.id, invalid_params("Task not found"));
  }
  close_request(request.method, request.params, [this](std::string_view method) { return is_open(method); });
  auto call = std::make_shared<UpstreamCall>(weak_from_this(), request.id, request.method, request.params, nullptr,
                                             is_list ? nullptr : std::move(task));
  begin_call(request.id, std::move(call), request.params);
}

void Relay::begin_call(const mcp::RequestId& id, std::shared_ptr<UpstreamCall> call, const Json& params) {
  const ClientRequest& pending = requests_[id];
  const std::uint64_t serial = pending.serial;
  const bool modern = pending.modern;
  Caller caller = deps_.caller;
  caller.tool_prefix = prefix_;
  caller.can_ask_user = modern ? asks_by_form(params) : shows_form_;
  if (caller.can_ask_user && !modern) caller.ask_user = asker(id);
  mcp::Retry retry;
  if (const Json* state = find_member(params, "requestState"); modern && state && state->is_string()) {
    retry.request_state = state->get<std::string>();
    if (const Json* responses = find_member(params, "inputResponses")) retry.input_responses = *responses;
  }
  const Json* arguments = find_member(params, "arguments");
  const auto done = [weak = weak_from_this(), id, serial, modern, call](Result<Json> outcome) {
    const auto self = weak.lock();
    if (!self || !self->is_pending(id, serial)) return;
    if (!call->error().is_null()) return self->refuse_raw(id, call->error());
    if (!outcome) return self->refuse(id, outcome.error());
    if (modern && !call->was_answered() && !outcome->contains("resultType")) (*outcome)["resultType"] = "complete";
    self->answer(id, *std::move(outcome));
  };
  const bool wants_arguments = call->is_tool() && arguments;
  // The gate's own, while a person decides.
  Dispatcher::Progress progress;
  if (const auto report = progress_to_client(id, params, {})) {
    progress = [report](double done_so_far, double total, const std::string& message) {
      report({{"progress", done_so_far}, {"total", total}, {"message", message}});
    };
  }
  auto running = deps_.dispatcher.call(caller, call, wants_arguments ? *arguments : Json::object(), std::move(retry),
                                       std::move(progress), done);
  if (!is_pending(id, serial)) return;
  requests_[id].call = std::move(running);
  requests_[id].at = std::move(call);
}

void Relay::pass_on(mcp::Request request) {
  const mcp::RequestId id = request.id;
  const std::uint64_t serial = requests_[id].serial;
  Waiting waiting;
  waiting.done = [weak = weak_from_this(), id, serial, method = request.method](Answered answered) {
    const auto self = weak.lock();
    if (!self || !self->is_pending(id, serial)) return;
    if (answered.is_error) return self->refuse_raw(id, std::move(answered.body));
    if (is_task_result(answered.body)) {
      return self->refuse(id,
                          {mcp::rpc::kInternalError, "the server answered with a task, which this cannot be", nullptr});
    }
    self->tasks_.show_related(answered.body);
    self->shape_answer(method, id, answered.body);
    if (!self->pass_results(method, answered.body)) {
      return self->refuse(id, Error{Code::kRefused, "[POLICY DENIED] The answer is withheld"});
    }
    self->answer(id, std::move(answered.body));
  };
  waiting.progressed = progress_to_client(id, request.params, {});
  waiting.client_id = id;
  waiting.listens = request.method == "subscriptions/listen";
  const Json* wanted = waiting.listens ? find_member(request.params, "notifications") : nullptr;
  const Json* tools = wanted ? find_member(*wanted, "toolsListChanged") : nullptr;
  waiting.hears_of_tools = tools && *tools == true;
  mcp::SentKey key;
  if (!send(request.method, std::move(request.params), std::move(waiting), &key)) {
    return refuse(id, {mcp::rpc::kInternalError, "too many requests wait for this server's answers", nullptr});
  }
  if (is_pending(id, serial)) requests_[id].sent = key;
}

AskUser Relay::asker(const mcp::RequestId& about) {
  return [weak = weak_from_this(), about](Json params, std::function<void(Json)> answered) -> std::function<void()> {
    const auto self = weak.lock();
    if (!self || self->closed_) return {};
    const mcp::RequestId id(++self->last_asked_);
    self->questions_.emplace(id, std::move(answered));
    self->deps_.to_client({mcp::write_request(id, "elicitation/create", std::move(params)), about});
    return [weak, about, id] {
      const auto still = weak.lock();
      if (!still || still->closed_ || still->questions_.erase(id) == 0) return;
      still->deps_.to_client(
          {mcp::write_notification("notifications/cancelled", {{"requestId", id.to_json()}}), about});
    };
  };
}

bool Relay::take_answer(const mcp::Response& response) {
  const auto found = response.id ? questions_.find(*response.id) : questions_.end();
  if (found == questions_.end()) return false;
  const auto answered = std::move(found->second);
  questions_.erase(found);
  answered(response.is_error ? Json(nullptr) : plain_json(response.body));
  return true;
}

void Relay::on_response(mcp::Response response) {
  if (take_answer(response)) return;
  const auto found = response.id ? asked_.find(*response.id) : asked_.end();
  if (found == asked_.end()) return;  // nobody asked
  const auto [key, lists_tasks] = found->second;
  asked_.erase(found);
  if (!response.is_error && response.body.is_object()) {
    tasks_.hide_related(response.body);
    tasks_.add_clients(response.body);
    if (lists_tasks) tasks_.keep_clients(response.body);
  }
  std::optional<std::string> text;
  if (response.is_error && response.body.is_object()) {
    text = server_.refuse(key, std::move(response.body));
  } else if (!response.is_error && response.body.is_object()) {
    text = server_.answer(key, std::move(response.body));
  } else {
    text = server_.refuse(key, mcp::RpcError{mcp::rpc::kInternalError, "the client's answer is malformed", nullptr});
  }
  if (text) deps_.to_server(*std::move(text));
}

void Relay::on_notification(mcp::Notification notification) {
  if (!notification.method.starts_with("notifications/")) return count_malformed();  // A25: it runs nowhere
  if (notification.method == "notifications/cancelled") return cancel(std::move(notification.params));
  if (notification.method == "notifications/progress") {
    const Json* token = find_member(notification.params, "progressToken");
    if (!token || !server_.awaits_progress(*token)) return;
  } else if (!is_open(notification.method) ||
             (is_task_method(notification.method) && !tasks_.is_clients(notification.params))) {
    return;
  }
  tasks_.hide_related(notification.params);
  ready_ = ready_ || notification.method == "notifications/initialized";
  deps_.to_server(mcp::ClientSession::notify(notification.method, std::move(notification.params)));
}

void Relay::cancel(Json params) {
  const auto id = mcp::RequestId::from_json(params.contains("requestId") ? params["requestId"] : Json(nullptr));
  if (!id || !requests_.contains(*id)) return;
  params.erase("requestId");
  withdraw(*id, std::move(params));
  if (!closed_) deps_.to_client({"", *id, true});
}

void Relay::withdraw(const mcp::RequestId& id, Json params) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  const ClientRequest request = std::move(found->second);
  requests_.erase(found);  // it gets no answer
  if (request.call) {
    request.at->set_cancel_params(std::move(params));
    request.call->request_stop();
  } else if (request.sent) {
    waiting_.erase(request.sent);
    if (auto text = server_.cancel(request.sent, std::move(params))) deps_.to_server(*std::move(text));
  }
}

void Relay::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto& [id, request] : requests_) {
    if (request.call) request.call->request_stop();
  }
  requests_.clear();
  asked_.clear();
  questions_.clear();
}

}  // namespace sluice::gateway

// Requests and what the server needs for them. What it tells of itself: era_to_modern_notices.cc.
#include "gateway/era_to_modern.h"

#include <fmt/format.h>

#include <utility>

#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/era_messages.h"
#include "gateway/visible_text.h"

namespace sluice::gateway {
namespace {

Json error_json(int code, std::string message) { return {{"code", code}, {"message", std::move(message)}}; }

std::string named(std::string_view method) { return visible_text(utf16_prefix(method, 128)); }

}  // namespace

EraToModern::EraToModern(EraLink& link, Json discovered, const mcp::Request& hello)
    : link_(link), discovered_(std::move(discovered)) {
  if (const Json* info = find_member(hello.params, "clientInfo")) client_info_ = *info;
  if (const Json* capabilities = find_member(hello.params, "capabilities"))
    capabilities_ = without_tasks(*capabilities);
  if (Json* roots = member_of(capabilities_, "roots"); roots && roots->is_object()) roots->erase("listChanged");
  const Json* version = find_member(hello.params, "protocolVersion");
  link_.wires().hears(false);
  link_.answer(key_of(hello.id), initialize_result(discovered_, version ? *version : Json(nullptr)));
}

bool EraToModern::offers(std::string_view capability, std::string_view part) const {
  const Json* all = find_member(discovered_, "capabilities");
  const Json* one = all ? find_member(*all, capability) : nullptr;
  if (!one || part.empty()) return one != nullptr;
  const Json* said = find_member(*one, part);
  return said && *said == true;
}

Json EraToModern::with_meta(Json params) const {
  drop_protocol_meta(params);
  if (Json* meta = member_of(params, "_meta"); meta && !meta->is_object()) params.erase("_meta");
  Json& meta = params["_meta"];
  if (meta.is_null()) meta = Json::object();
  meta[std::string(era::kVersion)] = era::kModern;
  if (client_info_.is_object()) meta[std::string(era::kClientInfo)] = client_info_;
  meta[std::string(era::kCapabilities)] = capabilities_;
  if (!level_.is_null()) meta[std::string(era::kLogLevel)] = level_;
  return params;
}

void EraToModern::on_request(mcp::Request request) {
  const mcp::SentKey key = key_of(request.id);
  const std::string& method = request.method;
  if (method == "ping") return link_.answer(key, Json::object());
  if (method == "initialize") {
    return link_.refuse(key, {mcp::rpc::kInvalidRequest, "this session is initialized already", nullptr});
  }
  if (method == "logging/setLevel") return set_level(key, request.params);
  if (method == "resources/subscribe" || method == "resources/unsubscribe") {
    const Json* uri = find_member(request.params, "uri");
    if (!uri || !uri->is_string()) {
      return link_.refuse(key, {mcp::rpc::kInvalidParams, "`uri` must be a string", nullptr});
    }
    const std::string& text = uri->get_ref<const std::string&>();
    return method == "resources/subscribe" ? subscribe(key, text) : unsubscribe(key, text);
  }
  if (is_task_method(method) || method == "server/discover" || method == "subscriptions/listen") {
    return link_.refuse(key, mcp::method_not_found(method));
  }
  for (const char* name : {"inputResponses", "requestState", "task"}) request.params.erase(name);
  Call& call = calls_[key];
  call.method = std::move(request.method);
  call.params = with_meta(std::move(request.params));
  send(key);
}

void EraToModern::send(mcp::SentKey key) {
  Call& call = calls_.at(key);
  Json params = call.params;
  if (!call.answers.empty()) params["inputResponses"] = std::exchange(call.answers, Json::object());
  if (!call.state.is_null()) params["requestState"] = std::exchange(call.state, nullptr);
  call.own = link_.next();
  const std::string method = call.method;
  link_.ask(method, std::move(params),
            [this, key](EraLink::Answered answered) { on_answer(key, std::move(answered)); });
}

void EraToModern::on_answer(mcp::SentKey key, EraLink::Answered answered) {
  const auto found = calls_.find(key);
  if (found == calls_.end()) return;
  found->second.own = {};
  const Json* type = answered.is_error ? nullptr : find_member(answered.body, "resultType");
  if (type && *type == "input_required") return ask_client(key, answered.body);
  if (type && *type != "complete") return give_up(key, "the server's answer is of a kind that only 2026-07-28 has");
  end_call(key, std::move(answered));
}

void EraToModern::end_call(mcp::SentKey key, EraLink::Answered answered) {
  const auto found = calls_.find(key);
  const Call call = std::move(found->second);
  calls_.erase(found);
  if (answered.is_error) return link_.pass_error(key, std::move(answered));
  if (call.method == "tools/list") shape_tools(answered.body);
  const Json* name = call.method == "tools/call" ? find_member(call.params, "name") : nullptr;
  make_legacy_result(answered.body, name && name->is_string() && wrapped_.contains(name->get<std::string>()));
  link_.answer(key, std::move(answered.body));
}

void EraToModern::give_up(mcp::SentKey key, std::string why) {
  end_call(key, {{}, true, error_json(mcp::rpc::kInternalError, std::move(why)), false});
}

void EraToModern::shape_tools(Json& result) {
  constexpr std::size_t kMost = 100'000;
  Json* tools = member_of(result, "tools");
  if (!tools || !tools->is_array()) return;
  Json kept = Json::array();
  for (Json& one : *tools) {
    auto tool = tool_without_tasks(std::move(one));
    if (!tool) continue;
    const Json* name = find_member(*tool, "name");
    Json* output = member_of(*tool, "outputSchema");
    const bool wrap = output && !output->is_null() && !is_object_schema(*output);
    if (wrap) *output = wrap_schema(std::move(*output));
    if (name && name->is_string()) {
      if (!wrap) wrapped_.erase(name->get<std::string>());
      if (wrap && wrapped_.size() < kMost) wrapped_.insert(name->get<std::string>());
    }
    kept.push_back(*std::move(tool));
  }
  *tools = std::move(kept);
}

// --- what the server needs ---

void EraToModern::ask_client(mcp::SentKey key, const Json& result) {
  Call& call = calls_.at(key);
  const Json* inputs = find_member(result, "inputRequests");
  const Json* state = find_member(result, "requestState");
  const bool good = (!inputs || inputs->is_object()) && (!state || state->is_string()) && (inputs || state);
  if (!good || !may_need_input(call.method)) return give_up(key, "the server's answer is malformed");
  if (state && state->get_ref<const std::string&>().size() > kMaxState) {
    return give_up(key, fmt::format("the server's state is longer than {} KiB", kMaxState >> 10));
  }
  if (inputs && inputs->size() > kMaxInputs) return give_up(key, "the server asks for too much at once");
  if (++call.rounds > kMaxRounds) return give_up(key, fmt::format("the server asks for more {} times", kMaxRounds));
  call.state = state ? *state : Json(nullptr);
  struct Question {
    std::string name, method;
    Json params;
  };
  std::vector<Question> questions;
  const Json none = Json::object();
  for (const auto& [name, input] : (inputs ? *inputs : none).items()) {
    const Json* method = find_member(input, "method");
    const Json* params = find_member(input, "params");
    const std::string asks = method && method->is_string() ? method->get<std::string>() : "";
    if (asks != "elicitation/create" && asks != "sampling/createMessage" && asks != "roots/list") {
      return give_up(key, "the server asks for something unknown");
    }
    Json given = params && params->is_object() ? *params : Json::object();
    if (missing_capability(capabilities_, asks, given)) {
      return give_up(key, fmt::format("the server asks for {}, which the client cannot do", asks));
    }
    questions.push_back({name, asks, std::move(given)});
  }
  if (questions.empty()) return send(key);
  for (Question& one : questions) {
    const mcp::RequestId id("bridge-" + std::to_string(++last_asked_));
    const Json* mode = find_member(one.params, "mode");
    // Which 2025-11-25 requires, and 2026-07-28 does not have.
    if (mode && *mode == "url") one.params["elicitationId"] = id.to_json();
    one.params.erase("_meta");
    call.asked[id] = {one.name, one.method};
    asked_[id] = key;
    one.name = id.to_json().get<std::string>();
  }
  for (Question& one : questions) {  // an answer may come from within
    if (asked_.contains(mcp::RequestId(one.name))) {
      link_.ask_relay(mcp::RequestId(one.name), one.method, std::move(one.params), key);
    }
  }
}

void EraToModern::on_response(mcp::Response response) {
  const auto asked = response.id ? asked_.find(*response.id) : asked_.end();
  if (asked == asked_.end()) return;
  const mcp::SentKey key = asked->second;
  asked_.erase(asked);
  const auto found = calls_.find(key);
  if (found == calls_.end()) return;
  Call& call = found->second;
  const auto question = call.asked.find(*response.id);
  const auto [name, method] = question->second;
  call.asked.erase(question);
  if (!response.is_error && response.body.is_object()) {
    drop_protocol_meta(response.body);
    call.answers[name] = std::move(response.body);
  } else if (method == "elicitation/create") {
    call.answers[name] = {{"action", "cancel"}};  // an answer cannot be an error in 2026-07-28
  } else {
    withdraw(call);
    return give_up(key, fmt::format("the client refuses {}, for which the server asks", named(method)));
  }
  if (call.asked.empty()) send(key);
}

void EraToModern::withdraw(const Call& call) {
  for (const auto& [id, question] : call.asked) {
    asked_.erase(id);
    link_.notify("notifications/cancelled", {{"requestId", id.to_json()}});
  }
}

void EraToModern::on_notification(mcp::Notification notification) {
  if (notification.method == "notifications/initialized") {
    ready_ = true;
    return listen();
  }
  if (notification.method != "notifications/cancelled") return;  // of the rest the modern era knows nothing
  const mcp::SentKey key = key_of(notification.params.value("requestId", Json(nullptr)));
  const auto found = calls_.find(key);
  if (found == calls_.end()) return;
  const Call call = std::move(found->second);
  calls_.erase(found);
  withdraw(call);
  notification.params.erase("requestId");
  if (call.own) link_.drop(call.own, with_meta(std::move(notification.params)));
}

}  // namespace sluice::gateway

// Calls and what the server asks within them. Subscriptions, log messages: era_to_legacy_notices.cc.
#include "gateway/era_to_legacy.h"

#include <utility>

#include "base/json_spelling.h"
#include "gateway/credential.h"
#include "gateway/era_messages.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kNoSuchState = "this requestState is unknown here, was used, or has expired";

bool may_be_asked(std::string_view method) {
  return method == "sampling/createMessage" || method == "elicitation/create" || method == "roots/list";
}

// What a retry must have in common with the request that it repeats.
std::string digest_of(const std::string& method, const Json& params) {
  std::map<std::string, Json> members(params.get_ref<const Json::object_t&>().begin(),
                                      params.get_ref<const Json::object_t&>().end());
  members.erase("_meta");
  Json asked = Json::object();
  for (auto& [name, value] : members) asked[name] = std::move(value);
  return credential_hash(method + "\n" + dump_spelled_json(asked));
}

Json version_error(const Json& asked) {
  Json error{{"code", mcp::rpc::kUnsupportedVersion}, {"message", "Unsupported protocol version"}};
  error["data"] = {{"supported", Json::array({era::kModern})}, {"requested", asked}};
  return error;
}

// The answers to -32042, which need no state: whether the person declined.
bool is_declined(const Json& responses) {
  if (!responses.is_object()) return false;
  for (const auto& [name, response] : responses.items()) {
    const Json* action = find_member(response, "action");
    if (action && *action != "accept") return true;
  }
  return false;
}

}  // namespace

EraToLegacy::EraToLegacy(EraLink& link, Json initialized) : link_(link), initialized_(std::move(initialized)) {}

bool EraToLegacy::offers(std::string_view capability, std::string_view part) const {
  const Json* all = find_member(initialized_, "capabilities");
  const Json* one = all ? find_member(*all, capability) : nullptr;
  if (!one || part.empty()) return one != nullptr;
  const Json* said = find_member(*one, part);
  return said && *said == true;
}

void EraToLegacy::on_request(mcp::Request request) {
  const mcp::SentKey key = key_of(request.id);
  const Json* version = meta_member(request.params, era::kVersion);
  if (!version) {
    return link_.refuse(key, {mcp::rpc::kInvalidRequest, "this connection has begun in 2026-07-28 already", nullptr});
  }
  if (*version != era::kModern) return link_.refuse_raw(key, version_error(plain_json(*version)));
  if (is_removed(request.method) || is_task_method(request.method))
    return link_.refuse(key, mcp::method_not_found(request.method));
  if (request.method == "server/discover") return link_.answer(key, discover_result(initialized_));
  if (request.method == "subscriptions/listen") return listen(key, request.params);
  const Json* state = find_member(request.params, "requestState");
  if (state && may_need_input(request.method)) return resume(key, request.method, std::move(request.params));
  forward(key, std::move(request.method), std::move(request.params));
}

void EraToLegacy::forward(mcp::SentKey key, std::string method, Json params) {
  Call call;
  call.shown = key;
  if (const Json* responses = find_member(params, "inputResponses"); responses && is_declined(*responses)) {
    return link_.refuse(key, {mcp::rpc::kInvalidParams, "the address that the server needs was declined", nullptr});
  }
  for (const char* name : {"inputResponses", "requestState", "task"}) params.erase(name);
  const Json* capabilities = meta_member(params, era::kCapabilities);
  call.capabilities = capabilities ? *capabilities : Json::object();
  const Json* named = meta_member(params, era::kLogLevel);
  const Json level = named ? *named : Json(nullptr);
  call.level = rank_of_level(level);
  if (named && !call.level) {
    return link_.refuse(key, {mcp::rpc::kInvalidParams, "`logLevel` is not a log level", nullptr});
  }
  call.wants_progress = meta_member(params, "progressToken") != nullptr;
  call.digest = may_need_input(method) ? digest_of(method, params) : "";
  call.method = std::move(method);
  drop_protocol_meta(params);
  starting_.insert(key);
  const std::optional<int> rank = call.level;
  auto begin = [this, key, call = std::move(call), params = std::move(params)]() mutable {
    if (starting_.erase(key) != 0) send(key, std::move(call), std::move(params));
  };
  set_level(rank, level, std::move(begin));
}

void EraToLegacy::send(mcp::SentKey key, Call call, Json params) {
  const std::string method = call.method;
  call.shown = key;
  calls_.emplace(link_.next(), std::move(call));
  link_.ask(method, std::move(params), [this](EraLink::Answered answered) { on_answer(std::move(answered)); });
}

void EraToLegacy::on_answer(EraLink::Answered answered) {
  const auto found = calls_.find(answered.key);
  if (found == calls_.end()) return;
  Call& call = found->second;
  if (call.shown) {
    const Call done = std::move(call);
    calls_.erase(found);
    return finish(done.shown, done, std::move(answered));
  }
  const std::size_t size = dump_spelled_json(answered.body).size();
  if (held_ + size > kMaxHeld) {
    answered.is_error = true;
    answered.body = Json{{"code", mcp::rpc::kInternalError},
                         {"message", "the server's answer came before its questions were answered and is too long"}};
  } else {
    call.held_size = size;
    held_ += size;
  }
  call.held = std::move(answered);
}

void EraToLegacy::finish(mcp::SentKey key, const Call& call, EraLink::Answered answered) {
  if (!answered.is_error) {
    make_modern_result(call.method, answered.body);
    return link_.answer(key, std::move(answered.body));
  }
  make_modern_error(answered.body);
  if (answered.body["code"] != era::kUrlElicitationRequired) return link_.pass_error(key, std::move(answered));
  Json inputs = url_inputs(answered.body);
  if (inputs.empty() || !may_need_input(call.method)) {
    return link_.refuse(key, {mcp::rpc::kInternalError, "the server needs an address opened, and names none", nullptr});
  }
  const Json wanted{{"mode", "url"}};
  if (const auto missing = missing_capability(call.capabilities, "elicitation/create", wanted)) {
    return link_.refuse(key, {mcp::rpc::kMissingClientCapability, "the server needs an address opened",
                              Json{{"requiredCapabilities", *missing}}});
  }
  Json result = Json::object();
  result["resultType"] = "input_required";
  result["inputRequests"] = std::move(inputs);
  link_.answer(key, std::move(result));
}

// --- what the server asks ---

EraToLegacy::Calls::iterator EraToLegacy::shown_as(mcp::SentKey key) {
  auto one = calls_.begin();
  while (one != calls_.end() && one->second.shown != key) ++one;
  return one;
}

// A server on two pipes does not say within which call it asks: it must be the only one that can be meant.
EraToLegacy::Calls::iterator EraToLegacy::call_of(mcp::SentKey on) {
  if (on) {
    const auto found = calls_.find(on);
    return found != calls_.end() && may_need_input(found->second.method) ? found : calls_.end();
  }
  auto running = calls_.end(), waiting = calls_.end();
  std::size_t runs = 0, waits = 0;
  for (auto one = calls_.begin(); one != calls_.end(); ++one) {
    if (!may_need_input(one->second.method) || one->second.held) continue;
    ++(one->second.shown ? runs : waits);
    (one->second.shown ? running : waiting) = one;
  }
  if (runs == 1) return running;
  return runs == 0 && waits == 1 ? waiting : calls_.end();
}

void EraToLegacy::on_server_request(mcp::Request request, mcp::SentKey on) {
  if (request.method == "ping") return link_.to_server(mcp::write_result(request.id, Json::object()));
  const auto found = may_be_asked(request.method) ? call_of(on) : calls_.end();
  if (found == calls_.end()) return link_.refuse_server(request.id, mcp::method_not_found(request.method));
  Call& call = found->second;
  if (missing_capability(call.capabilities, request.method, request.params)) {
    return link_.refuse_server(request.id, mcp::method_not_found(request.method));
  }
  const bool full = states_.size() >= kMaxWaiting && call.state.empty();
  if (full || call.questions.size() >= kMaxQuestions) {
    return link_.refuse_server(request.id, {mcp::rpc::kInternalError, "too many questions wait for answers", nullptr});
  }
  for (const char* name : {"_meta", "task", "elicitationId"}) request.params.erase(name);
  const std::string name = "input" + std::to_string(++call.last_question);
  call.questions.push_back({std::move(request.id), name, std::move(request.method), std::move(request.params)});
  if (call.shown) ask_client(found);
}

// The request that waits is over; its call is not.
void EraToLegacy::ask_client(Calls::iterator found) {
  Call& call = found->second;
  Json result = Json::object();
  result["resultType"] = "input_required";
  for (Question& question : call.questions) {
    Json input{{"method", question.method}};
    if (!question.params.empty()) input["params"] = question.params;
    result["inputRequests"][question.name] = std::move(input);
    question.shown = true;
  }
  const std::string state = random_token(link_.wires().entropy, 32);
  call.state = credential_hash(state);
  call.until = link_.now() + kWait;
  states_[call.state] = found->first;
  result["requestState"] = state;
  link_.answer(std::exchange(call.shown, {}), std::move(result));
}

void EraToLegacy::resume(mcp::SentKey key, const std::string& method, Json params) {
  const mcp::RpcError refusal{mcp::rpc::kInvalidParams, std::string(kNoSuchState), nullptr};
  const Json state = params["requestState"];
  const Json* given = find_member(params, "inputResponses");
  const Json responses = given && given->is_object() ? *given : Json::object();
  const auto known =
      state.is_string() ? states_.find(credential_hash(state.get_ref<const std::string&>())) : states_.end();
  for (const char* name : {"inputResponses", "requestState", "task"}) params.erase(name);
  if (known == states_.end()) return link_.refuse(key, refusal);
  const auto found = calls_.find(known->second);
  if (found == calls_.end() || found->second.digest != digest_of(method, params)) return link_.refuse(key, refusal);
  states_.erase(known);
  Call& call = found->second;
  call.state.clear();
  call.shown = key;
  call.wants_progress = call.wants_progress && meta_member(params, "progressToken") != nullptr;
  const Json* capabilities = meta_member(params, era::kCapabilities);
  call.capabilities = capabilities ? *capabilities : Json::object();
  bool missing = false;
  for (auto one = call.questions.begin(); one != call.questions.end();) {
    const Json* response = one->shown ? find_member(responses, one->name) : nullptr;
    if (response && response->is_object()) {
      link_.to_server(mcp::write_result(one->id, *response));
      one = call.questions.erase(one);
    } else {
      missing = missing || !call.held;  // or it came meanwhile
      ++one;
    }
  }
  if (missing) return ask_client(found);
  if (!call.held) return;
  const Call done = std::move(call);
  held_ -= done.held_size;
  calls_.erase(found);
  finish(key, done, *done.held);
}

void EraToLegacy::let_go(Calls::iterator found, std::string_view why) {
  const mcp::SentKey own = found->first;
  const Call call = std::move(found->second);
  calls_.erase(found);
  states_.erase(call.state);
  held_ -= call.held_size;
  for (const Question& question : call.questions) {
    link_.refuse_server(question.id, {mcp::rpc::kInternalError, std::string(why), nullptr});
  }
  link_.drop(own, {{"reason", why}});
}

// --- the client's side ---

void EraToLegacy::on_response(mcp::Response) {}  // nobody asked it

void EraToLegacy::on_notification(mcp::Notification notification) {
  if (notification.method != "notifications/cancelled") return;  // there are no others of modern clients
  const mcp::SentKey key = key_of(notification.params.value("requestId", Json(nullptr)));
  if (!key || starting_.erase(key) != 0) return;
  if (listeners_.contains(key)) return leave(key);
  const auto found = shown_as(key);
  if (found == calls_.end()) return;
  const mcp::SentKey own = found->first;
  const std::vector<Question> questions = std::move(found->second.questions);
  calls_.erase(found);
  notification.params.erase("requestId");
  link_.drop(own, std::move(notification.params));
  for (const Question& question : questions) {
    link_.refuse_server(question.id, {mcp::rpc::kInternalError, "the call was cancelled", nullptr});
  }
}

void EraToLegacy::tick() {
  std::vector<mcp::SentKey> late;
  for (const auto& [own, call] : calls_) {
    if (!call.shown && call.until <= link_.now()) late.push_back(own);
  }
  for (const mcp::SentKey own : late) let_go(calls_.find(own), "nobody answered in time");
}

}  // namespace sluice::gateway

// The server's side of the relay.
#include <fmt/format.h>

#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/era_bridge.h"
#include "gateway/era_messages.h"
#include "gateway/relay.h"
#include "gateway/relay_rules.h"
#include "gateway/visible_text.h"

namespace sluice::gateway {

bool Relay::send(std::string_view method, Json params, Waiting waiting, mcp::SentKey* key) {
  if (server_gone_) return false;
  auto sent = server_.request(method, std::move(params));
  if (!sent) return false;
  if (key) *key = sent->key;
  waiting_.emplace(sent->key, std::move(waiting));
  deps_.to_server(std::move(sent->text));
  return true;
}

std::function<void(Json)> Relay::progress_to_client(const mcp::RequestId& id, const Json& params,
                                                    std::function<bool(Json&)> look) const {
  const Json* meta = find_member(params, "_meta");
  const Json* token = meta ? find_member(*meta, "progressToken") : nullptr;
  if (!token) return {};
  return [weak = weak_from_this(), id, token = *token, look = std::move(look)](Json progress) {
    const auto self = weak.lock();
    if (!self || self->closed_ || (look && !look(progress))) return;
    Json told = Json::object();
    told["progressToken"] = token;
    for (auto& [name, value] : progress.get_ref<Json::object_t&>()) told[name] = std::move(value);
    self->deps_.to_client({mcp::write_notification("notifications/progress", std::move(told)), id});
  };
}

bool Relay::pass_results(std::string_view method, Json& value) const {
  const Decision decision = deps_.policy.judge_method(deps_.caller, governing_method(method));
  std::string rule;
  const Presenter::View view{nullptr, decision.results.get(), decision.results_observed, &rule};
  auto shown = deps_.presenter.foreign(view, std::move(value));
  if (!shown) return false;
  value = *std::move(shown);
  return true;
}

void Relay::from_server(std::string_view line, mcp::SentKey on) {
  if (closed_) return;
  mcp::ClientSession::Event event = server_.feed(line);
  if (auto* answered = std::get_if<Answered>(&event)) return on_answer(std::move(*answered));
  if (auto* progressed = std::get_if<mcp::ClientSession::Progressed>(&event)) {
    const auto found = waiting_.find(progressed->key);
    tasks_.show_related(progressed->params);
    if (found != waiting_.end() && found->second.progressed) found->second.progressed(std::move(progressed->params));
  } else if (auto* asked = std::get_if<mcp::ClientSession::Asked>(&event)) {
    on_asked(std::move(*asked), on);
  } else if (auto* withdrawn = std::get_if<mcp::ClientSession::Withdrawn>(&event)) {
    on_withdrawn(std::move(*withdrawn));
  } else if (auto* notified = std::get_if<mcp::ClientSession::Notified>(&event)) {
    on_notice(std::move(*notified), on);
  } else if (auto& ignored = std::get<mcp::ClientSession::Ignored>(event); !ignored.why.empty()) {
    note(ignored.why);
    if (ignored.answer) deps_.to_server(*std::move(ignored.answer));
  }
}

std::optional<mcp::RequestId> Relay::client_of(mcp::SentKey on) const {
  const auto found = waiting_.find(on);
  return found == waiting_.end() ? std::nullopt : found->second.client_id;
}

void Relay::lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return;
  const auto done = std::move(found->second.done);
  waiting_.erase(found);
  (void)server_.cancel(key);  // forgotten; there is nobody to be told
  Json body{{"code", error.code}, {"message", error.message}};
  if (!error.data.is_null()) body["data"] = error.data;
  done({key, true, std::move(body), unsent});
}

void Relay::session_lost() {
  initialized_ = ready_ = tells_of_tools_ = false;
  shown_.reset();
  asked_.clear();
  tools_.forget();
  tasks_.clear();
}

void Relay::tick() {
  if (bridge_ && !closed_) bridge_->tick();
}

void Relay::set_hearing(bool hears) {
  if (hears && !hears_) tools_.forget();
  hears_ = hears;
}

// Whose answer it was stands in what was not read: nobody shall wait for it.
void Relay::too_long_from_server() {
  note("a message of the server is longer than 64 MiB and was not taken");
  std::vector<mcp::SentKey> keys;
  for (const auto& [key, one] : waiting_) {
    if (!one.listens) keys.push_back(key);
  }
  for (const mcp::SentKey key : keys) {
    const auto found = waiting_.find(key);
    if (found == waiting_.end()) continue;
    const auto done = std::move(found->second.done);
    waiting_.erase(found);
    if (auto text = server_.cancel(key)) deps_.to_server(*std::move(text));
    done({key,
          true,
          {{"code", mcp::rpc::kInternalError}, {"message", "an answer of the server is longer than 64 MiB"}}});
  }
}

void Relay::on_answer(Answered answered) {
  const auto found = waiting_.find(answered.key);
  if (found == waiting_.end()) return;
  const auto done = std::move(found->second.done);
  waiting_.erase(found);
  done(std::move(answered));
}

void Relay::shape_answer(std::string_view method, const mcp::RequestId& id, Json& result) {
  const auto open = [this](std::string_view name) { return is_open(name); };
  if (method == "initialize" || method == "server/discover") {
    if (const auto capabilities = result.find("capabilities"); capabilities != result.end()) {
      offers_tasks_ = offers_tasks_ || offers_tasks(*capabilities);
      close_server_capabilities(*capabilities, open);
      const Json* tools = find_member(*capabilities, "tools");
      const Json* tells = tools ? find_member(*tools, "listChanged") : nullptr;
      // A modern client hears of changes where it listens; the relay itself does not.
      tells_of_tools_ = method == "initialize" && tells && *tells == true;
    }
    if (method == "initialize") {
      initialized_ = true;
      const Json* agreed = find_member(result, "protocolVersion");
      const auto revision =
          agreed && agreed->is_string() ? mcp::find_revision(agreed->get<std::string>()) : std::nullopt;
      shows_form_ = offers_form_ && revision && *revision >= mcp::Revision::k2025_06_18;
    }
    if (result.contains("cacheScope")) result["cacheScope"] = "private";
  }
  const auto meta = result.find("_meta");
  if (method != "subscriptions/listen" || meta == result.end() || !meta->is_object()) return;
  const std::string member(mcp::kSubscriptionIdMember);
  const auto request = requests_.find(id);
  if (meta->contains(member) && request != requests_.end()) (*meta)[member] = request->second.shown.to_json();
}

void Relay::on_asked(mcp::ClientSession::Asked asked, mcp::SentKey on) {
  std::optional<std::string> refused;
  if (!deps_.can_be_asked) {
    refused = server_.refuse(asked.key, mcp::method_not_found(asked.method));
  } else if (!is_open(asked.method)) {
    note("the server asks for " + visible_text(utf16_prefix(asked.method, 128)) + ", which the policy closes");
    refused = server_.refuse(asked.key, mcp::method_not_found(asked.method));
  } else if (asked.method.starts_with("tasks/") && asked.method != "tasks/list" && !tasks_.is_clients(asked.params)) {
    refused = server_.refuse(asked.key, mcp::RpcError{mcp::rpc::kInvalidParams, "Task not found", nullptr});
  } else if (!pass_results(asked.method, asked.params)) {
    note("a request of the server holds what the policy withholds");
    refused = server_.refuse(asked.key, mcp::RpcError{mcp::rpc::kInvalidParams, "this request is withheld", nullptr});
  } else {
    const mcp::RequestId id(++last_asked_);
    asked_.emplace(id, Asking{asked.key, asked.method == "tasks/list"});
    tasks_.show_related(asked.params);
    deps_.to_client({mcp::write_request(id, asked.method, std::move(asked.params)), client_of(on)});
  }
  if (refused) deps_.to_server(*std::move(refused));
}

void Relay::on_withdrawn(mcp::ClientSession::Withdrawn withdrawn) {
  for (auto one = asked_.begin(); one != asked_.end(); ++one) {
    if (one->second.key != withdrawn.key) continue;
    withdrawn.params["requestId"] = one->first.to_json();
    asked_.erase(one);
    deps_.to_client({mcp::write_notification("notifications/cancelled", std::move(withdrawn.params))});
    return;
  }
}

void Relay::on_notice(mcp::ClientSession::Notified notified, mcp::SentKey on) {
  if (notified.method == "notifications/tools/list_changed") tools_.forget();
  const auto task = is_task_method(notified.method) ? tasks_.of_server(notified.params) : nullptr;
  if (task ? barred(*task).has_value() : is_task_method(notified.method) || !is_open(notified.method)) return;
  const auto may_ask = [this](std::string_view method) { return is_open(method); };
  if (task && closed_input(task_as_result(notified.params), may_ask)) return;
  if (task && !tasks_.show(*task, notified.method, notified.params)) return;
  tasks_.show_related(notified.params);
  if (notified.method == "notifications/subscriptions/acknowledged") tasks_.show_listened(notified.params);
  if (notified.subscription) {
    const auto found = waiting_.find(notified.subscription);
    if (found == waiting_.end() || !found->second.listens) return;
    const auto request = requests_.find(*found->second.client_id);
    if (request == requests_.end()) return;
    notified.params["_meta"][std::string(mcp::kSubscriptionIdMember)] = request->second.shown.to_json();
    on = notified.subscription;
  }
  if (task) {
    std::string rule;
    auto shown = present_task(deps_.presenter, *task, notified.method, std::move(notified.params), &rule);
    if (!shown) return;
    notified.params = *std::move(shown);
  } else if (!pass_results(notified.method, notified.params)) {
    return;
  }
  deps_.to_client({mcp::write_notification(notified.method, std::move(notified.params)), client_of(on)});
}

std::optional<Decision> Relay::barred(const RelayTask& task) const {
  if (!task.tool) {
    Decision decision = deps_.policy.judge_method(deps_.caller, governing_method(task.method));
    return decision.allow ? std::nullopt : std::optional(std::move(decision));
  }
  const std::string& name = task.tool->name;
  Decision decision = deps_.policy.judge_name(deps_.caller, deps_.name.server, name, std::nullopt);
  const auto now = tools_.find(name);
  if (!decision.allow) return decision;
  if (!(now ? now->quarantined : task.tool->quarantined)) return std::nullopt;
  decision = {};
  decision.allow = false;
  decision.rule = "(quarantined)";
  decision.message = "Tool \"" + prefix_ + name + "\" is new or has changed, and nobody has accepted it yet";
  return decision;
}

bool Relay::shows(const UpstreamTool& tool) const {
  return !tool.quarantined && deps_.policy.may_see(deps_.caller, deps_.name.server, tool.name, std::nullopt);
}

void Relay::look_again() {
  tools_.check_pins([this] { compare_with_shown(); });
}

void Relay::compare_with_shown() {
  if (closed_ || !shown_) return;
  std::vector<std::string> now;
  for (const auto& tool : tools_.all()) {
    if (shows(*tool)) now.push_back(tool->name);
  }
  if (now == *shown_) return;
  tell_of_tools();
}

// Once, until somebody asks again: a legacy client whose server tells of changes, and whoever listens.
void Relay::tell_of_tools() {
  const std::string method = "notifications/tools/list_changed";
  bool told = ready_ && tells_of_tools_;
  if (told) deps_.to_client({mcp::write_notification(method, Json::object())});
  for (const auto& [key, one] : waiting_) {
    const auto request = one.hears_of_tools && one.client_id ? requests_.find(*one.client_id) : requests_.end();
    if (request == requests_.end()) continue;
    Json params = Json::object();
    params["_meta"][std::string(mcp::kSubscriptionIdMember)] = request->second.shown.to_json();
    deps_.to_client({mcp::write_notification(method, std::move(params)), one.client_id});
    told = true;
  }
  if (told) shown_.reset();
}

void Relay::server_ended() {
  if (server_gone_) return;
  server_gone_ = true;
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& [key, one] : waiting) {
    one.done({key, true, {{"code", mcp::rpc::kInternalError}, {"message", "the server has ended"}}});
  }
}

}  // namespace sluice::gateway

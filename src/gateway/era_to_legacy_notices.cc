// What a legacy server says of itself, to modern clients that want to hear it.
#include <algorithm>
#include <utility>

#include "gateway/era_messages.h"
#include "gateway/era_to_legacy.h"

namespace sluice::gateway {
namespace {

bool wants(const Json& filter, std::string_view name) {
  const Json* wanted = find_member(filter, name);
  return wanted && *wanted == true;
}

std::vector<std::string> uris_of(const Json& filter, std::size_t most) {
  std::vector<std::string> uris;
  const Json* wanted = find_member(filter, "resourceSubscriptions");
  if (!wanted || !wanted->is_array()) return uris;
  for (const Json& uri : *wanted) {
    if (!uri.is_string() || uris.size() == most) continue;
    const std::string& text = uri.get_ref<const std::string&>();
    if (std::find(uris.begin(), uris.end(), text) == uris.end()) uris.push_back(text);
  }
  return uris;
}

}  // namespace

void EraToLegacy::on_server_notification(mcp::Notification notification, mcp::SentKey on) {
  const std::string& method = notification.method;
  Json& params = notification.params;
  if (method == "notifications/progress") {
    const auto found = calls_.find(key_of(params.value("progressToken", Json(nullptr))));
    if (found == calls_.end() || !found->second.shown || !found->second.wants_progress) return;
    params["progressToken"] = found->second.shown.value;
    return link_.notify(method, std::move(params), found->second.shown);
  }
  if (method == "notifications/cancelled") {
    const auto id = mcp::RequestId::from_json(params.value("requestId", Json(nullptr)));
    for (auto& [own, call] : calls_) {
      std::erase_if(call.questions, [&](const Question& question) { return id && question.id == *id; });
    }
    return;
  }
  if (method == "notifications/message") return on_message(std::move(params), on);
  if (method == "notifications/tools/list_changed") {
    // The relay's own list is old, whoever listens.
    link_.wires().hears(false);
    link_.wires().hears(true);
    return tell_listeners(method, params, [](const Listener& one) { return one.tools; });
  }
  if (method == "notifications/prompts/list_changed") {
    return tell_listeners(method, params, [](const Listener& one) { return one.prompts; });
  }
  if (method == "notifications/resources/list_changed") {
    return tell_listeners(method, params, [](const Listener& one) { return one.resources; });
  }
  if (method != "notifications/resources/updated") return;  // the modern era has no others
  const Json* uri = find_member(params, "uri");
  if (!uri || !uri->is_string()) return;
  const std::string& changed = uri->get_ref<const std::string&>();
  tell_listeners(method, params, [&](const Listener& one) {
    return std::any_of(one.uris.begin(), one.uris.end(),
                       [&](const std::string& wanted) { return is_part_of_resource(changed, wanted); });
  });
}

// --- log messages: only for requests that want them ---

void EraToLegacy::set_level(std::optional<int> level, const Json& name, std::function<void()> then) {
  if (!level || !offers("logging")) return then();
  std::optional<int> others;
  for (const auto& [own, call] : calls_) {
    if (call.level) others = std::min(others.value_or(*call.level), *call.level);
  }
  // What another request wants to hear it still hears.
  const bool good = level_ && (others ? *level_ <= *level : *level_ == *level);
  if (good) return then();
  link_.ask("logging/setLevel", {{"level", name}}, [this, level, then = std::move(then)](EraLink::Answered answered) {
    if (!answered.is_error) level_ = level;
    then();
  });
}

void EraToLegacy::on_message(Json params, mcp::SentKey on) {
  const auto rank = rank_of_level(params.value("level", Json(nullptr)));
  if (!rank) return;
  const auto hears = [&](const Call& call) { return call.shown && call.level && *call.level <= *rank; };
  const Call* heard = nullptr;
  std::size_t count = 0;
  for (const auto& [own, call] : calls_) {
    if ((on && own != on) || !hears(call)) continue;
    heard = &call;
    ++count;
  }
  // It is of one request. Where nobody can say of which, none has it.
  if (count == 1) link_.notify("notifications/message", std::move(params), heard->shown);
}

// --- subscriptions ---

void EraToLegacy::listen(mcp::SentKey key, const Json& params) {
  const Json* filter = find_member(params, "notifications");
  if (!filter || !filter->is_object()) {
    return link_.refuse(key, {mcp::rpc::kInvalidParams, "`notifications` must be an object", nullptr});
  }
  Listener& listener = listeners_[key];
  listener.tools = wants(*filter, "toolsListChanged") && offers("tools", "listChanged");
  listener.prompts = wants(*filter, "promptsListChanged") && offers("prompts", "listChanged");
  listener.resources = wants(*filter, "resourcesListChanged") && offers("resources", "listChanged");
  const std::size_t most =
      offers("resources", "subscribe") ? kMaxSubscribed - std::min(kMaxSubscribed, subscribed_.size()) : 0;
  const auto uris = uris_of(*filter, most);
  listener.pending = uris.size();
  for (const std::string& uri : uris) {
    ++subscribed_[uri];
    link_.ask("resources/subscribe", {{"uri", uri}}, [this, key, uri](EraLink::Answered answered) {
      const auto found = listeners_.find(key);
      if (answered.is_error || found == listeners_.end()) release(uri, !answered.is_error);
      if (found == listeners_.end()) return;
      if (!answered.is_error) found->second.uris.insert(uri);
      if (--found->second.pending == 0) acknowledge(key);
    });
  }
  if (uris.empty()) acknowledge(key);
}

void EraToLegacy::acknowledge(mcp::SentKey key) {
  Listener& listener = listeners_.at(key);
  listener.acknowledged = true;
  Json agreed = Json::object();
  if (listener.tools) agreed["toolsListChanged"] = true;
  if (listener.prompts) agreed["promptsListChanged"] = true;
  if (listener.resources) agreed["resourcesListChanged"] = true;
  if (!listener.uris.empty()) agreed["resourceSubscriptions"] = listener.uris;
  Json params{{"notifications", std::move(agreed)}};
  params["_meta"][std::string(mcp::kSubscriptionIdMember)] = key.value;
  link_.notify("notifications/subscriptions/acknowledged", std::move(params), key);
}

void EraToLegacy::release(const std::string& uri, bool subscribed) {
  const auto found = subscribed_.find(uri);
  if (found == subscribed_.end() || --found->second != 0) return;
  subscribed_.erase(found);
  if (subscribed) link_.ask("resources/unsubscribe", {{"uri", uri}}, [](EraLink::Answered) {});
}

void EraToLegacy::leave(mcp::SentKey key) {
  const auto found = listeners_.find(key);
  const std::set<std::string> uris = std::move(found->second.uris);
  listeners_.erase(found);
  for (const std::string& uri : uris) release(uri, true);
}

void EraToLegacy::tell_listeners(std::string_view method, const Json& params,
                                 const std::function<bool(const Listener&)>& wants_it) {
  for (const auto& [key, listener] : listeners_) {
    if (!listener.acknowledged || !wants_it(listener)) continue;
    Json told = params;
    if (Json* meta = member_of(told, "_meta"); meta && !meta->is_object()) told.erase("_meta");
    told["_meta"][std::string(mcp::kSubscriptionIdMember)] = key.value;
    link_.notify(method, std::move(told), key);
  }
}

// Who listened is told that it is over; calls that wait for answers have nobody who would take them.
void EraToLegacy::end() {
  for (const auto& [key, listener] : std::exchange(listeners_, {})) {
    Json result{{"resultType", "complete"}};
    result["_meta"][std::string(mcp::kSubscriptionIdMember)] = key.value;
    link_.answer(key, std::move(result));
  }
  subscribed_.clear();
  states_.clear();
  calls_.clear();
  held_ = 0;
}

}  // namespace sluice::gateway

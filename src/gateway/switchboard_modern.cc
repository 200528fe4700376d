// The switchboard for clients of 2026-07-28: each request says its version and capabilities itself, so it goes to the
// server as it is; servers are discovered once, and what is listened for is heard from all of them.
#include <utility>

#include "base/json_spelling.h"
#include "gateway/era_messages.h"
#include "gateway/relay_rules.h"
#include "gateway/switchboard.h"
#include "mcp/error_map.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kUris = "resourceSubscriptions", kTaskIds = "taskIds";
constexpr std::size_t kMostNames = 256;  // of either, for one listener

std::vector<std::string> names_of(const Json& filter, std::string_view member) {
  std::vector<std::string> names;
  const Json* all = find_member(filter, member);
  if (!all || !all->is_array()) return names;
  for (const Json& one : *all) {
    if (one.is_string() && names.size() < kMostNames) names.push_back(one.get<std::string>());
  }
  return names;
}

std::vector<std::string> uris_of(const Json& filter) { return names_of(filter, kUris); }

}  // namespace

void Switchboard::on_modern(mcp::Request request, std::uint64_t serial) {
  const Json* version = meta_member(request.params, era::kVersion);
  if (!version || *version != era::kModern) {
    const Json asked = version ? plain_json(*version) : Json(nullptr);
    return refuse(serial, {mcp::rpc::kUnsupportedVersion, "Unsupported protocol version",
                           Json{{"supported", Json::array({era::kModern})}, {"requested", asked}}});
  }
  if (is_removed(request.method)) {
    deps_.unknown();
    return refuse(serial, mcp::method_not_found(request.method));
  }
  if (hello_.is_null()) {
    modern_ = true;
    hello_ = {{"_meta", connection_meta(request.params)}};
    parked_.emplace_back(std::move(request), serial);
    return begin_opening(0);
  }
  if (opening_) {
    parked_.emplace_back(std::move(request), serial);
  } else {
    route_modern(std::move(request), serial);
  }
}

void Switchboard::route_modern(mcp::Request request, std::uint64_t serial) {
  if (request.method == "server/discover") return discover(serial);
  if (request.method == "subscriptions/listen") return listen(request.params, serial);
  route(std::move(request), serial);
}

void Switchboard::discover(std::uint64_t serial) {
  Json offers = merged_offers();
  if (offers.is_null()) return refuse(serial, none_opened());
  Json result = discover_result(merged_hello());
  result["capabilities"] = std::move(offers);
  answer(serial, {false, std::move(result)});
}

// --- subscriptions ---

void Switchboard::listen(const Json& params, std::uint64_t serial) {
  const Json* filter = find_member(params, "notifications");
  if (!filter || !filter->is_object()) {
    return refuse(serial, {mcp::rpc::kInvalidParams, "`notifications` must be an object", nullptr});
  }
  bool known = true;
  for (const std::string& uri : uris_of(*filter)) known = known && owner_of(uri);
  const auto begin = [this, params, serial] {
    Listener& listener = listeners_[serial];
    listener.params = Json{{"notifications", params["notifications"]}, {"_meta", connection_meta(params)}};
    listener.silent.insert(0);  // until all were asked
    listener.until = deps_.clock.mono() + kMaxOpening;
    // Tools come and go with servers, whatever these say.
    const Json* tools = find_member(params["notifications"], "toolsListChanged");
    if (tools && *tools == true) listener.lists.insert("toolsListChanged");
    for (Lane lane = 0; lane < servers_.size(); ++lane) {
      if (servers_[lane].state == State::kReady && is_pending(serial)) listen_at(lane, serial);
    }
    heard(0, serial);
  };
  if (known) return begin();
  Json meta = connection_meta(params);
  learn_owners(Json{{"_meta", std::move(meta)}}, serial, begin);
}

// What of it this server may know: resources and tasks that are another's are none of its.
Json Switchboard::filter_for(Lane lane, const Json& filter) const {
  Json its = filter;
  Json uris = Json::array();
  for (const std::string& uri : uris_of(filter)) {
    const auto owner = owner_of(uri);
    if (!owner || *owner == lane) uris.push_back(uri);
  }
  Json tasks = Json::array();
  const auto& session = servers_[lane].session;
  for (const std::string& id : names_of(filter, kTaskIds)) {
    if (session && session->has_task(id)) tasks.push_back(id);
  }
  its.erase(std::string(kTaskIds));
  if (!tasks.empty()) its[std::string(kTaskIds)] = std::move(tasks);
  its.erase(std::string(kUris));
  if (!uris.empty()) its[std::string(kUris)] = std::move(uris);
  return its;
}

void Switchboard::listen_at(Lane lane, std::uint64_t serial) {
  Json params = listeners_.at(serial).params;
  params["notifications"] = filter_for(lane, params["notifications"]);
  const std::int64_t part = last_sent_ + 1;
  listeners_.at(serial).silent.insert(part);
  // Whatever ends it ends this part alone: the client goes on with the others.
  send(lane, "subscriptions/listen", std::move(params), serial,
       [this, part, serial](const Answer&) { heard(part, serial); });
}

// A server that opens after they began to listen.
void Switchboard::listen_for_all(Lane lane) {
  std::vector<std::uint64_t> serials;
  for (const auto& [serial, unused] : listeners_) serials.push_back(serial);
  for (const std::uint64_t serial : serials) {
    if (listeners_.contains(serial)) listen_at(lane, serial);
  }
}

void Switchboard::heard(std::int64_t part, std::uint64_t serial) {
  const auto found = listeners_.find(serial);
  if (found == listeners_.end()) return;
  found->second.silent.erase(part);
  if (found->second.silent.empty()) acknowledge(serial);
}

void Switchboard::acknowledge(std::uint64_t serial) {
  Listener& listener = listeners_.at(serial);
  if (std::exchange(listener.acknowledged, true)) return;
  Json agreed = Json::object();
  for (const std::string& name : listener.lists) agreed[name] = true;
  if (!listener.uris.empty()) agreed[std::string(kUris)] = listener.uris;
  if (!listener.tasks.empty()) agreed[std::string(kTaskIds)] = listener.tasks;
  Json params{{"notifications", std::move(agreed)}};
  params["_meta"][std::string(mcp::kSubscriptionIdMember)] = requests_.at(serial).shown.to_json();
  tell(mcp::write_notification("notifications/subscriptions/acknowledged", std::move(params)), about(serial));
}

void Switchboard::take_subscribed(mcp::Notification notification, std::int64_t part) {
  const std::uint64_t serial = sent_.at(part).serial;
  Listener& listener = listeners_.at(serial);
  if (notification.method == "notifications/subscriptions/acknowledged") {
    const Json* agreed = find_member(notification.params, "notifications");
    for (const char* name : {"toolsListChanged", "promptsListChanged", "resourcesListChanged"}) {
      const Json* one = agreed ? find_member(*agreed, name) : nullptr;
      if (one && *one == true && !listener.acknowledged) listener.lists.insert(name);
    }
    if (agreed && !listener.acknowledged) {
      for (const std::string& uri : uris_of(*agreed)) listener.uris.insert(uri);
      for (const std::string& id : names_of(*agreed, kTaskIds)) listener.tasks.insert(id);
    }
    return heard(part, serial);
  }
  if (!listener.acknowledged) return;  // what was not agreed on yet is not told
  Json& meta = notification.params["_meta"];
  if (!meta.is_object()) meta = Json::object();
  meta[std::string(mcp::kSubscriptionIdMember)] = requests_.at(serial).shown.to_json();
  tell(mcp::write_notification(notification.method, std::move(notification.params)), about(serial));
}

void Switchboard::tick_listeners() {
  std::vector<std::uint64_t> late;
  for (const auto& [serial, one] : listeners_) {
    if (!one.acknowledged && deps_.clock.mono() >= one.until) late.push_back(serial);
  }
  for (const std::uint64_t serial : late) {
    if (listeners_.contains(serial)) acknowledge(serial);
  }
}

}  // namespace sluice::gateway

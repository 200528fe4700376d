// What a modern server tells of itself, to a legacy client: the bridge listens in its place.
#include <algorithm>
#include <utility>

#include "gateway/era_messages.h"
#include "gateway/era_to_modern.h"

namespace sluice::gateway {

void EraToModern::on_server_request(mcp::Request request, mcp::SentKey) {
  link_.refuse_server(request.id, mcp::method_not_found(request.method));  // none has one in this era
}

void EraToModern::on_server_notification(mcp::Notification notification, mcp::SentKey on) {
  Json& params = notification.params;
  const auto call_of = [this](mcp::SentKey own) {
    return std::find_if(calls_.begin(), calls_.end(), [own](const auto& one) { return own && one.second.own == own; });
  };
  if (notification.method == "notifications/progress") {
    const auto found = call_of(key_of(params.value("progressToken", Json(nullptr))));
    if (found == calls_.end()) return;
    params["progressToken"] = found->first.value;
    return link_.notify(notification.method, std::move(params), found->first);
  }
  if (is_task_method(notification.method) || notification.method == "notifications/cancelled") return;
  const Json* subscription = meta_member(params, mcp::kSubscriptionIdMember);
  const mcp::SentKey own = subscription ? key_of(*subscription) : mcp::SentKey{};
  if (notification.method == "notifications/subscriptions/acknowledged") return on_acknowledged(own, params);
  if (subscription && !link_.waits(own)) return;
  drop_protocol_meta(params);
  const auto found = call_of(on);
  link_.notify(notification.method, std::move(params), found == calls_.end() ? mcp::SentKey{} : found->first);
}

void EraToModern::set_level(mcp::SentKey key, const Json& params) {
  if (!offers("logging")) return link_.refuse(key, mcp::method_not_found("logging/setLevel"));
  const Json* level = find_member(params, "level");
  if (!level || !rank_of_level(*level)) {
    return link_.refuse(key, {mcp::rpc::kInvalidParams, "`level` is not a log level", nullptr});
  }
  level_ = *level;
  link_.answer(key, Json::object());
}

// --- changes of lists ---

void EraToModern::listen() {
  Json wanted = Json::object();
  if (offers("tools", "listChanged")) wanted["toolsListChanged"] = true;
  if (offers("prompts", "listChanged")) wanted["promptsListChanged"] = true;
  if (offers("resources", "listChanged")) wanted["resourcesListChanged"] = true;
  if (wanted.empty() || stream_.own) return;
  Json params = Json::object();
  params["notifications"] = std::move(wanted);
  stream_.own = link_.next();
  stream_.acknowledged = false;
  link_.ask("subscriptions/listen", with_meta(std::move(params)), [this](EraLink::Answered) { on_listen_end(); });
}

void EraToModern::on_listen_end() {
  const auto wait = std::min<std::chrono::seconds>(kFirstRetry * (1 << std::min(stream_.failures, 5)), kLastRetry);
  stream_.own = {};
  stream_.again = link_.now() + wait;
  if (++stream_.failures > kMaxRetries) {
    link_.wires().notice("the server does not let itself be listened to; what it says of itself is not heard");
  }
  link_.wires().hears(false);
}

void EraToModern::tick() {
  if (ready_ && !stream_.own && stream_.failures > 0 && stream_.failures <= kMaxRetries &&
      stream_.again <= link_.now()) {
    listen();
  }
}

void EraToModern::on_acknowledged(mcp::SentKey own, const Json& params) {
  if (!own) return;
  const Json* agreed = find_member(params, "notifications");
  if (own == stream_.own) {
    stream_.acknowledged = true;
    stream_.failures = 0;
    const Json* tools = agreed ? find_member(*agreed, "toolsListChanged") : nullptr;
    return link_.wires().hears(tools && *tools == true);
  }
  const auto found =
      std::find_if(subscribed_.begin(), subscribed_.end(), [own](const auto& one) { return one.second.own == own; });
  if (found == subscribed_.end() || found->second.agreed) return;
  const Json* uris = agreed ? find_member(*agreed, "resourceSubscriptions") : nullptr;
  const bool good =
      uris && uris->is_array() && std::find(uris->begin(), uris->end(), Json(found->first)) != uris->end();
  const auto waiting = std::exchange(found->second.waiting, {});
  if (good) {
    found->second.agreed = true;
  } else {
    subscribed_.erase(found);
    link_.drop(own, with_meta(Json::object()));
  }
  for (const mcp::SentKey key : waiting) {
    if (good) {
      link_.answer(key, Json::object());
    } else {
      link_.refuse(key, {mcp::rpc::kInvalidParams, "the server does not tell of this resource", nullptr});
    }
  }
}

// --- resources ---

void EraToModern::subscribe(mcp::SentKey key, const std::string& uri) {
  if (!offers("resources", "subscribe")) return link_.refuse(key, mcp::method_not_found("resources/subscribe"));
  const auto found = subscribed_.find(uri);
  if (found != subscribed_.end() && found->second.agreed) return link_.answer(key, Json::object());
  if (found != subscribed_.end()) return found->second.waiting.push_back(key);
  if (subscribed_.size() >= kMaxSubscribed) {
    return link_.refuse(key, {mcp::rpc::kInternalError, "too many resources are subscribed to", nullptr});
  }
  Json params = Json::object();
  params["notifications"]["resourceSubscriptions"] = Json::array({uri});
  subscribed_[uri] = {link_.next(), {key}, false};
  link_.ask("subscriptions/listen", with_meta(std::move(params)), [this, uri](EraLink::Answered answered) {
    const auto ended = subscribed_.find(uri);
    if (ended == subscribed_.end() || ended->second.own != answered.key) return;
    const Subscription over = std::move(ended->second);
    subscribed_.erase(ended);
    if (over.agreed) link_.wires().notice("the server has ended a subscription to a resource");
    for (const mcp::SentKey waiting : over.waiting) {
      const Json refusal{{"code", mcp::rpc::kInvalidParams}, {"message", "the server does not tell of this resource"}};
      link_.refuse_raw(waiting, answered.is_error ? answered.body : refusal);
    }
  });
}

void EraToModern::unsubscribe(mcp::SentKey key, const std::string& uri) {
  if (!offers("resources", "subscribe")) return link_.refuse(key, mcp::method_not_found("resources/unsubscribe"));
  if (const auto found = subscribed_.find(uri); found != subscribed_.end()) {
    const Subscription over = std::move(found->second);
    subscribed_.erase(found);
    link_.drop(over.own, with_meta(Json::object()));
    for (const mcp::SentKey waiting : over.waiting) {
      link_.refuse(waiting, {mcp::rpc::kInternalError, "it was unsubscribed from meanwhile", nullptr});
    }
  }
  link_.answer(key, Json::object());
}

}  // namespace sluice::gateway

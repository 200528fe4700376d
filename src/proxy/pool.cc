#include "proxy/pool.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kEmptyRoutes = 64;  // kept without a connection: a route in use comes back at once

}  // namespace

UpstreamConnectionPtr Pool::take(const std::string& route_key, MonoTime now, net::Look look) {
  const auto entry = by_route_.find(route_key);
  if (entry == by_route_.end()) return nullptr;
  while (!entry->second.empty()) {
    const Order::iterator newest = entry->second.back();
    entry->second.pop_back();
    UpstreamConnectionPtr connection = std::move(*newest);
    spare_.splice(spare_.end(), order_, newest);
    if (now - connection->idle_since > idle_) continue;
    if (connection->stream->is_quiet(look)) return connection;
  }
  return nullptr;
}

void Pool::put(UpstreamConnectionPtr connection, MonoTime now) {
  if (capacity_ == 0) return;
  if (order_.size() >= capacity_) forget(order_.begin());
  connection->idle_since = now;
  connection->stream->clear_deadline();
  auto& of_route = by_route_[connection->route_key];
  if (spare_.empty()) spare_.emplace_back();
  const Order::iterator node = spare_.begin();
  *node = std::move(connection);
  order_.splice(order_.end(), spare_, node);
  of_route.push_back(node);
}

bool Pool::has(const std::string& route_key) const {
  const auto entry = by_route_.find(route_key);
  return entry != by_route_.end() && !entry->second.empty();
}

void Pool::forget(Order::iterator at) {
  const auto entry = by_route_.find((*at)->route_key);
  std::erase(entry->second, at);
  order_.erase(at);
}

void Pool::expire(MonoTime now) {
  while (!order_.empty() && now - order_.front()->idle_since > idle_) forget(order_.begin());
  if (by_route_.size() > order_.size() + kEmptyRoutes) {
    std::erase_if(by_route_, [](const auto& entry) { return entry.second.empty(); });
    spare_.clear();
  }
}

void Pool::clear() {
  by_route_.clear();
  order_.clear();
}

}  // namespace sluice::proxy

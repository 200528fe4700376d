#include "proxy/pool.h"

namespace sluice::proxy {
UpstreamConnectionPtr Pool::take(const std::string& route_key, MonoTime now) {
  for (;;) {
    const auto entry = by_route_.find(route_key);
    if (entry == by_route_.end()) return nullptr;
    const Order::iterator newest = entry->second.back();
    entry->second.pop_back();
    if (entry->second.empty()) by_route_.erase(entry);
    UpstreamConnectionPtr connection = std::move(*newest);
    order_.erase(newest);
    if (now - connection->idle_since > idle_) continue;
    if (connection->stream->is_quiet()) return connection;
  }
}

void Pool::put(UpstreamConnectionPtr connection, MonoTime now) {
  if (capacity_ == 0) return;
  if (order_.size() >= capacity_) forget(order_.begin());
  connection->idle_since = now;
  connection->stream->clear_deadline();
  std::string key = connection->route_key;
  order_.push_back(std::move(connection));
  by_route_[std::move(key)].push_back(std::prev(order_.end()));
}

void Pool::forget(Order::iterator at) {
  const auto entry = by_route_.find((*at)->route_key);
  std::erase(entry->second, at);
  if (entry->second.empty()) by_route_.erase(entry);
  order_.erase(at);
}

void Pool::expire(MonoTime now) {
  while (!order_.empty() && now - order_.front()->idle_since > idle_) forget(order_.begin());
}

void Pool::clear() {
  by_route_.clear();
  order_.clear();
}

}  // namespace sluice::proxy

// One worker's idle upstream connections, by route; newest first, at most `capacity` in all, closed after `idle`.
// Belongs to one worker thread.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "flow/exchange.h"
#include "net/stream.h"
#include "proxy/forwarding.h"
#include "tls/session.h"

namespace sluice::proxy {

// A connection to an origin, with what is known of it.
struct UpstreamConnection {
  std::unique_ptr<net::Stream> stream;
  flow::UpstreamPtr info;
  std::string route_key;
  std::string alpn;
  std::shared_ptr<const void> known;       // while it lives, the guard knows it for one of ours
  tls::ClientSession* session = nullptr;   // inside `stream`; null without TLS
  std::unique_ptr<Forwarding> forwarding;  // to an HTTP proxy that is given whole URLs; null: to the origin
  MonoTime idle_since;
  std::uint64_t requests = 0;  // sent on it so far
  bool bound = false;          // has carried one client's NTLM or Negotiate: never for another, also later
};
using UpstreamConnectionPtr = std::unique_ptr<UpstreamConnection>;

class Pool {
 public:
  Pool(std::size_t capacity, std::chrono::milliseconds idle) : capacity_(capacity), idle_(idle) {}

  // A live one or null. Looks at the connection first: an answer that nobody asked for must not meet the next request.
  // kSocket: for a request that cannot be sent twice.
  UpstreamConnectionPtr take(const std::string& route_key, MonoTime now, net::Look look = net::Look::kTold);
  void put(UpstreamConnectionPtr connection, MonoTime now);
  bool has(const std::string& route_key) const;
  void expire(MonoTime now);  // called by the worker's tick
  void clear();
  std::size_t size() const { return order_.size(); }

 private:
  using Order = std::list<UpstreamConnectionPtr>;  // oldest first
  void forget(Order::iterator at);

  std::size_t capacity_;
  std::chrono::milliseconds idle_;
  Order order_, spare_;                                                     // nodes for the next put
  std::unordered_map<std::string, std::vector<Order::iterator>> by_route_;  // newest last
};

}  // namespace sluice::proxy

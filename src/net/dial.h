// Connects to a host by happy eyeballs (RFC 8305: IPv6 and IPv4 in turn, 250 ms apart, first to answer wins). Before
// each connect the guard is asked, with the address that DNS really gave: it knows our own listeners, and egress rules
// once there are policies.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/resolver.h"
#include "net/stream.h"

namespace sluice::net {

class DialGuard {
 public:
  virtual ~DialGuard() = default;
  // kRefused with the reason if `name`, resolved to `address`, must not be dialled for `grant`.
  virtual Status may_dial(std::string_view grant, std::string_view name, const asio::ip::address& address,
                          std::uint16_t port) = 0;
  // A connection was begun, and nobody can have seen an octet of it: whoever must know our own connections again notes
  // its addresses until the value returned, which may be null, goes away with the connection.
  virtual std::shared_ptr<const void> connecting(const asio::ip::tcp::socket& socket,
                                                 const asio::ip::tcp::endpoint& remote) {
    return nullptr;
  }
};

struct DialRequest {
  std::string host;  // name or literal
  std::uint16_t port = 0;
  std::string grant;       // on whose behalf; empty: plain traffic
  MonoTime deadline;       // for all of it
  std::uint32_t mark = 0;  // SO_MARK, for firewall rules; 0: none. Needs CAP_NET_ADMIN
};

enum class DialStep { kResolve, kGuard, kConnect };

struct DialFailure {
  DialStep step = DialStep::kConnect;
  Code code = Code::kUnavailable;
  int error_number = 0;  // of the last connect: ECONNREFUSED, ENETUNREACH, …; 0: none
  std::string message;
};

struct Dialled {
  asio::ip::tcp::socket socket;  // connected, non-blocking, TCP_NODELAY
  asio::ip::tcp::endpoint address;
  MonoTime resolved, connected;
  std::shared_ptr<const void> known;  // what the guard gave: lives as long as the connection
};

Task<tl::expected<Dialled, DialFailure>> dial(Resolver& resolver, DialGuard& guard, DialRequest request);

// Applied to every connection: non-blocking, no Nagle, keep-alive.
void prepare_socket(asio::ip::tcp::socket& socket);

}  // namespace sluice::net

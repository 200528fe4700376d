// Connects to a host by happy eyeballs (RFC 8305: IPv6 and IPv4 in turn, 250 ms apart, first to answer wins). Before
// each connect the guard is asked, with the address that DNS really gave: it knows our own listeners, and what policies
// let grants reach. The address that was judged is the one that is dialled: nothing is looked up again between the two.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/resolver.h"
#include "net/stream.h"

namespace sluice::net {

// On whose behalf something is dialled; none: plain traffic. Each of them must be allowed to.
using Grants = std::vector<std::string>;

// Where policies let the traffic go that their grants cause (`egress`, gate.md 3). Any thread. Errors are kRefused and
// one sentence for whoever caused it.
class Egress {
 public:
  virtual ~Egress() = default;
  // Before `name` is looked up: refused where no address could change that.
  virtual Status may_look_up(std::string_view grant, std::string_view name, std::uint16_t port) = 0;
  // Somebody else (an upstream proxy) looks it up and dials: what an address would have to decide is refused.
  virtual Status may_name(std::string_view grant, std::string_view name, std::uint16_t port) = 0;
  virtual Status may_reach(std::string_view grant, std::string_view name, const asio::ip::address& address,
                           std::uint16_t port) = 0;
  // Another one whenever the answers for this grant may be others: connections that were allowed under one are not used
  // under another.
  virtual std::uint64_t revision(std::string_view grant) = 0;
};

class DialGuard {
 public:
  virtual ~DialGuard() = default;
  // kRefused with the reason if `name`, resolved to `address`, must not be dialled for anybody.
  virtual Status may_dial(std::string_view name, const asio::ip::address& address, std::uint16_t port) = 0;
  // What else is asked where grants dial; null: they may reach what everybody may.
  virtual Egress* egress() { return nullptr; }
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
  Grants grants;
  MonoTime deadline;       // for all of it
  std::uint32_t mark = 0;  // SO_MARK, for firewall rules; 0: none. Needs CAP_NET_ADMIN
};

enum class DialStep { kEgress, kResolve, kGuard, kConnect };

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

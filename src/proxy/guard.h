// Which addresses may be dialled: never our own listeners, on any local address (engine.md 2); from remote clients
// never loopback or link-local. And which connections are our own, should a redirection bring them back to us.
// Thread-safe: workers ask, the engine changes the lists.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "net/dial.h"
#include "proxy/engine.h"

namespace sluice::proxy {

// Our connections towards origins while they are open: where redirections are at work, one of them may come in again
// at the transparent listener, and would go round for ever.
class OutgoingConnections {
 public:
  using Endpoint = net::asio::ip::tcp::endpoint;
  OutgoingConnections() : ends_(std::make_shared<Ends>()) {}

  // Nothing is noted unless somebody listens for redirected connections.
  void watch(bool on) { watching_ = on; }
  // Forgotten when the value, which outlives this object if it must, goes away. Null while nobody watches.
  std::shared_ptr<const void> note(const net::asio::ip::tcp::socket& socket, const Endpoint& remote);
  bool contains(const Endpoint& local, const Endpoint& remote) const;

 private:
  struct Ends {
    std::mutex mutex;
    std::multiset<std::pair<Endpoint, Endpoint>> open;
  };
  std::atomic<bool> watching_{false};
  std::shared_ptr<Ends> ends_;
};

class OwnListeners final : public net::DialGuard {
 public:
  void add(const ListenAddress& address);
  void remove(const ListenAddress& address);
  bool is_own(const net::asio::ip::address& address, std::uint16_t port);
  OutgoingConnections& outgoing() { return outgoing_; }
  void set_egress(net::Egress* egress) { egress_ = egress; }  // before anything is dialled; null: none

  // kConflict: a loop.
  Status may_dial(std::string_view name, const net::asio::ip::address& address, std::uint16_t port) override;
  std::shared_ptr<const void> connecting(const net::asio::ip::tcp::socket& socket,
                                         const net::asio::ip::tcp::endpoint& remote) override {
    return outgoing_.note(socket, remote);
  }
  net::Egress* egress() override { return egress_; }

 private:
  net::Egress* egress_ = nullptr;
  std::mutex mutex_;
  std::vector<std::uint16_t> ports_;
  OutgoingConnections outgoing_;
};

// For clients beyond this machine: also no loopback, link-local or unspecified address (engine.md 2).
class RemoteGuard final : public net::DialGuard {
 public:
  explicit RemoteGuard(net::DialGuard& also) : also_(also) {}
  // kRefused: not for remote clients.
  Status may_dial(std::string_view name, const net::asio::ip::address& address, std::uint16_t port) override;
  std::shared_ptr<const void> connecting(const net::asio::ip::tcp::socket& socket,
                                         const net::asio::ip::tcp::endpoint& remote) override {
    return also_.connecting(socket, remote);
  }
  net::Egress* egress() override { return also_.egress(); }

 private:
  net::DialGuard& also_;
};

// True for an address of this machine: loopback, or of one of its interfaces.
bool is_local_address(const net::asio::ip::address& address);
bool is_loopback(const net::asio::ip::address& address);  // also ::ffff:127.0.0.1
// IPv4 addresses in IPv6's clothes as IPv4.
net::asio::ip::address plain_address(const net::asio::ip::address& address);

// CIDR lists of --allow-client and --proxy-protocol.
class ClientList {
 public:
  // kInvalid, naming `flag`.
  static Result<ClientList> parse(const std::vector<std::string>& cidrs, std::string_view flag);
  bool empty() const { return ranges_.empty(); }
  bool contains(const net::asio::ip::address& address) const;

 private:
  struct Range {
    net::asio::ip::address_v6 network;  // IPv4 as mapped
    unsigned bits = 0;
  };
  std::vector<Range> ranges_;
};

}  // namespace sluice::proxy

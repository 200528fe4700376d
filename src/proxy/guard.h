// Which addresses may be dialled: never our own listeners, on any local address (engine.md 2); from remote clients
// never loopback or link-local. Thread-safe: workers ask, the engine changes the list.
#pragma once

#include <mutex>
#include <vector>

#include "net/dial.h"
#include "proxy/engine.h"

namespace sluice::proxy {

class OwnListeners final : public net::DialGuard {
 public:
  void add(const ListenAddress& address);
  void remove(const ListenAddress& address);
  // kConflict: a loop.
  Status may_dial(std::string_view grant, std::string_view name, const net::asio::ip::address& address,
                  std::uint16_t port) override;

 private:
  std::mutex mutex_;
  std::vector<std::uint16_t> ports_;
};

// For clients beyond this machine: also no loopback, link-local or unspecified address (engine.md 2).
class RemoteGuard final : public net::DialGuard {
 public:
  explicit RemoteGuard(net::DialGuard& also) : also_(also) {}
  // kRefused: not for remote clients.
  Status may_dial(std::string_view grant, std::string_view name, const net::asio::ip::address& address,
                  std::uint16_t port) override;

 private:
  net::DialGuard& also_;
};

// True for an address of this machine: loopback, or of one of its interfaces.
bool is_local_address(const net::asio::ip::address& address);

// CIDR lists of --allow-client.
class ClientList {
 public:
  static Result<ClientList> parse(const std::vector<std::string>& cidrs);
  bool empty() const { return ranges_.empty(); }
  // Loopback is always allowed.
  bool allows(const net::asio::ip::address& address) const;

 private:
  struct Range {
    net::asio::ip::address_v6 network;  // IPv4 as mapped
    unsigned bits = 0;
  };
  std::vector<Range> ranges_;
};

}  // namespace sluice::proxy

// What the kernel knows of one TCP socket of this machine, found by its two ends (sock_diag(7)): a question of some
// microseconds, however many sockets there are. One thread at a time.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <optional>

#include "base/descriptor.h"

namespace sluice::net {

struct SocketOwner {
  std::uint64_t inode = 0;  // as /proc/PID/fd names it
  std::uint32_t user = 0;   // whose it is
};

class SocketDiag {
 public:
  using Endpoint = boost::asio::ip::tcp::endpoint;

  // Nothing where the kernel does not answer such questions, or was not built for them; found out by asking for a
  // socket that is there.
  static std::optional<SocketDiag> open();

  // The socket that is at `local` and is connected to `remote`. Nothing: there is none, or it is closed and only its
  // connection lingers.
  std::optional<SocketOwner> find(const Endpoint& local, const Endpoint& remote);

 private:
  explicit SocketDiag(Descriptor netlink) : netlink_(std::move(netlink)) {}

  Descriptor netlink_;
  std::uint32_t sequence_ = 0;
};

}  // namespace sluice::net

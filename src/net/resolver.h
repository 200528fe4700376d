// Names to addresses by getaddrinfo on a few threads, so that /etc/hosts and nsswitch count. Any worker may ask; the
// answer comes back on the asking coroutine's executor. Literals are answered at once.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/thread_pool.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/stream.h"

namespace sluice::net {

class Resolver {
 public:
  explicit Resolver(std::size_t threads = 4) : pool_(threads) {}
  ~Resolver();

  // At least one address, IPv6 and IPv4 as the system orders them. kNotFound: no such name, or no addresses;
  // kUnavailable: the resolver itself failed; kTimeout.
  Task<Result<std::vector<asio::ip::address>>> resolve(std::string host, MonoTime deadline);

 private:
  asio::thread_pool pool_;
};

}  // namespace sluice::net

#include "proxy/door.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "base/url.h"
#include "net/listener.h"
#include "net/spawn.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;
using Tcp = asio::ip::tcp;

// [::]:8080 beside 0.0.0.0:8080: each has its own family then.
net::Ipv6Scope scope_of(const ListenAddress& address, const std::vector<ListenAddress>& all) {
  const bool shared = is_ipv6_literal(address.host) && std::any_of(all.begin(), all.end(), [&](const auto& other) {
                        return other.port == address.port && !is_ipv6_literal(other.host);
                      });
  return shared ? net::Ipv6Scope::kOnlyIpv6 : net::Ipv6Scope::kSystem;
}

}  // namespace

Status Door::open(const std::vector<ListenAddress>& addresses, Ports ports) {
  if (addresses.empty()) return fail(Code::kInvalid, "no address to listen on");
  std::vector<Acceptor> opened;
  std::vector<ListenAddress> bound;
  for (const ListenAddress& address : addresses) {
    const bool follows = address.port == 0 && ports == Ports::kOne && !bound.empty();
    SLUICE_TRY(Tcp::acceptor acceptor,
               net::listen_tcp(io_.get_executor(), address.host, follows ? bound.front().port : address.port,
                               scope_of(address, addresses)));
    boost::system::error_code ignored;
    bound.push_back({address.host, acceptor.local_endpoint(ignored).port()});
    opened.push_back(std::make_shared<Tcp::acceptor>(std::move(acceptor)));
  }
  acceptors_ = std::move(opened);
  bound_ = std::move(bound);
  return {};
}

void Door::begin() {
  for (std::size_t i = 0; i < acceptors_.size(); ++i) {
    net::spawn(io_.get_executor(), accept(acceptors_[i], bound_[i]), on_bug_);
  }
}

void Door::close() {
  std::promise<void> closed;
  asio::post(io_, [&] {
    boost::system::error_code ignored;
    for (const auto& acceptor : acceptors_) acceptor->close(ignored);
    closed.set_value();
  });
  closed.get_future().wait();
  acceptors_.clear();
  bound_.clear();
}

net::Task<void> Door::accept(Acceptor acceptor, ListenAddress address) {
  asio::steady_timer pause(io_);
  for (;;) {
    auto [error, socket] = co_await acceptor->async_accept(asio::as_tuple(asio::use_awaitable));
    if (!acceptor->is_open()) co_return;
    if (error) {  // out of descriptors, or a client that was gone already: others may do better
      pause.expires_after(std::chrono::milliseconds(20));
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    accepted_(std::move(socket), address);
  }
}

}  // namespace sluice::proxy

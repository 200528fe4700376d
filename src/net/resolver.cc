#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>

#include "net/answer_slot.h"

namespace sluice::net {
namespace {

using Addresses = std::vector<asio::ip::address>;

Result<Addresses> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error == EAI_NONAME || error == EAI_NODATA)
    return fail(Code::kNotFound, "the name " + host + " does not resolve");
  if (error != 0) {
    return fail(Code::kUnavailable, "the name " + host + " could not be looked up: " + ::gai_strerror(error));
  }
  Addresses found;
  for (addrinfo* at = list; at; at = at->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (at->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), at->ai_addr, at->ai_addrlen);
    endpoint.resize(at->ai_addrlen);
    if (std::find(found.begin(), found.end(), endpoint.address()) == found.end()) found.push_back(endpoint.address());
  }
  ::freeaddrinfo(list);
  if (found.empty()) return fail(Code::kNotFound, "the name " + host + " has no addresses");
  return found;
}

}  // namespace

Resolver::~Resolver() {
  // Look-ups under way cannot be interrupted, only waited for; getaddrinfo bounds itself by resolv.conf.
  pool_.stop();
  pool_.join();
}

Task<Result<Addresses>> Resolver::resolve(std::string host, MonoTime deadline) {
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) co_return Addresses{literal};

  Asking<Result<Addresses>> asking(co_await asio::this_coro::executor, deadline);
  asio::post(pool_, [slot = asking.slot(), host] {
    if (slot->is_wanted()) slot->give(look_up(host));
  });
  auto answer = co_await asking.wait();
  if (!answer) co_return fail(Code::kTimeout, "looking up the name " + host + " took too long");
  co_return *std::move(answer);
}

}  // namespace sluice::net

#include "net/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/v6_only.hpp>
#include <cstring>

#include "base/url.h"

namespace sluice::net {
namespace {

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which drag in headers that clash with libc's.
constexpr int kOriginalDestination = 80;

asio::ip::address plain(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

Result<asio::ip::tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& host,
                                           std::uint16_t port, Ipv6Scope scope) {
  using Tcp = asio::ip::tcp;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return fail(Code::kInvalid, "'" + host + "' is not an IP address to listen on");
  const Tcp::endpoint endpoint(address, port);
  Tcp::acceptor acceptor(executor);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error && address.is_v6() && scope == Ipv6Scope::kOnlyIpv6) {
    acceptor.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(4096, error);
  if (!error) acceptor.non_blocking(true, error);
  if (!error) return acceptor;
  const std::string where = authority_text(host, port, 0);
  if (error == asio::error::address_in_use)
    return fail(Code::kUnavailable, "the address " + where + " is already in use");
  return fail(Code::kUnavailable, "cannot listen on " + where + ": " + error.message());
}

std::optional<asio::ip::tcp::endpoint> original_destination(asio::ip::tcp::socket& socket) {
  using Endpoint = asio::ip::tcp::endpoint;
  boost::system::error_code error;
  const Endpoint peer = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  const Endpoint local = socket.local_endpoint(error);
  if (error) return std::nullopt;
  std::optional<Endpoint> found;
  if (plain(peer.address()).is_v4()) {  // also on a socket of both families
    sockaddr_in v4{};
    socklen_t size = sizeof v4;
    if (::getsockopt(socket.native_handle(), SOL_IP, kOriginalDestination, &v4, &size) == 0) {
      found = Endpoint(asio::ip::address_v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port));
    }
  } else {
    sockaddr_in6 v6{};
    socklen_t size = sizeof v6;
    if (::getsockopt(socket.native_handle(), SOL_IPV6, kOriginalDestination, &v6, &size) == 0) {
      asio::ip::address_v6::bytes_type octets;
      std::memcpy(octets.data(), &v6.sin6_addr, octets.size());
      found = Endpoint(asio::ip::address_v6(octets, v6.sin6_scope_id), ntohs(v6.sin6_port));
    }
  }
  // A connection that is tracked but was made to us is no redirected one.
  if (found && found->port() == local.port() && found->address() == plain(local.address())) return std::nullopt;
  return found;
}

}  // namespace sluice::net

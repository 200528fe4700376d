// A listening TCP socket, and where a redirected connection was going. Errors are one sentence with the address.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/stream.h"

namespace sluice::net {

// Binds and listens. kUnavailable: in use, no such address, no permission; kInvalid: not an IP literal.
// [::] takes IPv4 clients too unless kOnlyIpv6.
enum class Ipv6Scope { kSystem, kOnlyIpv6 };
Result<asio::ip::tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& host,
                                           std::uint16_t port, Ipv6Scope scope = Ipv6Scope::kSystem);

// Where a connection was going before netfilter's REDIRECT or DNAT sent it here (SO_ORIGINAL_DST, for IPv6
// IP6T_SO_ORIGINAL_DST). nullopt: it was not redirected, or the kernel keeps no track of connections.
std::optional<asio::ip::tcp::endpoint> original_destination(asio::ip::tcp::socket& socket);

}  // namespace sluice::net

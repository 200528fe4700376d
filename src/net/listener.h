// A listening TCP socket. Errors are one sentence with the address.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "net/stream.h"

namespace sluice::net {

// Binds and listens. kUnavailable: in use, no such address, no permission; kInvalid: not an IP literal.
Result<asio::ip::tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& host,
                                           std::uint16_t port);

}  // namespace sluice::net

#include "net/listener.h"

#include "base/url.h"

namespace sluice::net {

Result<asio::ip::tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& host,
                                           std::uint16_t port) {
  using Tcp = asio::ip::tcp;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return fail(Code::kInvalid, "'" + host + "' is not an IP address to listen on");
  const Tcp::endpoint endpoint(address, port);
  Tcp::acceptor acceptor(executor);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(4096, error);
  if (!error) acceptor.non_blocking(true, error);
  if (!error) return acceptor;
  const std::string where = authority_text(host, port, 0);
  if (error == asio::error::address_in_use)
    return fail(Code::kUnavailable, "the address " + where + " is already in use");
  return fail(Code::kUnavailable, "cannot listen on " + where + ": " + error.message());
}

}  // namespace sluice::net

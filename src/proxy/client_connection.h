// One accepted connection from its first octet to its last: sniff, CONNECT, the intercept decision, TLS, then the
// protocol's server. engine.md 2-4; docs/architecture.md "One HTTPS request".
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>

#include "net/tcp_stream.h"
#include "net/tls_stream.h"
#include "proxy/engine.h"
#include "proxy/http1_server.h"
#include "proxy/http2_server.h"
#include "proxy/target.h"
#include "tls/hello.h"

namespace sluice::proxy {

class Worker;

class ClientConnection {
 public:
  // The coroutine that owns the connection.
  static net::Task<void> serve(Worker& worker, net::asio::ip::tcp::socket socket, ListenAddress listener);

  void drain();
  void abort();

 private:
  ClientConnection(Worker& worker, net::asio::ip::tcp::socket socket, ListenAddress listener);
  ~ClientConnection();

  net::Task<void> run();
  net::Task<void> serve_http(net::Stream& stream, ClientFacts facts,
                             std::optional<std::pair<std::string, ConnectFailure>>);
  net::Task<Http1Server::Outcome> run_http(net::Stream& stream, ClientFacts facts,
                                           std::optional<std::pair<std::string, ConnectFailure>> failure);
  net::Task<void> serve_http2(net::Stream& stream, ClientFacts facts,
                              std::optional<std::pair<std::string, ConnectFailure>>);
  net::Task<void> serve_plain_http(const Target& target, bool http2);
  net::Task<void> serve_connect(const Target& target, std::string rest);
  net::Task<void> serve_silent_client(const Target& target);
  net::Task<void> intercept(const Target& target);
  net::Task<Result<tls::ClientHello>> read_hello();
  net::Task<std::optional<std::pair<std::string, ConnectFailure>>> dial_ahead(const Route& route);
  net::Task<void> tunnel(const Target& target, UpstreamConnectionPtr upstream);
  // Octets without consuming them; empty at the end of input. Fails as wait_readable() does.
  net::Task<Result<std::string>> peek_first(MonoTime deadline);
  // ... and as many as sniff() needs: a split hello or method must not pass as something else.
  net::Task<Result<std::string>> peek_enough(MonoTime deadline);
  std::shared_ptr<flow::Connection> describe(const std::string& destination) const;
  Route plain_route(const Target& target) const;
  ClientFacts facts_in(const Target& target) const;
  void record_left(const Target& target);
  void record_failed_tls(const Target& target, const flow::ConnectionPtr& connection, std::string_view message);

  Worker& worker_;
  ListenAddress listener_;
  std::unique_ptr<net::TcpStream> tcp_;  // moves into tls_ once there is TLS
  std::unique_ptr<net::TlsStream> tls_;
  net::TcpStream* bottom_;  // the socket, wherever it is
  flow::ConnectionPtr connection_;
  ConnectionId id_;
  WallTime accepted_;
  std::unique_ptr<Upgraded> upgraded_;  // what the connection has become: the rest of its life
  Http1Server* server_ = nullptr;       // while it runs
  Http2Server* server2_ = nullptr;      // ... the same
  bool remote_ = false;                 // the client is on another machine
  bool waiting_ = false;                // for a client's first octets: nothing is lost if a drain ends it
  bool draining_ = false;               // ... or aborted_
  bool aborted_ = false;
  std::uint64_t requests_ = 0;  // heads read inside the present TLS
};

}  // namespace sluice::proxy

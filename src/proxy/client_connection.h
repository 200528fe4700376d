// One accepted connection from its first octet to its last: how the client came in (client_entry.cc), where it wants
// to go, the intercept decision, TLS, then the protocol's server (client_connection.cc), or a raw tunnel
// (client_tunnel.cc). engine.md 2-4; docs/architecture.md "One HTTPS request", docs/modes.md.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>

#include "net/tcp_stream.h"
#include "net/tls_stream.h"
#include "proxy/admission.h"
#include "proxy/engine.h"
#include "proxy/http1_server.h"
#include "proxy/http2_server.h"
#include "proxy/sniff.h"
#include "proxy/target.h"
#include "proxy/worker.h"
#include "socks/server.h"
#include "tls/hello.h"

namespace sluice::proxy {

class ClientConnection {
 public:
  // The coroutine that owns the connection.
  static net::Task<void> serve(Worker& worker, net::asio::ip::tcp::socket socket, Arrival arrival);

  void drain();
  void abort();
  flow::Source source() const { return arrival_.source; }

 private:
  using Endpoint = net::asio::ip::tcp::endpoint;
  ClientConnection(Worker& worker, net::asio::ip::tcp::socket socket, Arrival arrival);
  ~ClientConnection();

  // --- how it came in: each ends in serve_destination() or serve_http() ---
  net::Task<void> run();
  net::Task<bool> read_proxy_header();
  net::Task<void> enter_explicit();
  net::Task<void> enter_socks();
  net::Task<void> serve_socks(Target target, socks::Server& server);
  net::Task<void> enter_bare_tls();
  net::Task<void> enter_transparent();
  net::Task<void> turn_away(Sniffed what, FailureKind refusal);
  net::Task<void> say_goodbye(std::string octets);
  net::Task<Result<std::size_t>> read_more(std::string& octets, MonoTime deadline);  // appended; 0 at the end
  Target here() const;  // the listener, for records of connections that go nowhere

  // --- where it goes ---
  // After the client was told that it is connected. `upstream`: to there, if it was dialled already.
  net::Task<void> serve_destination(const Target& target, UpstreamConnectionPtr upstream);
  net::Task<void> serve_first(const Target& target, UpstreamConnectionPtr upstream, Result<std::string> first);
  net::Task<void> serve_http(net::Stream& stream, ClientFacts facts,
                             std::optional<std::pair<std::string, ConnectFailure>>);
  net::Task<Http1Server::Outcome> run_http(net::Stream& stream, ClientFacts facts,
                                           std::optional<std::pair<std::string, ConnectFailure>> failure);
  net::Task<void> serve_http2(net::Stream& stream, ClientFacts facts,
                              std::optional<std::pair<std::string, ConnectFailure>>, const std::string& route_key);
  net::Task<void> serve_plain_http(const Target& target, UpstreamConnectionPtr upstream);
  net::Task<void> serve_plain_http2(const Target& target, UpstreamConnectionPtr upstream);
  net::Task<void> serve_connect(const Target& target, std::string rest);
  net::Task<void> serve_silent_client(const Target& target, UpstreamConnectionPtr upstream);
  // A rule may answer for there, so that it must not be contacted unasked (engine.md 2).
  bool may_be_answered(const Target& target) const;
  net::Task<void> intercept(const Target& target, UpstreamConnectionPtr upstream);
  net::Task<Result<tls::ClientHello>> read_hello();
  net::Task<std::optional<std::pair<std::string, ConnectFailure>>> dial_ahead(const Route& route,
                                                                              UpstreamConnectionPtr at_hand);
  net::Task<void> tunnel(const Target& target, UpstreamConnectionPtr upstream);
  // Octets without consuming them; empty at the end of input. Fails as wait_readable() does.
  net::Task<Result<std::string>> peek_first(MonoTime deadline);
  // ... and as many as sniff() needs: a split hello or method must not pass as something else.
  net::Task<Result<std::string>> peek_enough(MonoTime deadline);
  std::shared_ptr<flow::Connection> describe(const std::string& destination) const;
  void announce(const std::string& destination);  // what is recorded of the connection from now on
  void set_destination(const std::string& destination);
  // Of octets. `name`: whom the client takes an address for.
  Route plain_route(const Target& target, std::string_view name = {}) const;
  ClientFacts facts_in(const Target& target) const;
  Worker::Handling handling(const Target& target) const;  // of what is no HTTP
  void record_left(const Target& target);
  void record_failure(const Target& target, FailureKind kind, std::string_view message);
  void record_unfinished(FailureKind kind, std::string_view message);  // or that Sluice was stopped meanwhile
  void record_failed_tls(const Target& target, const flow::ConnectionPtr& connection, std::string_view message);

  Worker& worker_;
  Arrival arrival_;
  std::shared_ptr<const ProxyCredentials> credentials_;  // null: none are asked for
  std::optional<FailureKind> refusal_;                   // nothing is served
  std::unique_ptr<net::TcpStream> tcp_;                  // moves into tls_ once there is TLS
  std::unique_ptr<net::TlsStream> tls_;
  net::TcpStream* bottom_;            // the socket, wherever it is
  Endpoint client_;                   // the peer, or who a PROXY header says is behind it
  std::optional<Endpoint> original_;  // of a redirected connection
  flow::ConnectionPtr connection_;
  ConnectionId id_;
  WallTime accepted_;
  std::unique_ptr<Upgraded> upgraded_;  // what the connection has become: the rest of its life
  Http1Server* server_ = nullptr;       // while it runs
  Http2Server* server2_ = nullptr;      // ... the same
  bool remote_ = false;                 // the client is on another machine
  bool by_address_ = false;             // the destination is an address that names nothing
  bool waiting_ = false;                // for a client's first octets: nothing is lost if a drain ends it
  bool draining_ = false;               // ... or aborted_
  bool aborted_ = false;
  std::uint64_t requests_ = 0;  // heads read inside the present TLS
};

}  // namespace sluice::proxy

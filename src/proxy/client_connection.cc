#include "proxy/client_connection.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "base/url.h"
#include "fingerprint/fingerprint.h"
#include "net/listener.h"
#include "proxy/passthrough_relay.h"
#include "proxy/sniff.h"
#include "proxy/transport.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection Established\r\n\r\n";
constexpr std::size_t kFirstLook = 4096;
// Libraries that compare pins after the handshake end the connection without a word, and at once.
constexpr std::chrono::seconds kRightAfter{2};

// The client's own list, cut to what Sluice speaks (engine.md 2). RFC 9113 §9.2: HTTP/2 needs TLS 1.2.
std::vector<std::string> spoken_of(const tls::ClientHello& hello) {
  const bool old = tls::highest_version(hello) < static_cast<std::uint16_t>(tls::Version::k1_2);
  std::vector<std::string> spoken;
  for (const std::string& protocol : hello.alpn) {
    if ((protocol == "h2" && !old) || protocol == "http/1.1") spoken.push_back(protocol);
  }
  return spoken;
}

// What the client gets of its offer: what the origin took, else its own first choice; "" for none.
std::string choose_alpn(const std::vector<std::string>& offered, const std::optional<std::string>& taken) {
  if (offered.empty()) return "";
  if (!taken) return offered.front();
  const std::string& wanted = taken->empty() ? "http/1.1" : *taken;
  const bool has = std::find(offered.begin(), offered.end(), wanted) != offered.end();
  return has ? wanted : offered.front();
}

// RFC 9113 §3.4: sniff() takes the preface's first octets for a method.
bool is_http2_preface(Bytes octets) { return octets.starts_with("PRI * HTTP/2.0\r\n"); }

}  // namespace

net::Task<void> ClientConnection::serve(Worker& worker, net::asio::ip::tcp::socket socket, Arrival arrival) {
  ClientConnection connection(worker, std::move(socket), std::move(arrival));
  co_await connection.run();
  if (!connection.upgraded_) co_return;
  // All coroutines that led here are over; a WebSocket idles without them.
  net::Stream& client = connection.tls_ ? static_cast<net::Stream&>(*connection.tls_) : *connection.tcp_;
  co_await serve_upgraded(worker, client, *connection.upgraded_, connection.aborted_);
  client.close();
}

ClientConnection::ClientConnection(Worker& worker, net::asio::ip::tcp::socket socket, Arrival arrival)
    : worker_(worker),
      arrival_(std::move(arrival)),
      credentials_(worker.shared().admission.credentials()),
      refusal_(refusal_of(arrival_.verdict)),
      id_{worker.shared().next_connection.fetch_add(1, std::memory_order_relaxed)},
      accepted_(worker.clock().wall()),
      draining_(worker.draining()) {
  if (arrival_.source == flow::Source::kTransparent) original_ = net::original_destination(socket);
  tcp_ = std::make_unique<net::TcpStream>(std::move(socket), worker.readiness(), worker.deadlines());
  bottom_ = tcp_.get();
  client_ = Endpoint(plain_address(bottom_->peer().address()), bottom_->peer().port());
  remote_ = !Admission::is_this_machine(client_.address(), arrival_.source);
  worker_.connections_.insert(this);
}

ClientConnection::~ClientConnection() {
  worker_.connections_.erase(this);
  worker_.load_.fetch_sub(1, std::memory_order_relaxed);
  worker_.shared().population.leave(arrival_);
}

void ClientConnection::drain() {
  draining_ = true;
  if (server_)
    server_->drain();
  else if (server2_)
    server2_->drain();
  else if (upgraded_ && upgraded_->http2)
    upgraded_->http2->drain();
  else if (waiting_)
    bottom_->cancel(Code::kCancelled);
}

void ClientConnection::abort() {
  draining_ = aborted_ = true;
  if (server_) server_->abort();
  if (server2_) server2_->abort();
  if (upgraded_ && upgraded_->http2) upgraded_->http2->abort();
  if (upgraded_ && upgraded_->upstream) upgraded_->upstream->stream->cancel(Code::kCancelled);
  bottom_->reset();
}

std::shared_ptr<flow::Connection> ClientConnection::describe(const std::string& destination) const {
  auto connection = std::make_shared<flow::Connection>();
  connection->id = id_;
  connection->source = arrival_.source;
  connection->client_address = client_.address().to_string();
  connection->client_port = client_.port();
  connection->listener_address = arrival_.listener.host;
  connection->listener_port = arrival_.listener.port;
  connection->destination = destination;
  connection->accepted = accepted_;
  return connection;
}

net::Task<Result<std::string>> ClientConnection::peek_first(MonoTime deadline) {
  if (draining_) co_return fail(Code::kCancelled, "Sluice is stopping");
  std::string octets(kFirstLook, '\0');
  bottom_->set_deadline(deadline);
  waiting_ = true;
  auto got = co_await bottom_->read_some(octets);
  waiting_ = false;
  bottom_->clear_deadline();
  if (!got) co_return fail(got.error());
  octets.resize(*got);
  octets.shrink_to_fit();  // callers live as long as the connection
  bottom_->unread(octets);
  co_return octets;
}

net::Task<Result<std::string>> ClientConnection::peek_enough(MonoTime deadline) {
  auto first = co_await peek_first(deadline);
  if (!first || first->empty() || sniff(*first) != Sniffed::kNeedMore) co_return first;
  std::string octets(kFirstLook, '\0');
  std::size_t have = 0;
  bottom_->set_deadline(worker_.clock().mono() + worker_.limits().timeouts.tls);
  while (have < octets.size()) {
    const auto got = co_await bottom_->read_some(MutableBytes(octets).subspan(have));
    if (!got || *got == 0) break;  // what there is decides
    have += *got;
    if (sniff(Bytes(octets).substr(0, have)) != Sniffed::kNeedMore) break;
  }
  bottom_->clear_deadline();
  octets.resize(have);
  octets.shrink_to_fit();
  bottom_->unread(octets);
  co_return octets;
}

Route ClientConnection::plain_route(const Target& target, std::string_view name) const {
  Route route;
  route.dial_host = target.dial_host;
  route.dial_port = target.dial_port;
  route.remote = remote_;
  choose_upstream(worker_, route, "", name, true);
  return route;
}

ClientFacts ClientConnection::facts_in(const Target& target) const {
  ClientFacts facts;
  facts.remote = remote_;
  facts.destination_host = target.host;
  facts.destination_port = target.port;
  facts.by_address = by_address_;
  return facts;
}

net::Task<void> ClientConnection::serve_http(net::Stream& stream, ClientFacts facts,
                                             std::optional<std::pair<std::string, ConnectFailure>> failure) {
  // The server is gone before a tunnel that it asked for begins: a connection in a tunnel holds one server.
  Http1Server::Outcome outcome = co_await run_http(stream, std::move(facts), std::move(failure));
  upgraded_ = std::move(outcome.upgraded);  // for serve()
  if (outcome.connect) co_await serve_connect(*outcome.connect, std::move(outcome.rest));
}

net::Task<Http1Server::Outcome> ClientConnection::run_http(
    net::Stream& stream, ClientFacts facts, std::optional<std::pair<std::string, ConnectFailure>> failure) {
  Http1Server server(worker_, stream, std::move(facts), connection_,
                     authority_text(arrival_.listener.host, arrival_.listener.port, 0));
  if (failure) server.set_first_failure(std::move(failure->first), std::move(failure->second));
  server_ = &server;
  if (draining_) server.drain();
  Http1Server::Outcome outcome = co_await server.run();
  server_ = nullptr;
  requests_ = server.requests();
  co_return outcome;
}

// `route_key`: of the origin that this connection was made for; empty if it is not known yet.
net::Task<void> ClientConnection::serve_http2(net::Stream& stream, ClientFacts facts,
                                              std::optional<std::pair<std::string, ConnectFailure>> failure,
                                              const std::string& route_key) {
  http2::Options options = http2_options(worker_.limits());
  if (const auto origin = worker_.http2_upstreams().find(route_key)) {
    // RFC 8441 §3: offered to the client where the origin offers it.
    co_await origin->wait_settings(worker_.clock().mono() + worker_.limits().timeouts.tls);
    options.extended_connect = origin->takes_extended_connect();
  } else if (const RouteMemory* known = worker_.find_route(route_key)) {
    options.extended_connect = known->extended_connect;
  }
  Target target = here();
  if (!facts.destination_host.empty()) {
    target.host = facts.destination_host;
    target.port = facts.destination_port;
  }
  ExchangeServer exchanges(worker_, std::move(facts), connection_,
                           authority_text(arrival_.listener.host, arrival_.listener.port, 0));
  if (failure) exchanges.set_first_failure(std::move(failure->first), std::move(failure->second));
  Http2Server server(worker_, stream, exchanges, options, co_await net::asio::this_coro::executor);
  server2_ = &server;
  if (draining_) server.drain();
  co_await server.serve();
  server2_ = nullptr;
  requests_ = server.requests();
  if (server.complaint().empty()) co_return;
  record_failure(target, server.head_timed_out() ? FailureKind::kHeadTimeout : FailureKind::kBadRequest,
                 server.complaint());
}

// By prior knowledge (RFC 9113 §3.3). As with TLS the origin is dialled first, so that the client is offered what it
// is.
net::Task<void> ClientConnection::serve_plain_http2(const Target& target, UpstreamConnectionPtr upstream) {
  ClientFacts facts = facts_in(target);
  facts.http2_without_tls = true;
  std::optional<std::pair<std::string, ConnectFailure>> failure;
  std::string route_key;
  if (target.host != kSetupHost && !may_be_answered(target)) {
    Target origin = target;
    origin.scheme = "http";
    const Route route = route_of(worker_, origin, facts);
    route_key = route.key();
    failure = co_await dial_ahead(route, std::move(upstream));
  }
  co_await serve_http2(*tcp_, std::move(facts), std::move(failure), route_key);
}

net::Task<void> ClientConnection::serve_connect(const Target& target, std::string rest) {
  set_destination(authority_text(target.host, target.port, 0));
  bottom_->set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
  if (!co_await bottom_->write_all(kEstablished)) co_return;
  if (!rest.empty()) bottom_->unread(std::move(rest));
  co_await serve_destination(target, nullptr);
}

net::Task<void> ClientConnection::serve_destination(const Target& target, UpstreamConnectionPtr upstream) {
  auto first = co_await peek_enough(worker_.clock().mono() + worker_.limits().timeouts.server_first);
  co_await serve_first(target, std::move(upstream), std::move(first));
}

net::Task<void> ClientConnection::serve_first(const Target& target, UpstreamConnectionPtr upstream,
                                              Result<std::string> first) {
  if (!first && first.error().code == Code::kTimeout) {
    co_return co_await serve_silent_client(target, std::move(upstream));
  }
  if (!first || first->empty()) co_return record_left(target);
  switch (sniff(*first)) {
    case Sniffed::kTls:
      co_return co_await intercept(target, std::move(upstream));
    case Sniffed::kHttp:
      if (is_http2_preface(*first)) co_return co_await serve_plain_http2(target, std::move(upstream));
      co_return co_await serve_plain_http(target, std::move(upstream));
    case Sniffed::kSocks4:
    case Sniffed::kSocks5:
    case Sniffed::kNeedMore:
    case Sniffed::kOther:
      co_return co_await tunnel(target, std::move(upstream));
  }
}

net::Task<void> ClientConnection::serve_plain_http(const Target& target, UpstreamConnectionPtr upstream) {
  ClientFacts facts = facts_in(target);
  facts.tunnelled = upstream != nullptr;
  if (upstream) worker_.pool().put(std::move(upstream), worker_.clock().mono());
  co_await serve_http(*tcp_, std::move(facts), std::nullopt);
}

// Of a destination that is an address only the name is unknown, and any rule may be about that.
bool ClientConnection::may_be_answered(const Target& target) const {
  const rules::RuleBookPtr book = worker_.book();
  return by_address_ ? !book->empty() : book->may_answer(target.host);
}

// engine.md 4: no octet from the client for a while: perhaps the server speaks first. If the client turns out to have
// been slow only, it is intercepted after all.
net::Task<void> ClientConnection::serve_silent_client(const Target& target, UpstreamConnectionPtr upstream) {
  using namespace boost::asio::experimental::awaitable_operators;
  const auto& timeouts = worker_.limits().timeouts;
  bool spoke = false;
  if (!upstream && may_be_answered(target)) {
    // The origin may be one that a rule keeps from being contacted: a client that speaks at all speaks by then.
    const auto first = co_await peek_first(worker_.clock().mono() + timeouts.tls);
    if (!first && first.error().code != Code::kTimeout) co_return record_left(target);
    spoke = first.has_value();
  }
  std::optional<ConnectFailure> failure;
  if (!upstream && !spoke) {
    auto dialled = co_await connect_upstream(worker_, plain_route(target), nullptr);
    if (dialled)
      upstream = *std::move(dialled);
    else
      failure = std::move(dialled.error());
  }
  if (upstream) {
    net::Stream& origin = *upstream->stream;
    bottom_->set_deadline(worker_.clock().mono() + timeouts.idle);
    waiting_ = true;
    const auto ready = co_await (bottom_->wait_readable() || origin.wait_readable());
    waiting_ = false;
    bottom_->clear_deadline();
    if (ready.index() == 1) co_return co_await tunnel(target, std::move(upstream));
    if (!std::get<0>(ready)) co_return record_left(target);
  }
  // If there is no origin, the client's own first octets decide how it is told; one that still waits for the server's
  // is not kept waiting for ever.
  auto first = co_await peek_enough(worker_.clock().mono() + (failure ? timeouts.tls : timeouts.idle));
  if (failure && !first && first.error().code == Code::kTimeout) {
    record_failure(target, failure->kind, failure->message);
    bottom_->reset();
    co_return;
  }
  if (!first || first->empty()) co_return record_left(target);
  co_await serve_first(target, std::move(upstream), std::move(first));
}

net::Task<Result<tls::ClientHello>> ClientConnection::read_hello() {
  std::string octets;
  bottom_->set_deadline(worker_.clock().mono() + worker_.limits().timeouts.tls);
  for (;;) {
    const std::size_t had = octets.size();
    octets.resize(had + kFirstLook);
    auto got = co_await bottom_->read_some(MutableBytes(octets).subspan(had));
    octets.resize(had + (got ? *got : 0));
    if (!got) co_return fail(got.error());
    if (*got == 0) co_return fail(Code::kClosed, "the client ended in the middle of its ClientHello");
    auto hello = tls::parse_client_hello(octets);
    if (!hello) co_return fail(hello.error());
    if (*hello) {
      bottom_->unread(std::move(octets));
      co_return **std::move(hello);
    }
  }
}

// engine.md 2: the origin is dialled first, so that the client is offered what the server took. A failure is kept for
// the first request, which gets it as a page inside TLS.
net::Task<std::optional<std::pair<std::string, ConnectFailure>>> ClientConnection::dial_ahead(
    const Route& route, UpstreamConnectionPtr at_hand) {
  const std::string key = route.key();
  if (worker_.pool().has(key) || worker_.http2_upstreams().has(key)) co_return std::nullopt;
  // An HTTP/2 origin says more in its SETTINGS than in its handshake, and takes the first request on this connection.
  const RouteMemory* known = worker_.find_route(key);
  if (!at_hand && known && known->alpn != "h2") co_return std::nullopt;
  auto upstream = co_await connect_upstream(worker_, route, nullptr, std::move(at_hand));
  if (!upstream) co_return std::pair(key, std::move(upstream.error()));
  if ((*upstream)->alpn == "h2")
    Http2Upstream::start(worker_, *std::move(upstream), co_await net::asio::this_coro::executor);
  else
    worker_.pool().put(*std::move(upstream), worker_.clock().mono());
  co_return std::nullopt;
}

net::Task<void> ClientConnection::intercept(const Target& target, UpstreamConnectionPtr upstream) {
  auto connection = describe(connection_->destination);
  connection->process = connection_->process;
  connection->tls = std::make_shared<const flow::ClientTls>();
  connection_ = connection;
  auto hello = co_await read_hello();
  if (!hello) {
    record_failed_tls(target, connection_, "no TLS ClientHello: " + hello.error().message);
    co_return;
  }
  flow::ClientTls facts_of_tls;
  facts_of_tls.sni = hello->sni;
  facts_of_tls.alpn_offered = hello->alpn;
  const auto ja3 = fingerprint::ja3(*hello);
  const auto ja4 = fingerprint::ja4(*hello);
  facts_of_tls.ja3 = ja3.hash;
  facts_of_tls.ja3_text = ja3.text;
  facts_of_tls.ja4 = ja4.hash;
  facts_of_tls.ja4_raw = ja4.text;
  connection->tls = worker_.share(facts_of_tls);

  ClientFacts facts = facts_in(target);
  facts.tls = true;
  facts.sni = hello->sni;
  const std::string name = hello->sni.empty() ? target.host : hello->sni;
  Passthrough& passthrough = worker_.shared().passthrough;
  const TlsClient who{connection_->client_address, ja4.hash};
  const HostBook::Treatment wanted = worker_.hosts()->at(target.port).treatment(hello->sni, target.host);
  if (wanted.tls == TlsTreatment::kPassthrough ||
      (!wanted.chosen && passthrough.has_learned(who, name, worker_.clock().mono()))) {
    const PassedThrough what{target, connection_, plain_route(target, by_address_ ? hello->sni : ""), aborted_};
    co_return co_await relay_passthrough(worker_, *tcp_, what, nullptr);
  }
  const std::vector<std::string> offered = spoken_of(*hello);
  if (!offered.empty()) facts.alpn = offered;

  std::optional<std::pair<std::string, ConnectFailure>> failure;
  std::string route_key;
  std::optional<std::string> taken;  // by the origin, of what the client offers
  const rules::RuleBookPtr book = worker_.book();
  if (name != kSetupHost) {
    Target origin = target;
    origin.scheme = "https";
    origin.server_name = name;
    const Route route = route_of(worker_, origin, facts);
    route_key = route.key();
    if (!book->may_answer(name) && !book->may_answer(target.host)) {
      failure = co_await dial_ahead(route, std::move(upstream));
    }
    if (const RouteMemory* known = worker_.find_route(route_key)) taken = known->alpn;
  }
  const auto kind = tls::accepts_ecdsa(*hello) ? tls::KeyKind::kEcdsaP256 : tls::KeyKind::kRsa2048;
  { const tls::ClientHello read = *std::move(hello); }  // a kilobyte or two that would live as long as the connection
  auto leaf = worker_.leaves().find_or_mint(name, kind);
  if (!leaf) {
    record_failed_tls(target, connection_, leaf.error().message);
    co_return;
  }
  auto session = worker_.shared().server_tls->accept(*tcp_, *leaf, choose_alpn(offered, taken),
                                                     worker_.shared().authority->spki_sha256_base64() + name,
                                                     tls::highest_version(*hello));
  if (!session) {
    record_failed_tls(target, connection_, session.error().message);
    co_return;
  }
  tls_ = std::make_unique<net::TlsStream>(std::move(tcp_), *std::move(session));
  tls_->set_deadline(worker_.clock().mono() + worker_.limits().timeouts.tls);
  const Status done = co_await tls_->handshake();
  tls_->clear_deadline();
  const tls::SessionInfo info = tls_->session().info();
  facts_of_tls.protocol = info.protocol;
  facts_of_tls.cipher = info.cipher;
  facts_of_tls.alpn = info.alpn;
  facts_of_tls.resumed = info.resumed;
  connection->tls = worker_.share(std::move(facts_of_tls));
  const tls::HandshakeFailure& refused = tls_->session().failure();
  if (!done) {
    if (!aborted_ && is_refusal(refused)) passthrough.refused(who, name, worker_.clock().mono());
    record_failed_tls(target, connection_, done.error().message);
    co_return;
  }
  const MonoTime shaken = worker_.clock().mono();
  passthrough.shook_hands(who, name, shaken);
  if (info.alpn == "h2")
    co_await serve_http2(*tls_, std::move(facts), std::move(failure), route_key);
  else
    co_await serve_http(*tls_, std::move(facts), std::move(failure));
  const MonoTime now = worker_.clock().mono();
  if (requests_ > 0)
    passthrough.served(who, name);
  else if (!draining_ &&
           (is_refusal(refused) || (!tls_->heard() && refused.text.empty() && now - shaken < kRightAfter)))
    passthrough.refused(who, name, now);
  if (upgraded_) co_return;
  // In TLS 1.3 a client may refuse our certificate after it has ended its handshake.
  if (requests_ == 0 && refused.alert_from_peer) record_failed_tls(target, connection_, refused.text);
  tls_->close();
}

}  // namespace sluice::proxy

#include "proxy/upstream.h"

#include "base/url.h"
#include "fingerprint/fingerprint.h"
#include "net/tls_stream.h"
#include "proxy/remedy.h"
#include "proxy/transport.h"
#include "proxy/worker.h"
#include "tls/hello.h"

namespace sluice::proxy {
namespace {

const std::vector<std::string> kHttp1Alone = {"http/1.1"};

flow::ServerTls describe(const tls::SessionInfo& info, const std::string& server_hello,
                         const std::string& server_name) {
  flow::ServerTls tls;
  tls.protocol = info.protocol;
  tls.cipher = info.cipher;
  tls.alpn = info.alpn;
  tls.server_name = server_name;
  tls.resumed = info.resumed;
  tls.verified = info.verified;
  tls.verdict = info.verdict;
  tls.chain = info.chain;
  if (!server_hello.empty()) {
    if (const auto hello = tls::parse_server_hello(server_hello)) {
      const auto print = fingerprint::ja3s(*hello);
      tls.ja3s = print.hash;
      tls.ja3s_text = print.text;
    }
  }
  return tls;
}

}  // namespace

std::optional<ConnectFailure> refused_afterwards(const UpstreamConnection& connection) {
  if (!connection.session || connection.requests > 1) return std::nullopt;
  const tls::SessionInfo info = connection.session->info();
  const tls::HandshakeFailure& failure = connection.session->failure();
  std::string words = failure.text;
  if (!info.certificate_asked) {
    if (!failure.alert_from_peer) return std::nullopt;
    return ConnectFailure{FailureKind::kUpstreamTls, std::move(words), connection.info};
  }
  // A reset may have overtaken the alert that says why.
  if (words.empty() && info.certificate_given) {
    words = "the origin has probably refused the client certificate: it ended the connection without an answer";
  } else if (words.empty()) {
    words = "the origin asked for a client certificate, got none, and ended the connection";
  }
  words += remedy(FailureKind::kClientCertificate, {}, connection.info->tls->server_name, "");
  return ConnectFailure{FailureKind::kClientCertificate, std::move(words), connection.info};
}

net::Task<tl::expected<UpstreamConnectionPtr, ConnectFailure>> connect_upstream(Worker& worker, Route route,
                                                                                ConnectTimes* times,
                                                                                UpstreamConnectionPtr at_hand) {
  const Timeouts& timeouts = worker.limits().timeouts;
  const auto& shared = worker.shared();
  auto info = std::make_shared<flow::Upstream>();
  auto connection = std::make_unique<UpstreamConnection>();
  connection->route_key = route.key();
  std::unique_ptr<net::Stream> tcp;
  if (at_hand) {
    *info = *at_hand->info;
    tcp = std::move(at_hand->stream);
    connection->known = std::move(at_hand->known);
  } else {
    info->id = shared.next_upstream.fetch_add(1, std::memory_order_relaxed);
    auto transport = co_await open_transport(worker, route, *info, times);
    if (!transport) {
      if (route.via) transport.error().upstream = std::move(info);
      co_return tl::unexpected(std::move(transport.error()));
    }
    tcp = std::move(transport->stream);
    connection->known = std::move(transport->known);
    connection->forwarding = std::move(transport->forwarding);
  }
  if (!route.tls) {
    connection->stream = std::move(tcp);
    connection->info = std::move(info);
    if (route.http2) connection->alpn = "h2";
    co_return connection;
  }

  tls::ClientOptions options;
  options.server_name = route.profile.server_name;
  options.verify = route.profile.verify;
  options.alpn = route.profile.alpn;
  options.resume = worker.find_resumption(connection->route_key);
  options.identity = route.profile.identity;
  options.trust = route.profile.trust;
  options.minimum = route.profile.minimum;
  options.legacy = route.profile.legacy;
  auto session = shared.client_tls->connect(*tcp, options);
  if (!session) co_return tl::unexpected(ConnectFailure{FailureKind::kUpstreamTls, session.error().message, info});
  tls::ClientSession* client_session = session->get();
  auto stream = std::make_unique<net::TlsStream>(std::move(tcp), *std::move(session));
  stream->set_deadline(worker.clock().mono() + timeouts.tls);
  const Status done = co_await stream->handshake();
  const tls::SessionInfo session_info = client_session->info();
  info->tls = worker.share(describe(session_info, client_session->take_server_hello(), route.profile.server_name));
  if (!done) {
    // RFC 7301 §3.2: an origin that speaks HTTP/2 only. Its answers are translated.
    const tls::HandshakeFailure& why = client_session->failure();
    if (why.alert_from_peer && why.alert == "no_application_protocol" && route.profile.alpn == kHttp1Alone) {
      Route http2 = route;
      http2.profile.alpn = {"h2"};
      auto connected = co_await connect_upstream(worker, std::move(http2), times);
      if (connected) (*connected)->route_key = route.key();
      co_return connected;
    }
    const std::string where = authority_text(route.profile.server_name, route.dial_port, 443);
    FailureKind kind = FailureKind::kUpstreamTls;
    std::string message = "the TLS handshake with " + where + " failed: " + done.error().message;
    if (done.error().code == Code::kTimeout) {
      kind = FailureKind::kUpstreamTlsTimeout;
    } else if (session_info.is_untrusted() && route.profile.verify == tls::Verify::kRequired) {
      kind = FailureKind::kCertificate;
      message = "the certificate of " + where + " is not trusted: " + session_info.verdict;
    } else if (why.alert_from_peer && session_info.certificate_asked) {
      kind = FailureKind::kClientCertificate;
    }
    message += remedy(kind, why.remedy, route.profile.server_name, session_info.verdict);
    co_return tl::unexpected(ConnectFailure{kind, std::move(message), std::move(info)});
  }
  stream->clear_deadline();
  if (times) times->tls = worker.clock().mono();
  connection->alpn = session_info.alpn;
  worker.remember_route(connection->route_key, {session_info.alpn, worker.clock().mono(), false});
  connection->session = client_session;
  connection->stream = std::move(stream);
  connection->info = std::move(info);
  co_return connection;
}

}  // namespace sluice::proxy

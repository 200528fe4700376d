#include "proxy/transport.h"

#include <algorithm>

#include "base/url.h"
#include "net/dial.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"
#include "proxy/pac.h"
#include "proxy/via_proxy.h"
#include "proxy/worker.h"
#include "socks/client.h"

namespace sluice::proxy {
namespace {

using Opened = tl::expected<Transport, ConnectFailure>;

constexpr int kMostAttempts = 3;           // of one CONNECT: unasked, with the password, with a newer nonce
constexpr std::size_t kMostAddresses = 4;  // of an origin, offered to a SOCKS proxy that takes no names

tl::unexpected<ConnectFailure> failure(FailureKind kind, std::string message) {
  return tl::unexpected(ConnectFailure{kind, std::move(message), nullptr});
}

FailureKind kind_of(const net::DialFailure& failed) {
  switch (failed.step) {
    case net::DialStep::kResolve:
      return failed.code == Code::kTimeout ? FailureKind::kConnectTimeout : FailureKind::kResolve;
    case net::DialStep::kEgress:
      return FailureKind::kEgress;
    case net::DialStep::kGuard:
      return failed.code == Code::kConflict ? FailureKind::kLoop : FailureKind::kTargetForbidden;
    case net::DialStep::kConnect:
      if (failed.code == Code::kTimeout) return FailureKind::kConnectTimeout;
      return failed.error_number == ECONNREFUSED ? FailureKind::kConnectRefused : FailureKind::kConnect;
  }
  return FailureKind::kConnect;
}

net::Task<tl::expected<net::Dialled, net::DialFailure>> dial_to(Worker& worker, net::DialGuard& guard, std::string host,
                                                                std::uint16_t port, net::Grants grants) {
  const auto& shared = worker.shared();
  const MonoTime deadline = worker.clock().mono() + worker.limits().timeouts.connect;
  co_return co_await net::dial(shared.resolver, guard,
                               {std::move(host), port, std::move(grants), deadline, shared.options.outgoing_mark});
}

Transport transport_of(Worker& worker, net::Dialled& dialled, flow::Upstream& info, ConnectTimes* times) {
  if (times) {
    times->resolved = dialled.resolved;
    times->connected = dialled.connected;
  }
  info.address = dialled.address.address().to_string();
  info.port = dialled.address.port();
  Transport transport;
  transport.stream =
      std::make_unique<net::TcpStream>(std::move(dialled.socket), worker.readiness(), worker.deadlines());
  transport.known = std::move(dialled.known);
  return transport;
}

net::Task<Opened> open_directly(Worker& worker, const Route& route, flow::Upstream& info, ConnectTimes* times) {
  net::DialGuard& guard = route.remote ? worker.shared().remote_guard : worker.shared().guard;
  auto dialled = co_await dial_to(worker, guard, route.dial_host, route.dial_port, route.grants);
  if (!dialled) co_return failure(kind_of(dialled.error()), dialled.error().message);
  co_return transport_of(worker, *dialled, info, times);
}

// TLS to the proxy itself, before anything is said to it.
net::Task<Opened> shake_hands(Worker& worker, const UpstreamProxy& proxy, Transport transport) {
  tls::ClientOptions options;
  options.server_name = proxy.host();
  if (worker.shared().options.upstream_insecure) options.verify = tls::Verify::kRecordOnly;
  options.alpn = {"http/1.1"};
  auto session = worker.shared().client_tls->connect(*transport.stream, options);
  const std::string name = "the upstream proxy " + proxy.shown();
  if (!session) co_return failure(FailureKind::kUpstreamProxy, name + ": " + session.error().message);
  auto stream = std::make_unique<net::TlsStream>(std::move(transport.stream), *std::move(session));
  stream->set_deadline(worker.clock().mono() + worker.limits().timeouts.tls);
  const Status done = co_await stream->handshake();
  if (!done) {
    const tls::SessionInfo info = stream->session().info();
    if (done.error().code == Code::kTimeout) {
      co_return failure(FailureKind::kUpstreamProxyTimeout, name + " did not end its TLS handshake in time");
    }
    co_return failure(FailureKind::kUpstreamProxy,
                      name + (info.is_untrusted() ? " has a certificate that is not trusted: " + info.verdict
                                                  : ": the TLS handshake failed: " + done.error().message));
  }
  transport.stream = std::move(stream);
  co_return transport;
}

net::Task<Opened> reach(Worker& worker, const UpstreamProxy& proxy, flow::Upstream& info, ConnectTimes* times) {
  // Where the proxy stands is its owner's choice: what remote clients may not dial concerns their destinations. Whoever
  // set it, or the script that names it, answers for that choice.
  net::Grants grants;
  add_grant(grants, proxy.grant());
  auto dialled = co_await dial_to(worker, worker.shared().guard, proxy.host(), proxy.port(), std::move(grants));
  if (!dialled) {
    const FailureKind kind = kind_of(dialled.error());
    if (kind == FailureKind::kEgress) co_return failure(kind, dialled.error().message);
    const std::string name = "the upstream proxy " + proxy.shown();
    if (kind == FailureKind::kLoop) co_return failure(kind, name + " is Sluice itself");
    co_return failure(
        kind == FailureKind::kConnectTimeout ? FailureKind::kUpstreamProxyTimeout : FailureKind::kUpstreamProxy,
        name + " cannot be reached: " + dialled.error().message);
  }
  Transport transport = transport_of(worker, *dialled, info, times);
  if (proxy.scheme() != ProxyScheme::kHttps) co_return transport;
  co_return co_await shake_hands(worker, proxy, std::move(transport));
}

// A proxy has to dial the origin before it answers.
MonoTime answer_deadline(const Worker& worker) {
  const Timeouts& timeouts = worker.limits().timeouts;
  return worker.clock().mono() + timeouts.connect + timeouts.tls;
}

ConnectFailure from_via(ViaFailure failed) { return {failed.kind, std::move(failed.message), nullptr}; }

net::Task<Opened> open_connect(Worker& worker, const Route& route, const UpstreamProxy& proxy, flow::Upstream& info,
                               ConnectTimes* times) {
  for (int attempt = 1;; ++attempt) {
    auto transport = co_await reach(worker, proxy, info, times);
    if (!transport) co_return transport;
    transport->stream->set_deadline(answer_deadline(worker));
    auto through = co_await ask_connect(std::move(transport->stream), proxy, {route.dial_host, route.dial_port},
                                        worker.shared().entropy);
    if (!through && through.error().again && attempt < kMostAttempts) continue;
    if (!through) co_return tl::unexpected(from_via(std::move(through.error())));
    transport->stream = *std::move(through);
    transport->stream->clear_deadline();
    co_return transport;
  }
}

net::Task<Opened> open_socks(Worker& worker, const Route& route, const UpstreamProxy& proxy, flow::Upstream& info,
                             ConnectTimes* times) {
  std::vector<std::string> hosts{route.dial_host};
  const bool only_ipv4 = proxy.scheme() == ProxyScheme::kSocks4;
  if ((only_ipv4 || proxy.scheme() == ProxyScheme::kSocks5) && !is_ip_literal(route.dial_host)) {
    const MonoTime deadline = worker.clock().mono() + worker.limits().timeouts.connect;
    const auto found = co_await worker.shared().resolver.resolve(route.dial_host, deadline);
    if (!found) {
      co_return failure(found.error().code == Code::kTimeout ? FailureKind::kConnectTimeout : FailureKind::kResolve,
                        found.error().message);
    }
    hosts.clear();
    for (const auto& address : *found) {
      if (hosts.size() < kMostAddresses && (!only_ipv4 || address.is_v4())) hosts.push_back(address.to_string());
    }
    if (hosts.empty()) {
      co_return failure(FailureKind::kUpstreamProxy, "the name " + route.dial_host +
                                                         " has IPv6 addresses only, which SOCKS4 cannot reach: use "
                                                         "socks5 or socks5h for the upstream proxy");
    }
  }
  const MonoTime patience = answer_deadline(worker);
  for (std::size_t i = 0;; ++i) {
    auto transport = co_await reach(worker, proxy, info, times);
    if (!transport) co_return transport;
    transport->stream->set_deadline(answer_deadline(worker));
    auto through = co_await ask_socks(std::move(transport->stream), proxy, {hosts[i], route.dial_port});
    const bool more = i + 1 < hosts.size() && worker.clock().mono() < patience;
    if (!through && through.error().elsewhere && more) continue;
    if (!through) co_return tl::unexpected(from_via(std::move(through.error())));
    transport->stream = *std::move(through);
    transport->stream->clear_deadline();
    co_return transport;
  }
}

net::Task<tl::expected<void, ConnectFailure>> learn_challenge(Worker& worker, const UpstreamProxy& proxy,
                                                              HostPort origin) {
  flow::Upstream unnoted;
  auto transport = co_await reach(worker, proxy, unnoted, nullptr);
  if (!transport) co_return tl::unexpected(std::move(transport.error()));
  transport->stream->set_deadline(answer_deadline(worker));
  auto asked = co_await ask_challenge(*transport->stream, proxy, std::move(origin));
  if (!asked) co_return tl::unexpected(from_via(std::move(asked.error())));
  co_return tl::expected<void, ConnectFailure>();
}

net::Task<Opened> open_through(Worker& worker, const Route& route, UpstreamProxyPtr proxy, flow::Upstream& info,
                               ConnectTimes* times) {
  info.proxy = proxy->shown();
  if (!proxy->speaks_http()) co_return co_await open_socks(worker, route, *proxy, info, times);
  if (route.tls || route.http2 || route.tunnel) co_return co_await open_connect(worker, route, *proxy, info, times);
  if (proxy->auth().is_unsure()) {
    auto learned = co_await learn_challenge(worker, *proxy, {route.dial_host, route.dial_port});
    if (!learned) co_return tl::unexpected(std::move(learned.error()));
  }
  auto transport = co_await reach(worker, *proxy, info, times);
  if (!transport) co_return transport;
  transport->stream->clear_deadline();
  transport->forwarding.reset(
      new Forwarding{std::move(proxy), authority_text(route.dial_host, route.dial_port, 80), std::nullopt});
  co_return transport;
}

// What a client may not reach directly it may not reach through a proxy either, as far as that can be told from here: a
// proxy on this machine stands behind the guard, and one elsewhere may know other names.
net::Task<tl::expected<void, ConnectFailure>> judge(Worker& worker, const Route& route, const UpstreamProxy& proxy) {
  namespace ip = net::asio::ip;
  const auto& shared = worker.shared();
  const bool here =
      is_ip_literal(proxy.host()) ? is_local_address(ip::make_address(proxy.host())) : proxy.host() == "localhost";
  const bool literal = is_ip_literal(route.dial_host);
  if (!route.remote && !(here && (literal || route.dial_host == "localhost"))) {
    co_return tl::expected<void, ConnectFailure>();
  }
  const MonoTime deadline = worker.clock().mono() + worker.limits().timeouts.connect;
  const auto found = co_await shared.resolver.resolve(route.dial_host, deadline);
  if (!found) {
    if (!here) co_return tl::expected<void, ConnectFailure>();
    co_return failure(FailureKind::kTargetForbidden,
                      "a client on another machine may reach through a proxy on this one only what can be looked up "
                      "here: " +
                          found.error().message);
  }
  net::DialGuard& guard = route.remote ? shared.remote_guard : static_cast<net::DialGuard&>(shared.guard);
  for (const auto& address : *found) {
    const Status allowed = guard.may_dial(route.dial_host, address, route.dial_port);
    if (allowed) continue;
    const bool loop = allowed.error().code == Code::kConflict;
    if (loop && !here) continue;  // that address is the proxy's own there
    co_return failure(loop ? FailureKind::kLoop : FailureKind::kTargetForbidden, allowed.error().message);
  }
  co_return tl::expected<void, ConnectFailure>();
}

net::Task<Opened> open_judged(Worker& worker, const Route& route, UpstreamProxyPtr proxy, flow::Upstream& info,
                              ConnectTimes* times) {
  net::Egress* const egress = worker.shared().guard.egress();
  for (const std::string& grant : route.grants) {
    const Status named = egress ? egress->may_name(grant, route.dial_host, route.dial_port) : Status();
    if (!named) co_return failure(FailureKind::kEgress, named.error().message);
  }
  auto allowed = co_await judge(worker, route, *proxy);
  if (!allowed) co_return tl::unexpected(std::move(allowed.error()));
  co_return co_await open_through(worker, route, std::move(proxy), info, times);
}

// Another choice of a script may do better; what a proxy has decided stays decided.
bool goes_on(FailureKind kind) {
  switch (kind) {
    case FailureKind::kUpstreamProxy:
    case FailureKind::kUpstreamProxyTimeout:
    case FailureKind::kResolve:
    case FailureKind::kConnect:
    case FailureKind::kConnectRefused:
    case FailureKind::kConnectTimeout:
      return true;
    default:
      return false;
  }
}

ProxyScheme scheme_of(PacChoice::Kind kind) {
  switch (kind) {
    case PacChoice::Kind::kHttps:
      return ProxyScheme::kHttps;
    case PacChoice::Kind::kSocks4:
      return ProxyScheme::kSocks4;
    case PacChoice::Kind::kSocks5:
      return ProxyScheme::kSocks5h;  // as browsers do
    case PacChoice::Kind::kHttp:
    case PacChoice::Kind::kDirect:
      break;
  }
  return ProxyScheme::kHttp;
}

// Connections are kept for the whole origin, so that the script is asked about that and not about one path.
net::Task<Opened> open_by_script(Worker& worker, const Route& route, flow::Upstream& info, ConnectTimes* times) {
  const bool plain = !route.tls && !route.tunnel;
  const std::string url = std::string(plain ? "http://" : "https://") +
                          authority_text(route.dial_host, route.dial_port, plain ? 80 : 443) + '/';
  auto choices = co_await worker.shared().pac.resolve(worker, "pac+" + route.via->pac_url(), url, route.dial_host,
                                                      route.via->grant());
  if (!choices) co_return failure(FailureKind::kPac, choices.error().message);
  const MonoTime patience = answer_deadline(worker);
  for (std::size_t i = 0;; ++i) {
    const PacChoice& choice = (*choices)[i];
    UpstreamProxyPtr proxy;
    if (choice.kind != PacChoice::Kind::kDirect) {
      proxy =
          std::make_shared<const UpstreamProxy>(scheme_of(choice.kind), choice.host, choice.port, route.via->grant());
    }
    info.proxy = proxy ? proxy->shown() : "";
    Opened result = proxy ? co_await open_judged(worker, route, proxy, info, times)
                          : co_await open_directly(worker, route, info, times);
    const bool more = i + 1 < choices->size() && worker.clock().mono() < patience;
    if (result || !more || !goes_on(result.error().kind)) co_return result;
  }
}

}  // namespace

net::Task<Opened> open_transport(Worker& worker, const Route& route, flow::Upstream& info, ConnectTimes* times) {
  if (!route.via) co_return co_await open_directly(worker, route, info, times);
  info.proxy = route.via->shown();
  if (route.via->scheme() == ProxyScheme::kPac) co_return co_await open_by_script(worker, route, info, times);
  co_return co_await open_judged(worker, route, route.via, info, times);
}

net::Task<tl::expected<void, ConnectFailure>> refresh_challenge(Worker& worker, const Route& route,
                                                                const Forwarding& forwarding) {
  if (!forwarding.proxy->auth().uses_digest()) co_return tl::expected<void, ConnectFailure>();
  co_return co_await learn_challenge(worker, *forwarding.proxy, {route.dial_host, route.dial_port});
}

void note_egress(const Worker& worker, Route& route) {
  route.egress.clear();
  net::Egress* const egress = worker.shared().guard.egress();
  if (!egress) return;
  std::vector<std::string> all = route.grants;
  if (route.via) add_grant(all, route.via->grant());
  for (const std::string& grant : all) {
    route.egress +=
        " for " + std::to_string(grant.size()) + ':' + grant + ' ' + std::to_string(egress->revision(grant));
  }
}

void choose_upstream(const Worker& worker, Route& route, std::string_view scheme, std::string_view name, bool tunnel) {
  route.via = worker.upstreams().find(scheme, route.dial_host, route.dial_port, name);
  route.tunnel = tunnel && route.via && route.via->may_forward() && !route.tls && !route.http2;
  note_egress(worker, route);
}

}  // namespace sluice::proxy

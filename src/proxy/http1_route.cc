// Http1Server's way to an origin: its route, the connections that lie ready for it, and what becomes of them after.
#include "proxy/http1_server.h"
#include "proxy/transport.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Route route_of(const Worker& worker, const Target& target, const ClientFacts& facts, Passing passing,
               const std::vector<std::string>& causes) {
  const auto& upgraded = facts.upgraded_to;
  const bool elsewhere = upgraded && (upgraded->first != target.dial_host || upgraded->second != target.dial_port);
  Route route;
  route.remote = facts.remote;
  add_grant(route.grants, facts.grant);
  for (const std::string& grant : causes) add_grant(route.grants, grant);
  if (!elsewhere) route.identity = facts.identity;
  route.tls = target.scheme == "https";
  route.dial_host = target.dial_host;
  route.dial_port = target.dial_port;
  if (route.tls) {
    route.profile.server_name = target.server_name;
    const HostTerms& terms = worker.hosts()->find(target.server_name);
    route.profile.verify = terms.verify;
    route.profile.alpn = facts.alpn;
    route.profile.identity = terms.identity;
    route.profile.trust = terms.trust;
    route.profile.minimum = terms.min_tls;
    route.profile.legacy = terms.legacy_server;
  }
  route.http2 = !route.tls && facts.http2_without_tls && !elsewhere;
  // engine.md 2: the address dialled is the destination. A proxy that forwards would dial what the URL names.
  const bool misnamed = facts.has_destination() && target.dial_host == facts.destination_host &&
                        (target.host != target.dial_host || target.port != target.dial_port);
  if (facts.direct) {
    note_egress(worker, route);
    return route;
  }
  choose_upstream(worker, route, target.scheme, facts.by_address ? target.server_name : "",
                  passing == Passing::kOctets || facts.tunnelled || misnamed);
  return route;
}

// A policy has changed since, or a grant has ended.
bool Http1Server::is_judged_otherwise(const Route& route) const {
  if (route.egress.empty()) return false;
  Route now = route;
  note_egress(worker_, now);
  return now.egress != route.egress;
}

const Http1Server::KnownRoute& Http1Server::find_route(const Exchange& exchange) {
  const Target& target = exchange.target();
  const bool upgrades = !worker_.upstreams().empty() && http::is_upgrade(exchange.request());
  const HostBook* const hosts = worker_.hosts().get();  // may be newer than the route
  const std::uint64_t generation = worker_.upstream_generation();
  if (!known_route_ || known_route_->upgrades != upgrades || known_route_->generation != generation ||
      known_route_->hosts.get() != hosts || known_route_->target.scheme != target.scheme ||
      known_route_->target.dial_host != target.dial_host || known_route_->target.dial_port != target.dial_port ||
      known_route_->target.server_name != target.server_name || known_route_->target.host != target.host ||
      known_route_->causes != exchange.causes() || is_judged_otherwise(known_route_->route)) {
    Route route = route_of(worker_, target, facts_, upgrades ? Passing::kOctets : Passing::kHttp, exchange.causes());
    std::string key = route.key();
    known_route_.emplace(
        KnownRoute{target, std::move(route), std::move(key), upgrades, generation, exchange.causes(), worker_.hosts()});
  }
  return *known_route_;
}

// A connection that has carried a request before; null if there is none.
UpstreamConnectionPtr Http1Server::take_idle(const KnownRoute& known, net::Look look) {
  if (bound_ && bound_->route_key == known.key && bound_->stream->is_quiet(look)) return std::move(bound_);
  bound_.reset();
  if (first_failure_) return nullptr;  // acquire() has something to say first
  return worker_.pool().take(known.key, worker_.deadlines().last_tick(), look);
}

net::Task<UpstreamConnectionPtr> Http1Server::acquire(Exchange& exchange, const KnownRoute& known,
                                                      ConnectFailure& failure) {
  bound_.reset();
  if (first_failure_) {
    auto [failed_key, kept] = *std::move(first_failure_);
    first_failure_.reset();
    if (failed_key == known.key) {
      failure = std::move(kept);
      co_return nullptr;
    }
  }
  hold_rest();
  ConnectTimes times;
  auto connected = co_await connect_upstream(worker_, known.route, &times);
  if (times.resolved != MonoTime{}) exchange.reached(Exchange::Step::kResolved, times.resolved);
  if (times.connected != MonoTime{}) exchange.reached(Exchange::Step::kConnected, times.connected);
  if (times.tls != MonoTime{}) exchange.reached(Exchange::Step::kUpstreamTls, times.tls);
  if (!connected) {
    failure = std::move(connected.error());
    co_return nullptr;
  }
  co_return *std::move(connected);
}

// Once for each connection, when its tickets have come.
void Http1Server::remember_resumption(const UpstreamConnection& upstream) {
  if (!upstream.session || upstream.requests != 1) return;
  if (auto resumption = upstream.session->resumption()) {
    worker_.remember_resumption(upstream.route_key, std::move(resumption));
  }
}

// The exchange is over: its connection goes back to where the next one finds it.
void Http1Server::release(UpstreamConnectionPtr upstream, Exchange& exchange, Result result) {
  const bool lives = exchange.upstream_lives() && (result == Result::kDone || result == Result::kDoneClose);
  exchange.finish();
  remember_resumption(*upstream);
  if (!lives) {
    if (result == Result::kFailed) upstream->stream->reset();
  } else if (upstream->bound || exchange.binds_identity()) {
    upstream->bound = true;
    bound_ = std::move(upstream);
  } else if (!worker_.draining()) {
    worker_.pool().put(std::move(upstream), worker_.deadlines().last_tick());
  }
}

}  // namespace sluice::proxy

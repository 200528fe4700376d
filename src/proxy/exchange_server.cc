#include "proxy/exchange_server.h"

#include "proxy/http1_server.h"
#include "proxy/setup_page.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kCancel = 8;         // RFC 9113 §7
constexpr std::uint32_t kInternalError = 2;  // RFC 9113 §7

// gate.md 7. What answers itself instead of an origin, holds or edits is no place for a secret, either.
constexpr std::string_view kRuled =
    "it carries secrets, and a rule applies that could send them elsewhere or write them in another way; `direct` goes "
    "past rules";
bool is_ruled(const Exchange& exchange) {
  const rules::RuleBook::Plan& plan = exchange.message_plan();
  return !plan.applied.empty() || plan.answer_rules;
}

// gate.md 7: where a request may not go that carries secrets of `own`, after rules and by this route; empty: it may.
// Through a proxy only what the origin's certificate proves, by the CAs that this program was started with: a proxy and
// a CA are both what a tool may set.
std::string_view why_not_own(const Target& own, const Target& target, const Route& route) {
  if (target.scheme != own.scheme || target.host != own.host || target.port != own.port ||
      route.dial_host != own.dial_host || route.dial_port != own.dial_port) {
    return "it carries secrets of another origin than the one that it would be sent to";
  }
  if (!route.tls) {
    return route.via ? "it carries secrets, and an upstream proxy could read them: the origin has no TLS" : "";
  }
  if (route.profile.verify != tls::Verify::kRequired || route.profile.server_name != own.host) {
    return "it carries secrets, and the origin's certificate is not verified";
  }
  if (route.via && route.profile.trust) {
    return "it carries secrets, and behind an upstream proxy the origin is not trusted by a CA of its own";
  }
  return "";
}

// Whichever way serving it is left.
struct EndNotice {
  std::function<void(const Exchange&)> tell;
  Exchange& exchange;
  ~EndNotice() {
    if (tell) tell(exchange);
  }
};

}  // namespace

ExchangeServer::ExchangeServer(Worker& worker, ClientFacts facts, flow::ConnectionPtr connection,
                               std::string own_address)
    : worker_(worker),
      facts_(std::move(facts)),
      connection_(std::move(connection)),
      own_address_(std::move(own_address)),
      holding_(worker.shared().holds, worker.clock(), worker.deadlines()) {}

// engine.md 2: a connection that was made for one name carries no requests for another.
bool ExchangeServer::is_misdirected(const ResolvedTarget& target) const {
  if (!facts_.has_destination() || target.kind != TargetKind::kOrigin) return false;
  if (facts_.by_address && facts_.sni.empty()) return false;  // it was made for no name
  return target.target.host != (facts_.sni.empty() ? facts_.destination_host : facts_.sni) &&
         target.target.host != facts_.destination_host;
}

// An extended CONNECT names a resource as other requests do (RFC 8441 §4).
Result<ResolvedTarget> ExchangeServer::resolve(const Request& request) const {
  if (request.target) return ResolvedTarget{TargetKind::kOrigin, *request.target, 0};
  if (request.protocol.empty()) return resolve_target(request.head, facts_);
  http::RequestHead named = request.head;
  named.method = "GET";
  return resolve_target(named, facts_);
}

net::Task<void> ExchangeServer::serve(ClientEnd& client, Request request) {
  auto target = resolve(request);
  if (!target) {
    co_return co_await refuse(client, std::move(request), FailureKind::kBadRequest, target.error().message);
  }
  if (target->kind == TargetKind::kConnect) {
    co_return co_await refuse(client, std::move(request), FailureKind::kBadRequest,
                              "CONNECT inside a tunnel is not supported");
  }
  if (!request.target && is_misdirected(*target)) {
    co_return co_await refuse(client, std::move(request), FailureKind::kMisdirected,
                              "this connection was made for another host", *std::move(target));
  }
  if (target->kind == TargetKind::kSetup) co_return co_await serve_setup(client, request, target->target);

  const auto [sink, settings] = worker_.handling(target->target.host, target->target.port, target->target.server_name);
  static const auto kNoRules = std::make_shared<const rules::RuleBook>();
  Exchange exchange(sink, worker_.clock(), settings);
  const EndNotice notice{request.watch, exchange};
  const rules::RuleBookPtr book = request.past_rules ? kNoRules : worker_.book();
  const std::optional<Target> own = request.own_origin ? std::optional(target->target) : std::nullopt;
  StreamRelay::RequestBody body;
  body.is_over = request.framing.kind == http::Framing::kNone;
  body.protocol = std::move(request.protocol);
  body.weight = request.weight;
  Exchange::Next next = exchange.receive_request(std::move(request.head), request.framing, *std::move(target),
                                                 connection_, request.started, *book);
  if (notice.tell) notice.tell(exchange);
  StreamRelay relay(worker_, exchange, client, aborted_, holding_);
  if (next == Exchange::Next::kGather) {
    std::optional<std::string> content;
    if (!co_await relay.gather_request(content, body.begun)) co_return;
    if (content) body.is_over = true;
    next = exchange.gathered_request(std::move(content), *book);
  }
  if (own && is_ruled(exchange)) {  // all are known now, and none has it yet, nor a person who holds it
    const std::string page = exchange.failure_page(FailureKind::kSecretOrigin, kRuled);
    co_await relay.send_made(page);
    co_return exchange.finish();
  }
  if (const auto delay = exchange.delay(); delay.count() > 0 && !co_await pauses_.wait(delay)) {
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped");
    exchange.finish();
    client.cut(kCancel);
    co_return;
  }
  if (next == Exchange::Next::kHold) {
    const auto decided = co_await holding_.hold_request(exchange, [&client] { return client.has_left(); });
    if (!decided) {
      exchange.finish();
      client.cut(kCancel);
      co_return;
    }
    next = *decided;
  }
  switch (next) {
    case Exchange::Next::kDrop:
    case Exchange::Next::kAbort:
      exchange.finish();
      client.cut(kInternalError);
      co_return;
    case Exchange::Next::kAnswer: {
      // A socket, or a call that may go on for ever, is answered at once.
      const bool at_once = !body.is_over && exchange.may_be_endless();
      if (!body.is_over && !at_once && !co_await relay.discard_request() && exchange.failed()) co_return;
      const std::string made = exchange.answer();
      co_await relay.send_made(made);
      if (at_once) co_await relay.take_rest();
      co_return exchange.finish();
    }
    case Exchange::Next::kForward:
    case Exchange::Next::kGather:
    case Exchange::Next::kHold:
      break;
  }
  co_await forward(relay, exchange, std::move(body), own ? &*own : nullptr);
  if (aborted_ && !exchange.failed()) exchange.fail(FailureKind::kShutdown, "Sluice was stopped");
  exchange.finish();
}

net::Task<void> ExchangeServer::forward(StreamRelay& relay, Exchange& exchange, StreamRelay::RequestBody body,
                                        const Target* own) {
  const Route route = route_of(worker_, exchange.target(), facts_, Passing::kHttp, exchange.causes());
  if (const std::string_view why = own ? why_not_own(*own, exchange.target(), route) : ""; !why.empty()) {
    const std::string page = exchange.failure_page(FailureKind::kSecretOrigin, std::string(why));
    co_return co_await relay.send_made(page);
  }
  const std::string key = route.key();
  for (flow::UpstreamPtr failed;;) {
    if (first_failure_ && first_failure_->first == key) {
      const ConnectFailure failure = std::move(first_failure_->second);
      first_failure_.reset();
      exchange.set_upstream(failure.upstream);
      const std::string page = exchange.failure_page(failure.kind, failure.message);
      co_return co_await relay.send_made(page);
    }
    auto origin = co_await open_origin(worker_, exchange, route, key, failed);
    if (!origin) {
      exchange.set_upstream(origin.error().upstream);
      const std::string page = exchange.failure_page(origin.error().kind, origin.error().message);
      co_return co_await relay.send_made(page);
    }
    const MonoTime deadline = worker_.deadlines().in(worker_.limits().timeouts.tls);
    if (!body.protocol.empty() && !co_await (*origin)->takes_extended_connect(deadline)) {
      exchange.set_upstream((*origin)->info());
      const std::string page = exchange.failure_page(
          FailureKind::kBadAnswer, "the server takes no WebSockets and the like over HTTP/2 (RFC 8441 §3)");
      co_return co_await relay.send_made(page);
    }
    const StreamRelay::Result result = co_await relay.run(**origin, body);
    if (result != StreamRelay::Result::kRetry) co_return;
    failed = (*origin)->info();
  }
}

net::Task<void> ExchangeServer::refuse(ClientEnd& client, Request request, FailureKind kind, std::string message,
                                       std::optional<ResolvedTarget> target) {
  if (!target) {
    target.emplace();
    target->target.scheme = facts_.tls ? "https" : "http";
    target->target.host = facts_.destination_host;
    target->target.port = facts_.destination_port;
    target->target.path = request.head.target;
  }
  const auto [sink, settings] = worker_.handling(target->target.host, target->target.port, facts_.sni);
  Exchange exchange(sink, worker_.clock(), settings);
  static const rules::RuleBook kNoRules;
  exchange.receive_request(std::move(request.head), {}, *std::move(target), connection_, request.started, kNoRules);
  const std::string page = exchange.failure_page(kind, message);
  StreamRelay relay(worker_, exchange, client, aborted_, holding_);
  co_await relay.send_made(page);
  exchange.finish();
}

net::Task<void> ExchangeServer::serve_setup(ClientEnd& client, const Request& request, const Target& target) {
  const SetupAnswer answer = setup_answer(request.head.method, target.path.empty() ? "/" : target.path, own_address_,
                                          *worker_.shared().authority);
  client.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
  client.offer_head(answer.head, !answer.body.empty());
  if (!answer.body.empty()) {
    client.offer(Bytes(answer.body));
    client.offer_end(nullptr);
  }
  if (!client.has_room() && !co_await client.wait_room()) client.cut(kCancel);
}

}  // namespace sluice::proxy

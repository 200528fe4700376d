#include "proxy/upgraded.h"

#include "net/prefixed_stream.h"
#include "proxy/http1_server.h"
#include "proxy/http2_server.h"
#include "proxy/raw_relay.h"
#include "proxy/websocket_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

bool is_websocket(const Exchange& exchange) { return exchange.response().fields.has_token("upgrade", "websocket"); }
bool is_h2c(const Upgraded& upgraded) { return upgraded.exchange->response().fields.has_token("upgrade", "h2c"); }

// The 101 and what came behind it, and what came behind the request. They are not kept afterwards.
net::Task<Status> send_early(Worker& worker, net::Stream& client, Upgraded& upgraded) {
  const MonoTime until = worker.deadlines().in(worker.limits().timeouts.idle);
  client.set_deadline(until);
  upgraded.upstream->stream->set_deadline(until);
  const bool later = is_h2c(upgraded) ||  // they are read first
                     (is_websocket(*upgraded.exchange) && upgraded.exchange->edits_messages());
  const std::string octets = upgraded.exchange->response_octets() + (later ? "" : upgraded.early);
  if (Status sent = co_await client.write_all(octets); !sent || later) co_return sent;
  co_return co_await upgraded.upstream->stream->write_all(upgraded.client_early);
}

// Whether it ended in order.
net::Task<bool> serve_raw(Worker& worker, net::Stream& client, Upgraded& upgraded) {
  Exchange& exchange = *upgraded.exchange;
  exchange.become(flow::Protocol::kTcp);
  exchange.request_body(upgraded.client_early);
  exchange.response_body(upgraded.early);
  const auto record = [&exchange](flow::Direction direction, Bytes octets) {
    if (direction == flow::Direction::kRequest)
      exchange.request_body(octets);
    else
      exchange.response_body(octets);
  };
  const Status relayed = co_await relay_raw(client, *upgraded.upstream->stream, worker, record);
  if (relayed) co_return true;
  const bool idle = relayed.error().code == Code::kTimeout;
  exchange.fail(idle ? FailureKind::kIdleTimeout : FailureKind::kBodyCut, relayed.error().message);
  co_return false;
}

// RFC 7540 §3.2: the request that asked is stream 1 on both sides now, and the connection goes on as any other that
// speaks HTTP/2.
net::Task<bool> serve_h2c(Worker& worker, net::Stream& client, Upgraded& upgraded) {
  Exchange& exchange = *upgraded.exchange;
  const auto settings = exchange.request().fields.find("http2-settings");
  if (!settings) {  // the origin has taken an upgrade that nobody offered in full
    exchange.fail(FailureKind::kBadAnswer, "the server switched to h2c though the request had no HTTP2-Settings");
    co_return false;
  }
  const Http2Upgrade upgrade{std::string(*settings), exchange.sent_method()};
  const auto executor = co_await net::asio::this_coro::executor;
  // The requests that follow go to this origin connection, and nobody else's do.
  ClientFacts facts = upgraded.for_requests->facts;
  facts.http2_without_tls = true;
  facts.identity = "upgraded " + std::to_string(upgraded.upstream->info->id);
  http2::Options options = http2_options(worker.limits());
  if (!facts.has_destination()) {  // the requests that follow may be for anybody, as they might be without the upgrade
    facts.by_host = options.whole_urls = true;
    facts.upgraded_to.emplace(exchange.target().dial_host, exchange.target().dial_port);
  }
  const std::string key = route_of(worker, exchange.target(), facts).key();
  upgraded.upstream->stream =
      std::make_unique<net::PrefixedStream>(std::move(upgraded.upstream->stream), std::move(upgraded.early));
  upgraded.upstream->route_key = key;
  const auto origin = Http2Upstream::start(worker, std::move(upgraded.upstream), executor, &upgrade);

  net::PrefixedStream through(client, std::move(upgraded.client_early));
  ExchangeServer exchanges(worker, std::move(facts), upgraded.for_requests->connection,
                           upgraded.for_requests->own_address);
  Http2Server server(worker, through, exchanges, options, executor);
  if (const Status begun = server.upgraded(upgrade, exchange, origin->open_upgraded()); !begun) {
    exchange.fail(FailureKind::kBadRequest, begun.error().message);
    origin->stop();
    co_return false;
  }
  upgraded.http2 = &server;
  if (worker.draining()) server.drain();
  co_await server.serve();
  upgraded.http2 = nullptr;
  origin->stop();
  co_return !exchange.failed();
}

// What is not needed for the rest of a WebSocket's life.
void forget(Upgraded& upgraded) {
  std::string().swap(upgraded.client_early);
  std::string().swap(upgraded.early);
  std::string().swap(upgraded.upstream->route_key);  // for no other exchange
  upgraded.for_requests.reset();
  upgraded.exchange->forget_heads();
}

net::Task<bool> serve_websocket(Worker& worker, net::Stream& client, Upgraded& upgraded, const bool& aborted) {
  Exchange& exchange = *upgraded.exchange;
  exchange.become(flow::Protocol::kWebSocket);
  WebSocketWatcher watcher(exchange, worker.clock());
  const auto edits = WebSocketEdits::of(exchange, worker.exchange_settings().rule_body);
  if (edits) {
    const std::string to_client = edits->pass(flow::Direction::kResponse, upgraded.early, watcher);
    const std::string to_server = edits->pass(flow::Direction::kRequest, upgraded.client_early, watcher);
    if (!co_await client.write_all(to_client) || !co_await upgraded.upstream->stream->write_all(to_server)) {
      if (!aborted) exchange.fail(FailureKind::kClientAborted, "the connection ended while it was upgraded");
      co_return false;
    }
  } else {
    watcher.see_sent(flow::Direction::kRequest, upgraded.client_early);
    watcher.see_sent(flow::Direction::kResponse, upgraded.early);
  }
  forget(upgraded);
  const WebSocketRelayOptions options{worker.sink(), worker.deadlines(), worker.limits().timeouts,
                                      worker.limits().read_size, edits.get()};
  const WebSocketEnd end = co_await relay_websocket(client, *upgraded.upstream->stream, watcher, options);
  watcher.ended(flow::Direction::kRequest);
  watcher.ended(flow::Direction::kResponse);
  if (end.truncated) exchange.mark(http::Anomaly::kTruncatedTls);
  if (end.status) co_return true;
  if (end.status.error().code == Code::kTimeout) {
    exchange.fail(FailureKind::kIdleTimeout, "nothing passed on the WebSocket for too long");
  } else if (!aborted && end.client_failed) {
    exchange.fail(FailureKind::kClientAborted, "the client's connection was cut before a Close");
  } else if (!aborted) {
    exchange.fail(FailureKind::kBodyCut,
                  "the server's connection was cut before a Close: " + end.status.error().message);
  }
  co_return false;
}

}  // namespace

net::Task<void> serve_upgraded(Worker& worker, net::Stream& client, Upgraded& upgraded, const bool& aborted) {
  Exchange& exchange = *upgraded.exchange;
  bool whole = false;
  if (!co_await send_early(worker, client, upgraded)) {
    if (!aborted) exchange.fail(FailureKind::kClientAborted, "the connection ended while it was upgraded");
  } else if (is_websocket(exchange)) {
    // RFC 6455 §4.1: what the answer says is what the client goes by.
    whole = co_await serve_websocket(worker, client, upgraded, aborted);
  } else if (is_h2c(upgraded)) {
    whole = co_await serve_h2c(worker, client, upgraded);
  } else {
    whole = co_await serve_raw(worker, client, upgraded);
  }
  if (whole) {
    exchange.request_ended();
    exchange.response_ended();
  } else {
    if (aborted) exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the exchange was over");
    client.reset();
    if (upgraded.upstream) upgraded.upstream->stream->reset();
  }
  exchange.finish();
}

}  // namespace sluice::proxy

#include "proxy/upgraded.h"

#include "proxy/raw_relay.h"
#include "proxy/websocket_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

// The 101 and what came behind it, and what came behind the request. They are not kept afterwards.
net::Task<Status> send_early(Worker& worker, net::Stream& client, Upgraded& upgraded) {
  const MonoTime until = worker.deadlines().in(worker.limits().timeouts.idle);
  client.set_deadline(until);
  upgraded.upstream->stream->set_deadline(until);
  if (Status sent = co_await client.write_all(upgraded.exchange->response_octets() + upgraded.early); !sent) {
    co_return sent;
  }
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

// What is not needed for the rest of a WebSocket's life.
void forget(Upgraded& upgraded) {
  std::string().swap(upgraded.client_early);
  std::string().swap(upgraded.early);
  upgraded.exchange->forget_heads();
}

net::Task<bool> serve_websocket(Worker& worker, net::Stream& client, Upgraded& upgraded, const bool& aborted) {
  Exchange& exchange = *upgraded.exchange;
  exchange.become(flow::Protocol::kWebSocket);
  WebSocketWatcher watcher(exchange, worker.clock());
  watcher.see_sent(flow::Direction::kRequest, upgraded.client_early);
  watcher.see_sent(flow::Direction::kResponse, upgraded.early);
  forget(upgraded);
  const WebSocketRelayOptions options{worker.sink(), worker.deadlines(), worker.limits().timeouts,
                                      worker.limits().read_size, worker.shared().on_bug};
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
  } else if (exchange.response().fields.has_token("upgrade", "websocket")) {
    // RFC 6455 §4.1: what the answer says is what the client goes by.
    whole = co_await serve_websocket(worker, client, upgraded, aborted);
  } else {
    whole = co_await serve_raw(worker, client, upgraded);
  }
  if (whole) {
    exchange.request_ended();
    exchange.response_ended();
  } else {
    if (aborted) exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the exchange was over");
    client.reset();
    upgraded.upstream->stream->reset();
  }
  exchange.finish();
}

}  // namespace sluice::proxy

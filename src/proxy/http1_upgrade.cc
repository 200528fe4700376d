// After a 101 that was asked for: octets of another protocol, both ways. A part of Http1Server.
#include "proxy/http1_server.h"
#include "proxy/raw_relay.h"
#include "proxy/websocket_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

// In a coroutine of its own: what has been sent is not kept for as long as the tunnel lives.
net::Task<Status> send_early(net::Stream& client, net::Stream& upstream, std::string for_client, Bytes for_origin) {
  if (Status sent = co_await client.write_all(for_client); !sent) co_return sent;
  co_return co_await upstream.write_all(for_origin);
}

}  // namespace

net::Task<Http1Server::Result> Http1Server::tunnel(Exchange& exchange, net::Stream& upstream, std::string early) {
  std::string client_early = reader_.take_rest();
  if (!co_await send_early(client_, upstream, exchange.response_octets() + early, client_early)) {
    fail_for_client(exchange, "the connection ended while it was upgraded");
    co_return Result::kFailed;
  }
  // RFC 6455 §4.1: what the answer says is what the client goes by.
  if (exchange.response().fields.has_token("upgrade", "websocket")) {
    exchange.become(flow::Protocol::kWebSocket);
    co_return co_await websocket(exchange, upstream, std::move(client_early), std::move(early));
  }
  exchange.become(flow::Protocol::kTcp);
  exchange.request_body(client_early);
  exchange.response_body(early);
  const Status relayed = co_await relay_raw(client_, upstream, worker_, [&](flow::Direction direction, Bytes octets) {
    if (direction == flow::Direction::kRequest)
      exchange.request_body(octets);
    else
      exchange.response_body(octets);
  });
  if (relayed) {
    exchange.request_ended();
    exchange.response_ended();
  } else if (aborted_) {
    fail_for_client(exchange, "");
  } else {
    const bool idle = relayed.error().code == Code::kTimeout;
    exchange.fail(idle ? FailureKind::kIdleTimeout : FailureKind::kBodyCut, relayed.error().message);
  }
  co_return relayed ? Result::kDoneClose : Result::kFailed;
}

// The early octets have been sent.
net::Task<Http1Server::Result> Http1Server::websocket(Exchange& exchange, net::Stream& upstream,
                                                      std::string client_early, std::string early) {
  WebSocketWatcher watcher(exchange, worker_.clock());
  watcher.see_sent(flow::Direction::kRequest, client_early);
  watcher.see_sent(flow::Direction::kResponse, early);
  std::string().swap(client_early);  // not kept for as long as the WebSocket lives
  std::string().swap(early);
  const WebSocketRelayOptions options{worker_.sink(), worker_.clock(), worker_.limits().timeouts,
                                      worker_.limits().read_size, worker_.shared().on_bug};
  const WebSocketEnd end = co_await relay_websocket(client_, upstream, watcher, options);
  watcher.ended(flow::Direction::kRequest);
  watcher.ended(flow::Direction::kResponse);
  if (end.truncated) exchange.mark(http::Anomaly::kTruncatedTls);
  if (end.status) {
    exchange.request_ended();
    exchange.response_ended();
    co_return Result::kDoneClose;
  }
  if (end.status.error().code == Code::kTimeout)
    exchange.fail(FailureKind::kIdleTimeout, "nothing passed on the WebSocket for too long");
  else if (end.client_failed || aborted_)
    fail_for_client(exchange, "the client's connection was cut before a Close");
  else
    exchange.fail(FailureKind::kBodyCut,
                  "the server's connection was cut before a Close: " + end.status.error().message);
  co_return Result::kFailed;
}

}  // namespace sluice::proxy

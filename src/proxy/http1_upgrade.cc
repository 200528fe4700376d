// After a 101 that was asked for: octets of another protocol, both ways. A part of Http1Server.
#include "proxy/http1_server.h"
#include "proxy/raw_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {

net::Task<Http1Server::Result> Http1Server::tunnel(Exchange& exchange, net::Stream& upstream, std::string early) {
  exchange.become(exchange.request().fields.has_token("upgrade", "websocket") ? flow::Protocol::kWebSocket
                                                                              : flow::Protocol::kTcp);
  std::string octets = exchange.response_octets() + early;
  exchange.response_body(early);
  const std::string client_early = reader_.take_rest();
  exchange.request_body(client_early);
  if (!co_await client_.write_all(octets) || !co_await upstream.write_all(client_early)) {
    fail_for_client(exchange, "the connection ended while it was upgraded");
    co_return Result::kFailed;
  }
  const Status relayed = co_await relay_raw(client_, upstream, worker_, [&](flow::Direction direction, Bytes octets_) {
    if (direction == flow::Direction::kRequest)
      exchange.request_body(octets_);
    else
      exchange.response_body(octets_);
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

}  // namespace sluice::proxy

// What of a client connection is not HTTP: raw tunnels, and the records of connections that came to nothing.
#include "proxy/client_connection.h"
#include "proxy/raw_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Worker::Handling ClientConnection::handling(const Target& target) const {
  const bool named = connection_->tls && !connection_->tls->sni.empty();
  return worker_.handling(named ? connection_->tls->sni : target.host, target.port, target.host);
}

// A connection to somewhere of which nothing came.
void ClientConnection::record_left(const Target& target) {
  const auto [sink, settings] = handling(target);
  Exchange exchange(sink, worker_.clock(), settings);
  exchange.open_tunnel(target, connection_);
  if (draining_)
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the client sent anything");
  else
    exchange.fail(FailureKind::kClientAborted, "the client left before it sent anything");
  exchange.finish();
}

// Raw octets, recorded as protocol tcp.
net::Task<void> ClientConnection::tunnel(const Target& target, UpstreamConnectionPtr upstream) {
  const auto [sink, settings] = handling(target);
  Exchange exchange(sink, worker_.clock(), settings);
  exchange.open_tunnel(target, connection_);
  if (!upstream) {
    auto connected = co_await connect_upstream(worker_, plain_route(target), nullptr);
    if (!connected) {
      exchange.fail(connected.error().kind, connected.error().message);
      exchange.finish();
      bottom_->reset();
      co_return;
    }
    upstream = *std::move(connected);
  }
  exchange.tunnel_connected(upstream->info);
  const Status relayed = co_await relay_raw(*tcp_, *upstream->stream, worker_, [&](flow::Direction way, Bytes octets) {
    if (way == flow::Direction::kRequest)
      exchange.request_body(octets);
    else
      exchange.response_body(octets);
  });
  if (relayed) {
    exchange.request_ended();
    exchange.response_ended();
  } else if (aborted_) {
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the connection was over");
  } else {
    const bool idle = relayed.error().code == Code::kTimeout;
    exchange.fail(idle ? FailureKind::kIdleTimeout : FailureKind::kBodyCut, relayed.error().message);
  }
  exchange.finish();
}

void ClientConnection::record_failure(const Target& target, FailureKind kind, std::string_view message) {
  const auto [sink, settings] = handling(target);
  Exchange exchange(sink, worker_.clock(), settings);
  exchange.open_tunnel(target, connection_);
  exchange.fail(kind, message);
  exchange.finish();
}

void ClientConnection::record_failed_tls(const Target& target, const flow::ConnectionPtr& connection,
                                         std::string_view message) {
  const auto [sink, settings] = handling(target);
  Exchange exchange(sink, worker_.clock(), settings);
  exchange.open_tunnel(target, connection);
  exchange.become(flow::Protocol::kTls);
  exchange.fail(FailureKind::kClientTls, message);
  exchange.finish();
}

}  // namespace sluice::proxy

#include "proxy/passthrough_relay.h"

#include "base/url.h"
#include "fingerprint/fingerprint.h"
#include "proxy/raw_relay.h"
#include "proxy/upstream.h"
#include "proxy/worker.h"
#include "tls/server_hello_reader.h"

namespace sluice::proxy {
namespace {

// Counts what passes, and records the origin once its hello was seen (or will not be): a record of an upstream does not
// change.
class Watch {
 public:
  Watch(Exchange& exchange, flow::UpstreamPtr upstream, const std::string& sni)
      : exchange_(exchange), upstream_(std::move(upstream)), sni_(sni) {}

  void passed(flow::Direction way, Bytes octets) {
    exchange_.count_body(way, octets.size());
    if (way == flow::Direction::kRequest || connected_) return;
    reader_.feed(octets);
    if (reader_.done()) connected();
  }
  void connected() {
    if (connected_) return;
    connected_ = true;
    if (!reader_.hello()) return exchange_.tunnel_connected(upstream_);
    auto known = std::make_shared<flow::Upstream>(*upstream_);
    flow::ServerTls tls;
    const auto print = fingerprint::ja3s(*reader_.hello());
    tls.protocol = tls::version_name(reader_.hello()->selected_version);
    tls.cipher = tls::cipher_suite_name(reader_.hello()->cipher_suite);
    tls.server_name = sni_;
    tls.ja3s = print.hash;
    tls.ja3s_text = print.text;
    tls.verdict = "not looked at: passed through";
    known->tls = std::make_shared<const flow::ServerTls>(std::move(tls));
    exchange_.tunnel_connected(std::move(known));
  }

 private:
  Exchange& exchange_;
  flow::UpstreamPtr upstream_;
  const std::string& sni_;
  tls::ServerHelloReader reader_;
  bool connected_ = false;
};

}  // namespace

net::Task<void> relay_passthrough(Worker& worker, net::TcpStream& client, PassedThrough what,
                                  UpstreamConnectionPtr upstream) {
  client.clear_deadline();  // of reading the hello
  const std::string& sni = what.connection->tls->sni;
  const auto [sink, settings] =
      worker.handling(sni.empty() ? what.target.host : sni, what.target.port, what.target.host);
  Exchange exchange(sink, worker.clock(), settings);
  exchange.open_tunnel(what.target, what.connection, flow::Protocol::kTls);
  if (!sni.empty() && sni != what.target.host && !is_ip_literal(what.target.host)) {
    exchange.mark(http::Anomaly::kAuthorityMismatch);
  }
  if (!upstream) {
    auto connected = co_await connect_upstream(worker, what.route, nullptr);
    if (!connected) {
      exchange.fail(connected.error().kind, connected.error().message);
      exchange.finish();
      client.reset();
      co_return;
    }
    upstream = *std::move(connected);
  }
  Watch watch(exchange, upstream->info, sni);
  const Status relayed = co_await relay_raw(client, *upstream->stream, worker,
                                            [&](flow::Direction way, Bytes octets) { watch.passed(way, octets); });
  watch.connected();
  if (relayed) {
    exchange.request_ended();
    exchange.response_ended();
  } else if (what.stopped) {
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the connection was over");
  } else {
    const bool idle = relayed.error().code == Code::kTimeout;
    exchange.fail(idle ? FailureKind::kIdleTimeout : FailureKind::kBodyCut, relayed.error().message);
  }
  exchange.finish();
}

}  // namespace sluice::proxy

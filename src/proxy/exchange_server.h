// Serves exchanges of one client connection whose ends are event sources (ends.h): target, rules, the origin, the
// relay. HTTP/1 connections have their own (http1_server.h); HTTP/2 streams come here, each in its own coroutine.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "proxy/holds.h"
#include "proxy/origin.h"
#include "proxy/pause.h"
#include "proxy/stream_relay.h"
#include "proxy/target.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Worker;

class ExchangeServer {
 public:
  ExchangeServer(Worker& worker, ClientFacts facts, flow::ConnectionPtr connection, std::string own_address);

  // A dial that was made before the client's handshake and failed: the first request of its route gets this answer.
  void set_first_failure(std::string route_key, ConnectFailure failure) {
    first_failure_.emplace(std::move(route_key), std::move(failure));
  }
  // The same connection with more known of it.
  void set_connection(flow::ConnectionPtr connection) { connection_ = std::move(connection); }
  const flow::ConnectionPtr& connection() const { return connection_; }

  struct Request {
    http::RequestHead head;
    http::BodyFraming framing;
    MonoTime started;
    std::string protocol;                 // of an extended CONNECT (RFC 8441)
    std::optional<std::uint16_t> weight;  // of the client's stream (RFC 7540 §5.3.2)
    std::optional<Target> target;         // where it goes, whatever its head says
    bool past_rules = false;
    bool own_origin = false;  // SendRequest::own_origin
    // Called when its record was begun, and when it has ended; may be empty.
    std::function<void(const Exchange&)> watch;
  };
  net::Task<void> serve(ClientEnd& client, Request request);
  // Records a request that never became an exchange, and answers it. `target`: as far as it is known.
  net::Task<void> refuse(ClientEnd& client, Request request, FailureKind kind, std::string message,
                         std::optional<ResolvedTarget> target = std::nullopt);
  // What runs is recorded as stopped by Sluice rather than left by its client.
  void abort() {
    aborted_ = true;
    pauses_.end();
    holding_.end();
  }
  const bool& aborted() const { return aborted_; }
  HoldPoint& holding() { return holding_; }

 private:
  net::Task<void> serve_setup(ClientEnd& client, const Request& request, const Target& target);
  net::Task<void> forward(StreamRelay& relay, Exchange& exchange, StreamRelay::RequestBody body, const Target* own);
  Result<ResolvedTarget> resolve(const Request& request) const;
  bool is_misdirected(const ResolvedTarget& target) const;

  Worker& worker_;
  ClientFacts facts_;
  flow::ConnectionPtr connection_;
  std::string own_address_;
  std::optional<std::pair<std::string, ConnectFailure>> first_failure_;
  Pauses pauses_;
  HoldPoint holding_;
  bool aborted_ = false;
};

}  // namespace sluice::proxy

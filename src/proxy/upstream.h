// Connects to an origin for a route: dial, TLS, and the facts for the record.
#pragma once

#include <optional>
#include <tl/expected.hpp>

#include "net/stream.h"
#include "proxy/error_reply.h"
#include "proxy/pool.h"
#include "proxy/route.h"

namespace sluice::proxy {

class Worker;

struct ConnectFailure {
  FailureKind kind = FailureKind::kConnect;
  std::string message;
  flow::UpstreamPtr upstream;  // what is known: the chain of a certificate that was refused
};

// When the steps of a dial were over; zero if they did not happen.
struct ConnectTimes {
  MonoTime resolved{}, connected{}, tls{};
};

// `at_hand`: a connection of a route without TLS to the same address, taken instead of a new one.
net::Task<tl::expected<UpstreamConnectionPtr, ConnectFailure>> connect_upstream(
    Worker& worker, Route route, ConnectTimes* times, UpstreamConnectionPtr at_hand = nullptr);

// Why an origin ended a connection without an answer, where TLS knows: in TLS 1.3 an origin says only then that it
// wants a client certificate, or another one; and one may end it with an alert. nullopt: TLS has nothing to say.
std::optional<ConnectFailure> refused_afterwards(const UpstreamConnection& connection);

}  // namespace sluice::proxy

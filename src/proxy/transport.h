// The octets' way to an origin: TCP, or a tunnel through the upstream proxy of the route, or a connection to a proxy
// that forwards HTTP. The only place where the engine dials. engine.md 2, docs/upstream.md.
#pragma once

#include <memory>
#include <tl/expected.hpp>

#include "proxy/forwarding.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Worker;

struct Transport {
  std::unique_ptr<net::Stream> stream;
  std::shared_ptr<const void> known;       // UpstreamConnection::known
  std::unique_ptr<Forwarding> forwarding;  // ... the same
};

// `info` gets the address dialled and the proxy's name, also of a failure.
net::Task<tl::expected<Transport, ConnectFailure>> open_transport(Worker& worker, const Route& route,
                                                                  flow::Upstream& info, ConnectTimes* times);

// Before a request whose body can be sent only once goes to a proxy that forwards: what it asks of us now. A nonce may
// have run out.
net::Task<tl::expected<void, ConnectFailure>> refresh_challenge(Worker& worker, const Route& route,
                                                                const Forwarding& forwarding);

// Sets `egress` of a route whose grants are known: anew for each request, or a policy that changed would not count.
void note_egress(const Worker& worker, Route& route);

// Sets `via`, `tunnel` and `egress` of a route by the table in force. `scheme` as in UpstreamTable::find(); `name`: of
// a destination that is an address only.
void choose_upstream(const Worker& worker, Route& route, std::string_view scheme, std::string_view name, bool tunnel);

}  // namespace sluice::proxy

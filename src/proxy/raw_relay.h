// Relays raw octets both ways until both directions have ended: after Upgrade, and for what is not HTTP.
#pragma once

#include <functional>

#include "flow/exchange.h"
#include "net/stream.h"

namespace sluice::proxy {

class Worker;

// `record` gets each piece before it is sent on. kTimeout: idle; kClosed: one side died; success: both ended in order.
// Each direction is closed on its own (half-close).
net::Task<Status> relay_raw(net::Stream& client, net::Stream& upstream, Worker& worker,
                            std::function<void(flow::Direction, Bytes)> record);

}  // namespace sluice::proxy

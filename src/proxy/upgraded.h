// What is left of an HTTP/1 connection after a 101 that was asked for (RFC 9110 §7.8): two streams that carry another
// protocol, and the record of it. It outlives the HTTP server and its coroutines, since a WebSocket mostly idles and is
// to cost little then.
#pragma once

#include <memory>
#include <string>

#include "proxy/exchange.h"
#include "proxy/seats.h"
#include "proxy/target.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Worker;
class Http2Server;

struct Upgraded {
  Seats::Seat<Exchange> exchange;   // has its answer
  UpstreamConnectionPtr upstream;   // until an upgrade to h2c has taken it
  Http2Server* http2 = nullptr;     // while it runs, after such an upgrade
  std::string client_early, early;  // octets that came behind the request, and behind the 101
  // Of the client's connection, for requests that come after an upgrade to h2c. Gone after another.
  struct ForRequests {
    ClientFacts facts;
    flow::ConnectionPtr connection;
    std::string own_address;
  };
  std::unique_ptr<ForRequests> for_requests;
};

// Sends the 101, relays until both sides have ended, and ends the record. `aborted` is looked at when it is over: who
// sets it cancels the waits of both streams, or aborts `http2`.
net::Task<void> serve_upgraded(Worker& worker, net::Stream& client, Upgraded& upgraded, const bool& aborted);

}  // namespace sluice::proxy

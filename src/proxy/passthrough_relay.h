// A TLS connection that is not intercepted: octets both ways as they came, recorded as protocol tls with the client's
// prints, the server's hello and how many octets went each way. None of them are stored: they are ciphertext.
#pragma once

#include "net/tcp_stream.h"
#include "proxy/passthrough.h"
#include "proxy/pool.h"
#include "proxy/route.h"
#include "proxy/target.h"

namespace sluice::proxy {

class Worker;

struct PassedThrough {
  const Target& target;
  flow::ConnectionPtr connection;  // with the client's hello
  Route route;                     // without TLS of ours
  const bool& stopped;             // Sluice ends the connection
};

// The client's hello lies unread in `client`. `upstream`: to there, if it was dialled already; else null.
net::Task<void> relay_passthrough(Worker& worker, net::TcpStream& client, PassedThrough what,
                                  UpstreamConnectionPtr upstream);

}  // namespace sluice::proxy

// Every limit and time-out of the engine: a named number with its unit, its default and the reason.
// Built once by app/config, passed down by value or reference; never a global.
#pragma once

#include <chrono>
#include <cstddef>

#include "base/bytes.h"

namespace sluice {

struct HttpLimits {
  ByteCount max_head = 256 * kKiB;      // start line and fields together; browsers stop near 256 KiB of cookies
  std::size_t max_fields = 1'000;       // fields of one head or trailer section
  ByteCount max_chunk_line = 4 * kKiB;  // chunk size and extensions; endless extensions are an attack (RFC 9112 §7.1.1)
};

struct Timeouts {
  std::chrono::milliseconds connect{10'000};      // one TCP connection, all addresses together
  std::chrono::milliseconds tls{10'000};          // one TLS handshake, either side
  std::chrono::milliseconds client_head{30'000};  // from the first byte of a request to the end of its head
  std::chrono::milliseconds first_byte{60'000};   // from the request sent to the first byte of the answer
  std::chrono::milliseconds idle{300'000};        // no byte in either direction
  // No byte either way on a WebSocket, pings included. Silence is what many of them are for, and TCP keep-alive finds
  // the dead within ten minutes; a day, so that what both sides have forgotten ends at all.
  std::chrono::milliseconds websocket_idle{86'400'000};
  std::chrono::milliseconds upstream_idle{30'000};  // a pooled connection; most origins close theirs after 60 s or more
  std::chrono::milliseconds server_first{300};  // CONNECT without client bytes: the server speaks first (engine.md 4)
  std::chrono::milliseconds drain{5'000};       // SIGTERM: for exchanges in flight
};

struct ProxyLimits {
  HttpLimits http;
  Timeouts timeouts;
  std::size_t max_connections = 10'000;        // client connections; each intercepted pair costs about 36 KB
  std::size_t upstream_idle_per_worker = 256;  // pooled connections
  ByteCount bodies_held = 64 * kMiB;           // in HTTP/2 streams whose other side is slow, per process (engine.md 5)
  ByteCount read_size = 64 * kKiB;             // one read of a body: four TLS records in one system call
  ByteCount rule_body = 8 * kMiB;              // gathered for a rule, on the wire and decoded (engine.md 6)
};

struct CaptureLimits {
  std::size_t ring_exchanges = 10'000;
  ByteCount ring_memory = 32 * kMiB;    // heads and index
  ByteCount spool_disk = 2 * kGiB;      // bodies; the oldest segment goes first
  ByteCount max_body = 256 * kMiB;      // of one body; the rest is counted, not kept
  ByteCount in_flight = 16 * kMiB;      // between the pumps and the disk, per process; beyond it bodies are cut
  ByteCount chunk = 256 * kKiB;         // unit of the above; aligned
  std::chrono::milliseconds flush{10};  // the writer's timer; it is never woken for a record
};

struct McpLimits {
  ByteCount max_message = 4 * kMiB;         // one JSON-RPC message
  ByteCount max_owner_message = 64 * kMiB;  // over the owner's socket: the command line imports what it exported
  std::size_t max_sessions = 1'000;         // legacy sessions
  std::chrono::minutes session_idle{60};
  std::size_t answer_units = 24'000;  // UTF-16 units of one answer's text (engine.md 8)
  ByteCount max_included_body = 1 * kMiB;
  std::size_t max_in_flight = 64;  // calls of one connection or session
};

}  // namespace sluice

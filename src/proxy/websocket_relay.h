// Relays a WebSocket over two streams: octets go on as they stood, at once, and a watcher sees them. A slow receiver
// pauses the reading; nothing is held while both are silent. RFC 6455; docs/architecture.md.
#pragma once

#include "base/limits.h"
#include "flow/sink.h"
#include "net/deadlines.h"
#include "net/stream.h"
#include "proxy/websocket_edits.h"
#include "proxy/websocket_watcher.h"

namespace sluice::proxy {

struct WebSocketRelayOptions {
  flow::Sink& sink;  // for its read space
  const net::Deadlines& deadlines;
  const Timeouts& timeouts;  // websocket_idle until one side has ended or both have said Close, then idle
  ByteCount read_size = 64 * kKiB;
  WebSocketEdits* edits = nullptr;  // null: everything passes as it stands
};

struct WebSocketEnd {
  // Success: both directions ended in order, or what ended them came after a Close. kTimeout: idle. kClosed, …: a side
  // died.
  Status status;
  bool client_failed = false;  // it was the client's
  bool truncated = false;      // TLS of one side ended without close_notify, and without a Close before it
};

// Until both directions are over; each is closed on its own. After a failure both streams have been reset.
net::Task<WebSocketEnd> relay_websocket(net::Stream& client, net::Stream& upstream, WebSocketWatcher& watcher,
                                        const WebSocketRelayOptions& options);

}  // namespace sluice::proxy

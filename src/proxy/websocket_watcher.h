// What Sluice sees of a WebSocket: octets of either direction go in as they pass, messages go to the record. It never
// delays, changes or refuses what passes: a direction whose frames break RFC 6455 is marked and recorded as it stands
// from there on. Knows no sockets: the pump of HTTP/1 (websocket_relay.h) and that of HTTP/2 (RFC 8441: the content of
// DATA frames) use it the same way. About 1 KB, whatever passes. One worker thread.
#pragma once

#include "base/clock.h"
#include "proxy/exchange.h"
#include "websocket/websocket.h"

namespace sluice::proxy {

class WebSocketWatcher {
 public:
  // Once the exchange has its answer: Sec-WebSocket-Extensions says what was agreed.
  WebSocketWatcher(Exchange& exchange, const Clock& clock);

  // Octets in the order of the wire, in parts of any size. They stay as they are.
  void see(flow::Direction direction, Bytes octets);
  // The same for octets that have been sent: masked payload is unmasked where it stands and recorded without a copy.
  void see_sent(flow::Direction direction, MutableBytes octets);
  // No more octets of this direction: a message under way is recorded as cut. At most once, before the exchange ends.
  void ended(flow::Direction direction);

  // A Close frame has passed in this direction (RFC 6455 §5.5.1).
  bool has_closed(flow::Direction direction) const { return way(direction).reader.is_closed(); }
  bool has_closed_both() const { return client_.reader.is_closed() && server_.reader.is_closed(); }

 private:
  struct Way {
    websocket::MessageReader reader;
    flow::Direction direction;
    ByteCount recorded = 0;  // octets that went to body()
    bool refused = false;
  };
  WebSocketWatcher(Exchange& exchange, const Clock& clock, websocket::Reserved reserved);
  const Way& way(flow::Direction direction) const { return direction == flow::Direction::kRequest ? client_ : server_; }
  Way& way(flow::Direction direction) { return direction == flow::Direction::kRequest ? client_ : server_; }
  void read(Way& way);
  void refuse(Way& way);
  void record(Way& way, Bytes content);
  void report(const Way& way, const websocket::MessageEnd& message, bool complete);
  void report(const Way& way, const websocket::Control& control);

  Exchange& exchange_;
  const Clock& clock_;
  WallTime now_;  // of the octets being read
  Way client_, server_;
};

}  // namespace sluice::proxy

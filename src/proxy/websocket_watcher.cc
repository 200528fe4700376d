#include "proxy/websocket_watcher.h"

#include <array>

#include "websocket/deflate.h"

namespace sluice::proxy {
namespace {

// Unmasked at once where the octets must stay as they are; on the stack, so that an idle WebSocket holds none of it.
constexpr std::size_t kScratch = 4 * kKiB;

websocket::Reserved agreed_bits(Exchange& exchange) {
  const auto answer = exchange.response().fields.joined("sec-websocket-extensions");
  if (!answer) return websocket::Reserved::kNone;
  const auto extensions = websocket::parse_extensions(*answer);
  if (extensions) return extensions->reserved();
  exchange.mark(http::Anomaly::kWebSocketOdd);  // what the two make of it is theirs to know
  return websocket::Reserved::kAny;
}

http::AnomalySet anomalies_of(websocket::OdditySet oddities) {
  constexpr websocket::OdditySet kText = websocket::bit(websocket::Oddity::kBadText);
  http::AnomalySet anomalies = 0;
  if ((oddities & kText) != 0) anomalies |= http::bit(http::Anomaly::kWebSocketText);
  if ((oddities & ~kText) != 0) anomalies |= http::bit(http::Anomaly::kWebSocketOdd);
  return anomalies;
}

}  // namespace

WebSocketWatcher::WebSocketWatcher(Exchange& exchange, const Clock& clock)
    : WebSocketWatcher(exchange, clock, agreed_bits(exchange)) {}

WebSocketWatcher::WebSocketWatcher(Exchange& exchange, const Clock& clock, websocket::Reserved reserved)
    : exchange_(exchange),
      clock_(clock),
      client_{{websocket::Sender::kClient, reserved}, flow::Direction::kRequest},
      server_{{websocket::Sender::kServer, reserved}, flow::Direction::kResponse} {}

void WebSocketWatcher::see(flow::Direction direction, Bytes octets) {
  Way& seen = way(direction);
  if (seen.refused) return record(seen, octets);
  std::array<char, kScratch> scratch;
  seen.reader.feed(octets, scratch);
  read(seen);
}

void WebSocketWatcher::see_sent(flow::Direction direction, MutableBytes octets) {
  Way& seen = way(direction);
  if (seen.refused) return record(seen, Bytes(octets.data(), octets.size()));
  seen.reader.feed_in_place(octets);
  read(seen);
}

void WebSocketWatcher::read(Way& way) {
  now_ = clock_.wall();
  for (;;) {
    const auto event = way.reader.next();
    if (!event) {
      refuse(way);
      break;
    }
    if (std::holds_alternative<websocket::NeedMore>(*event)) break;
    if (const auto* piece = std::get_if<websocket::MessagePiece>(&*event)) {
      record(way, piece->content);
    } else if (const auto* end = std::get_if<websocket::MessageEnd>(&*event)) {
      report(way, *end, true);
    } else if (const auto* control = std::get_if<websocket::Control>(&*event)) {
      report(way, *control);
    }
  }
  exchange_.mark(anomalies_of(way.reader.oddities()));
}

// From here on nobody can say what is a message: the rest is kept as it stands, behind the last one.
void WebSocketWatcher::refuse(Way& way) {
  way.refused = true;
  exchange_.mark(http::Anomaly::kWebSocketError);
  if (const auto& open = way.reader.open_message()) report(way, *open, false);
  record(way, way.reader.head());
  record(way, way.reader.rest());
}

void WebSocketWatcher::ended(flow::Direction direction) {
  const Way& seen = way(direction);
  if (seen.refused) return;
  now_ = clock_.wall();
  if (const auto& open = seen.reader.open_message()) report(seen, *open, false);
  if (seen.reader.in_frame() || seen.reader.open_message()) exchange_.mark(http::Anomaly::kTruncatedBody);
}

void WebSocketWatcher::record(Way& way, Bytes content) {
  if (content.empty()) return;
  way.recorded += content.size();
  if (way.direction == flow::Direction::kRequest)
    exchange_.request_body(content);
  else
    exchange_.response_body(content);
}

void WebSocketWatcher::report(const Way& way, const websocket::MessageEnd& message, bool complete) {
  flow::MessageSeen seen;
  seen.direction = way.direction;
  seen.opcode = static_cast<std::uint8_t>(message.opcode);
  seen.compressed = message.compressed;
  seen.complete = complete;
  seen.offset = way.recorded - message.length;
  seen.length = message.length;
  seen.at = now_;
  exchange_.message(seen);
}

void WebSocketWatcher::report(const Way& way, const websocket::Control& control) {
  flow::MessageSeen seen;
  seen.direction = way.direction;
  seen.opcode = static_cast<std::uint8_t>(control.opcode);
  seen.offset = way.recorded;
  seen.at = now_;
  seen.control = control.payload;
  exchange_.message(seen);
}

}  // namespace sluice::proxy

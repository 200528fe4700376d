#include "proxy/websocket_edits.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kKept = 256 * kKiB;  // of memory, between reads

WebSocketEditor::Edit edit_with(const Exchange& exchange, bool from_client) {
  return [plan = exchange.message_plan(), from_client](std::string_view text) {
    return rules::edit_message(plan, from_client, text);
  };
}

}  // namespace

std::unique_ptr<WebSocketEdits> WebSocketEdits::of(Exchange& exchange, ByteCount limit) {
  if (!exchange.edits_messages()) return nullptr;
  websocket::Extensions agreed;
  if (const auto answer = exchange.response().fields.joined("sec-websocket-extensions")) {
    const auto parsed = websocket::parse_extensions(*answer);
    if (parsed)
      agreed = *parsed;
    else
      agreed.others = true;  // what the two make of it is theirs to know
  }
  if (agreed.others) exchange.mark(http::Anomaly::kWebSocketOdd);
  return std::unique_ptr<WebSocketEdits>(new WebSocketEdits(exchange, agreed, limit));
}

WebSocketEdits::WebSocketEdits(Exchange& exchange, const websocket::Extensions& agreed, ByteCount limit)
    : exchange_(exchange),
      client_{{websocket::Sender::kClient, agreed, limit, edit_with(exchange, true)}, {}},
      server_{{websocket::Sender::kServer, agreed, limit, edit_with(exchange, false)}, {}} {}

const std::string& WebSocketEdits::pass(flow::Direction direction, Bytes octets, WebSocketWatcher& watcher) {
  Way& used = way(direction);
  used.out.clear();
  if (used.out.capacity() > kKept) used.out.shrink_to_fit();
  used.editor.pass(octets, used.out);
  if (used.editor.passed_limit()) exchange_.mark(http::Anomaly::kRuleBodyLimit);
  watcher.see(direction, direction == flow::Direction::kRequest ? octets : Bytes(used.out));
  return used.out;
}

const std::string& WebSocketEdits::finish(flow::Direction direction, WebSocketWatcher& watcher) {
  Way& used = way(direction);
  used.out.clear();
  used.editor.finish(used.out);
  if (direction == flow::Direction::kResponse) watcher.see(direction, used.out);
  return used.out;
}

}  // namespace sluice::proxy

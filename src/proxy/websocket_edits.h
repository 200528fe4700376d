// What rules make of a WebSocket's messages, both ways: the editors, and what the record gets to see: what the client
// said, and what it was told. One worker thread.
#pragma once

#include <memory>
#include <string>

#include "proxy/exchange.h"
#include "proxy/websocket_editor.h"
#include "proxy/websocket_watcher.h"

namespace sluice::proxy {

class WebSocketEdits {
 public:
  // Null: no rule edits messages. Once the exchange has its answer; keeps the rules that applied to its request.
  static std::unique_ptr<WebSocketEdits> of(Exchange& exchange, ByteCount limit);

  // What goes on in place of `octets`; valid until the next call for this direction.
  const std::string& pass(flow::Direction direction, Bytes octets, WebSocketWatcher& watcher);
  // The direction is over.
  const std::string& finish(flow::Direction direction, WebSocketWatcher& watcher);

 private:
  struct Way {
    WebSocketEditor editor;
    std::string out;
  };
  WebSocketEdits(Exchange& exchange, const websocket::Extensions& agreed, ByteCount limit);
  Way& way(flow::Direction direction) { return direction == flow::Direction::kRequest ? client_ : server_; }

  Exchange& exchange_;
  Way client_, server_;
};

}  // namespace sluice::proxy

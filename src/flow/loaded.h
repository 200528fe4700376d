// An exchange that was not captured but read from a file: all of it in one value, as the wire would have had it. What
// reads files makes these; the ring and recordings take them through a Sink, like everything that passes.
#pragma once

#include <string>
#include <vector>

#include "flow/exchange.h"
#include "flow/sink.h"

namespace sluice::flow {

struct LoadedMessage {
  Direction direction = Direction::kRequest;
  std::uint8_t opcode = 1;  // RFC 6455 §11.8
  bool complete = true;
  WallTime at;
  std::string payload;
};

struct Loaded {
  Exchange exchange;                                    // `id` and `seq` are not taken over
  std::string request_body, response_body;              // coded as the heads say
  ByteCount request_missing = 0, response_missing = 0;  // octets behind them that the file does not have
  std::vector<LoadedMessage> messages;                  // of a WebSocket
};

// All calls of one exchange, opened() to ended().
void emit(const Loaded& loaded, Sink& sink);

}  // namespace sluice::flow

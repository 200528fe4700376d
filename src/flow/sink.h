// Where the proxy reports what passes: `capture` implements it, one Sink for each worker thread. Nothing here blocks,
// allocates for each record, or wakes another thread; what cannot be kept is cut and counted (engine.md 5).
//
// Order of calls for one exchange: opened, request_sent?, responded*, body* and trailers? of either direction, ended.
// Of a WebSocket: after the 101 body* and message* of either direction; message() when a message has come to its end.
// ended() comes exactly once for each opened(), also after failures. Views are copied or referenced before return.
// A Sink belongs to its worker's thread.
#pragma once

#include <span>
#include <string_view>

#include "base/ids.h"
#include "flow/chunk.h"
#include "flow/exchange.h"

namespace sluice::flow {

struct Opened {
  ConnectionPtr connection;
  Protocol protocol = Protocol::kHttp1;
  WallTime started;
  std::string_view method, scheme, host, target;  // host without brackets
  std::uint16_t port = 0;
  Bytes head;  // raw, as it came
};

struct Responded {
  int status = 0;        // as sent to the client
  Bytes head;            // raw, as it came from the origin, or as a rule or Sluice made it
  Bytes effective;       // raw, as sent to the client; empty if unchanged
  UpstreamPtr upstream;  // null for mocks and error pages made here
  bool upstream_reused = false;
  Protocol protocol = Protocol::kHttp1;  // of the exchange from here on
};

struct Ended {
  State state = State::kDone;
  Timings timings;
  const Failure* failure = nullptr;  // set unless kDone
  bool request_ended = false, response_ended = false;
  http::AnomalySet anomalies = 0;
  std::span<const std::uint32_t> rule_ids;
  std::uint32_t matched_rule = 0;
  Protocol protocol = Protocol::kHttp1;  // may have become kWebSocket or kTcp
  // Octets that passed and were not given to body(), since nobody wants to keep them (ciphertext of others).
  ByteCount request_counted = 0, response_counted = 0;
};

// A WebSocket message (RFC 6455 §5.6) or control frame (§5.5). The payload of a data message goes through body() of its
// direction, unmasked, fragments joined, but still compressed if RSV1 was set (RFC 7692); a control frame's is here.
struct MessageSeen {
  Direction direction = Direction::kRequest;  // kRequest: from the client
  std::uint8_t opcode = 0;                    // RFC 6455 §11.8: 1 text, 2 binary, 8 close, 9 ping, 10 pong
  bool compressed = false;                    // RSV1 was set
  bool complete = true;                       // false: the connection ended inside it
  ByteCount offset = 0, length = 0;           // of a data message's payload, in what went through body()
  WallTime at;                                // of its end
  Bytes control;                              // payload of a control frame, at most 125 octets
};

class Sink {
 public:
  virtual ~Sink() = default;

  // Room to read into: at least 16 KiB, at most `want` octets (64 KiB is a good wish). Valid until the next call of
  // read_space() on this sink, by anyone: read, hand to a codec, report and forward before the next suspension point,
  // or hold() what is left.
  virtual MutableBytes read_space(std::size_t want) = 0;
  // Keeps octets of the read space (or any others, by copying) over a suspension point.
  virtual Held hold(Bytes octets) = 0;

  virtual ExchangeSeq opened(const Opened& opened) = 0;
  // The head as it was sent to the origin, if a rule or a URL rewrite made it differ beyond engine.md 1.
  virtual void request_sent(ExchangeSeq seq, Bytes effective_head) = 0;
  virtual void responded(ExchangeSeq seq, const Responded& responded) = 0;  // interim answers too; the last one stays
  // A piece of content (transfer coding removed). Inside the read space it is kept by reference.
  virtual void body(ExchangeSeq seq, Direction direction, Bytes content) = 0;
  virtual void trailers(ExchangeSeq seq, Direction direction, Bytes raw) = 0;
  virtual void message(ExchangeSeq seq, const MessageSeen& message) = 0;
  virtual void ended(ExchangeSeq seq, const Ended& ended) = 0;
};

}  // namespace sluice::flow

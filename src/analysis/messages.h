// The messages inside an exchange, a page at a time: of a WebSocket (RFC 6455, RFC 7692 taken off), server-sent events,
// gRPC in both directions. Made at reading from what was stored; read from the beginning each time where a message can
// only be understood after those before it. Memory is bounded by the page. Thread-safe: keeps nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/body.h"
#include "analysis/grpc.h"

namespace sluice::analysis {

enum class MessageKind : std::uint8_t { kWebSocket, kEvents, kGrpc };
std::string_view to_string(MessageKind kind);  // "websocket", "events", "grpc"
// nullopt: an exchange that is not made of messages.
std::optional<MessageKind> message_kind(const flow::Exchange& exchange);

struct SeenMessage {
  std::uint64_t number = 0;  // from 0, in the order of their ends; of gRPC first all requests
  flow::Direction direction = flow::Direction::kResponse;
  std::string_view type;           // "text", "binary", "close", "ping", "pong"; "event"; "message", "trailers"
  std::string content;             // decoded and masked; perhaps a beginning
  std::optional<ByteCount> bytes;  // of all the content before masking; nullopt: not known
  bool cut = false;                // `content` is only a beginning
  bool compressed = false;         // on the wire
  bool complete = true;            // false: the connection or the body ended inside it
  std::string problem;             // why there is less than there should be; mostly empty
  std::optional<WallTime> at;      // of its end; only of a WebSocket
  std::string small;               // a small message of gRPC, whole and not masked: for its fields; else empty
  // events
  std::optional<std::string> event, id;
  std::optional<std::uint64_t> retry_ms;
  // close
  std::optional<std::uint16_t> close_code;
  std::string close_reason;
};

inline constexpr ByteCount kSmallMessage = 4 * kKiB;

struct MessageQuery {
  std::uint64_t offset = 0;
  std::size_t limit = 50;
  ByteCount budget = 16 * kKiB;  // content of all messages together; one alone may be cut to fit
  Form form = Form::kDecoded;    // kAsOnWire: compressed messages stay so
  const Redactor* redactor = nullptr;
  std::stop_token stop;
};

struct MessagePage {
  MessageKind kind = MessageKind::kWebSocket;
  std::uint64_t total = 0;  // seen so far
  std::vector<SeenMessage> messages;
  std::optional<std::uint64_t> next_offset;  // there are more
  std::string problem;                       // with the body that they are in; mostly empty
  std::optional<GrpcStatus> status;          // how a gRPC call ended
};

// kInvalid: not an exchange of messages. kRefused: masking is asked for and octets as on the wire too, and a message of
// the page is compressed. kNotFound: it left the ring; kCancelled; kIo.
Result<MessagePage> read_messages(const capture::BodySource& ring, const flow::Exchange& exchange,
                                  const MessageQuery& query);

}  // namespace sluice::analysis

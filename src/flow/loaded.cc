#include "flow/loaded.h"

#include <algorithm>
#include <array>

namespace sluice::flow {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kMostControl = 125;  // RFC 6455 §5.5

void emit_body(ExchangeSeq seq, Direction direction, Bytes octets, Sink& sink) {
  for (; !octets.empty(); octets.remove_prefix(std::min(kPiece, octets.size()))) {
    sink.body(seq, direction, octets.substr(0, kPiece));
  }
}

void emit_messages(ExchangeSeq seq, const std::vector<LoadedMessage>& messages, Sink& sink) {
  std::array<ByteCount, 2> offsets{};  // of either direction
  for (const LoadedMessage& message : messages) {
    MessageSeen seen;
    seen.direction = message.direction;
    seen.opcode = message.opcode;
    seen.complete = message.complete;
    seen.at = message.at;
    seen.length = message.payload.size();
    if (message.opcode >= 8) {
      seen.control = Bytes(message.payload).substr(0, kMostControl);
      seen.length = seen.control.size();
    } else {
      ByteCount& offset = offsets[static_cast<std::size_t>(message.direction)];
      seen.offset = offset;
      offset += message.payload.size();
      emit_body(seq, message.direction, message.payload, sink);
    }
    sink.message(seq, seen);
  }
}

}  // namespace

void emit(const Loaded& loaded, Sink& sink) {
  const Exchange& exchange = loaded.exchange;
  const bool socket = exchange.protocol == Protocol::kWebSocket;
  Opened opened;
  opened.connection = exchange.connection;
  opened.protocol = socket ? Protocol::kHttp1 : exchange.protocol;
  opened.started = exchange.started;
  opened.method = exchange.method;
  opened.scheme = exchange.scheme;
  opened.host = exchange.host;
  opened.target = exchange.target;
  opened.port = exchange.port;
  opened.head = exchange.request.head;
  const ExchangeSeq seq = sink.opened(opened);
  emit_body(seq, Direction::kRequest, loaded.request_body, sink);
  if (!exchange.request.trailers.empty()) sink.trailers(seq, Direction::kRequest, exchange.request.trailers);
  if (exchange.status != 0) {
    Responded responded;
    responded.status = exchange.status;
    responded.head = exchange.response.head;
    responded.upstream = exchange.upstream;
    responded.upstream_reused = exchange.upstream_reused;
    responded.protocol = exchange.protocol;
    sink.responded(seq, responded);
    emit_body(seq, Direction::kResponse, loaded.response_body, sink);
    if (!exchange.response.trailers.empty()) sink.trailers(seq, Direction::kResponse, exchange.response.trailers);
  }
  emit_messages(seq, loaded.messages, sink);
  Ended ended;
  ended.state = exchange.state == State::kOpen ? State::kDone : exchange.state;
  ended.timings = exchange.timings;
  if (exchange.failure) ended.failure = &*exchange.failure;
  ended.request_ended = ended.state == State::kDone;
  ended.response_ended = ended.state == State::kDone && exchange.status != 0;
  ended.anomalies = exchange.anomalies;
  ended.rule_ids = exchange.rule_ids;
  ended.matched_rule = exchange.matched_rule;
  ended.protocol = exchange.protocol;
  ended.request_counted = loaded.request_missing;
  ended.response_counted = loaded.response_missing;
  sink.ended(seq, ended);
}

}  // namespace sluice::flow

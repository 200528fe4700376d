// Messages of a WebSocket. Those that permessage-deflate compressed (RFC 7692) refer to the compressed ones before them
// in their direction, unless it was agreed otherwise: then all of them are read.
#include <algorithm>
#include <array>

#include "analysis/message_page.h"
#include "websocket/deflate.h"

namespace sluice::analysis {
namespace {

using flow::Direction;
using websocket::Opcode;

constexpr std::size_t kBatch = 256;            // messages asked for at once
constexpr ByteCount kSmall = 4 * kKiB;         // of each payload with them; more is read by itself
constexpr ByteCount kMostPayload = 16 * kMiB;  // of a compressed message
constexpr ByteCount kMostText = 16 * kMiB;     // of one inflated message, if it is kept

std::string_view type_of(std::uint8_t opcode) {
  const std::string_view name = websocket::to_string(static_cast<Opcode>(opcode));
  return name.empty() ? "reserved" : name;
}

// The context of one direction.
struct Side {
  websocket::Context context = websocket::Context::kFresh;
  std::optional<websocket::Inflater> inflater;
  std::string lost;  // why nothing compressed can be read any more; mostly empty

  void lose(std::string_view why) {
    if (context == websocket::Context::kTakenOver && lost.empty()) lost = why;
  }
};

class SocketReader {
 public:
  SocketReader(const capture::BodySource& ring, const flow::Exchange& exchange, PageFiller& filler)
      : ring_(ring), exchange_(exchange), filler_(filler) {
    const auto agreed = flow::parse_fields(exchange.response.head).joined("sec-websocket-extensions");
    const auto extensions = websocket::parse_extensions(agreed.value_or(""));
    if (!extensions || !extensions->deflate || filler.query().form == Form::kAsOnWire) return;
    side(Direction::kRequest).context = extensions->deflate->context(websocket::Sender::kClient);
    side(Direction::kResponse).context = extensions->deflate->context(websocket::Sender::kServer);
  }

  Status read() {
    std::uint64_t at = keeps_context() ? 0 : filler_.query().offset;
    for (;;) {
      SLUICE_CHECK(filler_.go_on());
      SLUICE_TRY(const capture::MessagePage batch,
                 ring_.messages(exchange_.id, static_cast<std::int64_t>(at), kBatch, kSmall));
      filler_.page().total = batch.total;
      for (const capture::Message& message : batch.messages) {
        SLUICE_CHECK(filler_.go_on());
        if (message.number != at) miss();
        at = message.number + 1;
        SLUICE_CHECK(take(message));
        if (filler_.is_full()) return {};
      }
      const std::uint64_t end = std::min(batch.offset + kBatch, batch.total);
      if (at < end) miss();
      at = end;
      if (at >= batch.total) return {};
      if (!keeps_context()) at = std::max(at, std::min(filler_.query().offset, batch.total));
    }
  }

 private:
  Side& side(Direction direction) { return sides_[direction == Direction::kRequest ? 0 : 1]; }

  bool keeps_context() const {
    return std::any_of(sides_.begin(), sides_.end(), [](const Side& side) {
      return side.context == websocket::Context::kTakenOver && side.lost.empty();
    });
  }

  void miss() {
    for (Side& side : sides_) side.lose("Messages before it, which it refers to, have left the spool.");
  }

  Status take(const capture::Message& message) {
    if (!filler_.is_wanted(message.number)) {
      return message.compressed && keeps_context() ? inflate(message, nullptr, nullptr) : Status();
    }
    SeenMessage seen;
    seen.number = message.number;
    seen.direction = message.direction;
    seen.type = type_of(message.opcode);
    seen.compressed = message.compressed;
    seen.complete = message.complete;
    seen.at = message.at;
    SLUICE_CHECK(filler_.check(seen));
    if (static_cast<Opcode>(message.opcode) == Opcode::kClose) {
      add_close(std::move(seen), message.octets);
      return {};
    }
    std::string content;
    bool is_here = true;
    if (message.compressed && filler_.query().form == Form::kDecoded) {
      SLUICE_CHECK(inflate(message, &content, &seen.problem));
      if (seen.problem.empty()) seen.bytes = content.size();
    } else {
      SLUICE_TRY(content, read_payload(message, filler_.keep()));
      is_here = content.size() == message.stored;
      seen.bytes = message.length;
      if (message.stored < message.length) seen.problem = "It was not stored whole.";
    }
    filler_.add(std::move(seen), content, is_here);
    return {};
  }

  void add_close(SeenMessage seen, Bytes payload) {
    if (const auto body = websocket::parse_close(payload)) {
      seen.close_code = body->code;
      seen.close_reason = body->reason;
    }
    seen.bytes = payload.size();
    filler_.add(std::move(seen), "", true);
  }

  // At most `most` octets of what is stored of it.
  Result<std::string> read_payload(const capture::Message& message, ByteCount most) {
    if (message.octets.size() >= std::min(most, message.stored)) {
      return message.octets.substr(0, static_cast<std::size_t>(std::min<ByteCount>(most, message.octets.size())));
    }
    SLUICE_TRY(capture::MessagePage page,
               ring_.messages(exchange_.id, static_cast<std::int64_t>(message.number), 1, most));
    return page.messages.empty() ? std::string() : std::move(page.messages.front().octets);
  }

  // Null `text` and `problem`: only the context is kept up.
  Status inflate(const capture::Message& message, std::string* text, std::string* problem) {
    Side& side = this->side(message.direction);
    if (!side.lost.empty()) {
      if (problem) *problem = side.lost;
      return {};
    }
    if (!side.inflater) side.inflater.emplace(side.context);
    const ByteCount budget = text ? std::min(left_, kMostText) : left_;
    side.inflater->begin(text, budget);
    SLUICE_TRY(const std::string payload, read_payload(message, kMostPayload));
    Status inflated = side.inflater->feed(payload);
    if (inflated) inflated = side.inflater->end();
    left_ -= budget - side.inflater->left();
    if (!inflated) {
      side.lose("A message before it, which it refers to, could not be inflated.");
      if (problem) *problem = inflated.error().message;
    } else if (payload.size() < message.length) {
      side.lose("A message before it, which it refers to, was not stored whole.");
      if (problem) *problem = "It was not stored whole.";
    }
    return {};
  }

  const capture::BodySource& ring_;
  const flow::Exchange& exchange_;
  PageFiller& filler_;
  std::array<Side, 2> sides_;
  ByteCount left_ = kMaxDecoded;  // octets that inflating may still make
};

}  // namespace

Status read_socket_messages(const capture::BodySource& ring, const flow::Exchange& exchange, PageFiller& filler) {
  return SocketReader(ring, exchange, filler).read();
}

}  // namespace sluice::analysis

#include <algorithm>
#include <cstring>

#include "websocket/websocket.h"

namespace sluice::websocket {
namespace {

constexpr std::uint8_t kLength16 = 126, kLength64 = 127;  // §5.2: instead of a length

unsigned char octet(char c) { return static_cast<unsigned char>(c); }

bool is_known(std::uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

}  // namespace

std::string_view to_string(Opcode opcode) {
  switch (opcode) {
    case Opcode::kContinuation:
      return "continuation";
    case Opcode::kText:
      return "text";
    case Opcode::kBinary:
      return "binary";
    case Opcode::kClose:
      return "close";
    case Opcode::kPing:
      return "ping";
    case Opcode::kPong:
      return "pong";
  }
  return "";
}

void apply_mask(Bytes octets, const MaskKey& key, std::uint64_t offset, char* out) {
  constexpr std::size_t kWide = 32;  // a block is loaded before it is stored, so that `out` may be `octets`
  char wide[kWide];
  for (std::size_t i = 0; i < kWide; ++i) wide[i] = key[(offset + i) % 4];
  std::uint64_t mask;
  std::memcpy(&mask, wide, sizeof mask);
  std::size_t i = 0;
  for (; i + kWide <= octets.size(); i += kWide) {
    std::uint64_t words[kWide / sizeof mask];
    std::memcpy(words, octets.data() + i, kWide);
    for (auto& word : words) word ^= mask;
    std::memcpy(out + i, words, kWide);
  }
  for (; i < octets.size(); ++i) out[i] = static_cast<char>(octets[i] ^ wide[i % kWide]);
}

void FrameReader::feed(Bytes octets, MutableBytes scratch) {
  fed_ = octets;
  out_ = scratch.data();
  out_size_ = scratch.size();
}

void FrameReader::feed_in_place(MutableBytes octets) {
  fed_ = Bytes(octets.data(), octets.size());
  out_ = octets.data();
  out_size_ = 0;
}

Result<FrameEvent> FrameReader::next() {
  switch (stage_) {
    case Stage::kHead:
      return read_head();
    case Stage::kPayload:
      return read_payload();
    case Stage::kEnd:
      stage_ = Stage::kHead;
      gathered_ = 0;
      return FrameEnd{};
    case Stage::kFailed:
      break;
  }
  return fail(*error_);
}

Result<FrameEvent> FrameReader::read_head() {
  const auto gather = [this](std::size_t wanted) {
    const std::size_t count = std::min(wanted - std::min<std::size_t>(gathered_, wanted), fed_.size());
    std::memcpy(head_.data() + gathered_, fed_.data(), count);
    gathered_ = static_cast<std::uint8_t>(gathered_ + count);
    fed_.remove_prefix(count);
    if (out_size_ == 0) out_ += count;
    return gathered_ >= wanted;
  };
  if (!gather(2)) return NeedMore{};
  const std::uint8_t short_length = octet(head_[1]) & 127;
  const std::size_t wanted = 2 +
                             (short_length == kLength16   ? 2
                              : short_length == kLength64 ? 8
                                                          : 0) +
                             ((octet(head_[1]) & 128) != 0 ? 4 : 0);
  Status good = check_start();
  if (good && !gather(wanted)) return NeedMore{};
  Result<FrameHead> head = good ? parse_head() : fail(std::move(good).error());
  if (!head) {
    stage_ = Stage::kFailed;
    error_ = std::make_shared<const Error>(std::move(head).error());
    return fail(*error_);
  }
  head->wire = Bytes(head_.data(), wanted);
  length_ = head->length;
  done_ = 0;
  key_ = head->key;
  stage_ = length_ == 0 ? Stage::kEnd : Stage::kPayload;
  return *head;
}

// What the first two octets say; nothing behind them is waited for if they cannot be meant.
Status FrameReader::check_start() const {
  const std::uint8_t opcode = octet(head_[0]) & 15;
  const std::uint8_t reserved = octet(head_[0]) >> 4 & 7;
  if (!is_known(opcode)) return fail(Code::kInvalid, "RFC 6455 §5.2: a frame has a reserved opcode");
  const bool first = opcode == 1 || opcode == 2;
  if (reserved != 0 && reserved_ == Reserved::kNone) {
    return fail(Code::kInvalid, "RFC 6455 §5.2: a reserved bit is set, and no extension was agreed");
  }
  if ((reserved & (kRsv2 | kRsv3)) != 0 && reserved_ == Reserved::kDeflate) {
    return fail(Code::kInvalid, "RFC 6455 §5.2: a reserved bit is set that no agreed extension uses");
  }
  if ((reserved & kRsv1) != 0 && reserved_ == Reserved::kDeflate && !first) {
    return fail(Code::kInvalid, "RFC 7692 §6: a frame that begins no message says that it is compressed");
  }
  if ((octet(head_[1]) & 128) == 0 && sender_ == Sender::kClient) {
    return fail(Code::kInvalid, "RFC 6455 §5.1: a client's frame is not masked");
  }
  if (is_control(Opcode{opcode})) {
    if ((octet(head_[0]) & 128) == 0) return fail(Code::kInvalid, "RFC 6455 §5.5: a control frame is fragmented");
    if ((octet(head_[1]) & 127) > kMaxControl) {
      return fail(Code::kInvalid, "RFC 6455 §5.5: a control frame is longer than 125 octets");
    }
  }
  return {};
}

Result<FrameHead> FrameReader::parse_head() {
  FrameHead head;
  head.fin = (octet(head_[0]) & 128) != 0;
  head.reserved = octet(head_[0]) >> 4 & 7;
  head.opcode = Opcode{static_cast<std::uint8_t>(octet(head_[0]) & 15)};
  const std::uint8_t short_length = octet(head_[1]) & 127;
  const std::size_t length_octets = short_length == kLength16 ? 2 : short_length == kLength64 ? 8 : 0;
  head.length = length_octets == 0 ? short_length : 0;
  for (std::size_t i = 0; i < length_octets; ++i) head.length = head.length << 8 | octet(head_[2 + i]);
  if (head.length >> 63 != 0) return fail(Code::kInvalid, "RFC 6455 §5.2: a frame's length has more than 63 bits");
  if (head.length > max_length_) return fail(Code::kTooLarge, "a frame is larger than the limit for a message");
  if ((length_octets == 2 && head.length < kLength16) || (length_octets == 8 && head.length <= 0xffff)) {
    oddities_ |= bit(Oddity::kLongLength);
  }
  if ((octet(head_[1]) & 128) != 0) {
    std::memcpy(head.key.emplace().data(), head_.data() + 2 + length_octets, 4);
    if (sender_ == Sender::kServer) oddities_ |= bit(Oddity::kMaskedServer);
  }
  return head;
}

FrameEvent FrameReader::read_payload() {
  std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(fed_.size(), length_ - done_));
  if (count == 0) return NeedMore{};
  if (key_ && out_size_ != 0) count = std::min(count, out_size_);
  FramePiece piece;
  piece.wire = piece.content = fed_.substr(0, count);
  if (key_) {
    apply_mask(piece.wire, *key_, done_, out_);
    piece.content = Bytes(out_, count);
  }
  if (out_size_ == 0) out_ += count;
  fed_.remove_prefix(count);
  done_ += count;
  if (done_ == length_) stage_ = Stage::kEnd;
  return piece;
}

}  // namespace sluice::websocket

#include <cstring>

#include "base/text.h"
#include "websocket/websocket.h"

namespace sluice::websocket {

std::optional<CloseBody> parse_close(Bytes payload) {
  if (payload.size() < 2) return std::nullopt;
  const auto high = static_cast<unsigned char>(payload[0]);
  const auto low = static_cast<unsigned char>(payload[1]);
  return CloseBody{static_cast<std::uint16_t>(high << 8 | low), payload.substr(2)};
}

bool is_sendable(std::uint16_t close_code) {
  // §7.4.1, §7.4.2 and IANA's registry: 1004-1006 and 1015 never travel, 1012-1014 were registered later.
  if (close_code >= 1000 && close_code <= 1014) return close_code < 1004 || close_code > 1006;
  return close_code >= 3000 && close_code <= 4999;
}

void MessageReader::refuse(Code code, std::string message) {
  error_ = std::make_shared<const Error>(Error{code, std::move(message)});
}

Result<MessageEvent> MessageReader::next() {
  while (!error_) {
    auto event = frames_.next();
    if (!event) {
      error_ = std::make_shared<const Error>(std::move(event).error());
      break;
    }
    if (std::holds_alternative<NeedMore>(*event)) return NeedMore{};
    std::optional<MessageEvent> seen;
    if (const auto* piece = std::get_if<FramePiece>(&*event))
      seen = on(*piece);
    else if (const auto* head = std::get_if<FrameHead>(&*event))
      seen = on(*head);
    else
      seen = on(FrameEnd{});
    if (seen) return *std::move(seen);
  }
  return fail(*error_);
}

std::optional<MessageEvent> MessageReader::on(const FrameHead& head) {
  frame_ = head.opcode;
  fin_ = head.fin;
  if (is_control(frame_)) {
    control_.clear();
    return std::nullopt;
  }
  if (closed_) oddities_ |= bit(Oddity::kAfterClose);
  const bool begins = frame_ != Opcode::kContinuation;
  if (begins && open_) {
    refuse(Code::kInvalid, "RFC 6455 §5.4: a message begins before the one under way has ended");
    return std::nullopt;
  }
  if (!begins && !open_) {
    refuse(Code::kInvalid, "RFC 6455 §5.4: a continuation frame, and no message is under way");
    return std::nullopt;
  }
  if (begins) {
    open_ = MessageEnd{frame_, (head.reserved & kRsv1) != 0, 0, 0};
    text_.reset();
  }
  if (head.length > limits_.max_message - open_->length) {
    refuse(Code::kTooLarge, "a message is larger than the limit");
  } else if (++open_->fragments > limits_.max_fragments) {
    refuse(Code::kTooLarge, "a message has more fragments than the limit");
  }
  if (!begins || error_) return std::nullopt;
  return MessageStart{open_->opcode, open_->compressed};
}

std::optional<MessageEvent> MessageReader::on(const FramePiece& piece) {
  if (is_control(frame_)) {  // at most 125 octets in all: the frame reader has seen to it
    control_.append(piece.content);
    return std::nullopt;
  }
  open_->length += piece.content.size();
  if (open_->opcode == Opcode::kText && !open_->compressed && !text_.feed(piece.content)) {
    oddities_ |= bit(Oddity::kBadText);
  }
  return MessagePiece{piece.content};
}

std::optional<MessageEvent> MessageReader::on(FrameEnd) {
  if (is_control(frame_)) {
    const Control control{frame_, control_};
    if (frame_ == Opcode::kClose) {
      closed_ = true;
      const auto body = parse_close(control.payload);
      if (body ? !is_sendable(body->code) || !is_utf8(body->reason) : !control.payload.empty()) {
        oddities_ |= bit(Oddity::kBadClose);
      }
    }
    return control;
  }
  if (!fin_) return std::nullopt;
  if (open_->opcode == Opcode::kText && !open_->compressed && !text_.is_whole()) {
    oddities_ |= bit(Oddity::kBadText);
  }
  const MessageEnd end = *open_;
  open_.reset();
  return end;
}

}  // namespace sluice::websocket

#include "proxy/websocket_editor.h"

#include <array>
#include <utility>

namespace sluice::proxy {
namespace {

using websocket::Opcode;

constexpr std::size_t kScratch = 4 * kKiB;           // unmasked at once; inflated at once, too: at most 4 MiB of text
constexpr std::size_t kKept = 64 * kKiB;             // of memory, between messages
constexpr ByteCount kNoBudget = ByteCount{1} << 62;  // the editor counts itself

}  // namespace

WebSocketEditor::WebSocketEditor(websocket::Sender sender, const websocket::Extensions& agreed, ByteCount limit,
                                 Edit edit)
    : reader_(sender, agreed.reserved()),
      edit_(std::move(edit)),
      limit_(limit),
      deflate_(agreed.deflate),
      sender_(sender),
      blind_(agreed.others) {
  if (deflate_) inflater_.emplace(deflate_->context(sender));
}

void WebSocketEditor::pass(Bytes octets, std::string& out) {
  if (blind_) {
    out += octets;
    return;
  }
  std::array<char, kScratch> scratch;
  reader_.feed(octets, scratch);
  for (;;) {
    const auto event = reader_.next();
    if (!event) {
      give_up(reader_.head(), out);
      out += reader_.rest();
      return;
    }
    if (std::holds_alternative<websocket::NeedMore>(*event)) return;
    if (const auto* head = std::get_if<websocket::FrameHead>(&*event)) {
      on_head(*head, out);
    } else if (const auto* piece = std::get_if<websocket::FramePiece>(&*event)) {
      if (in_control_)
        out += piece->wire;
      else
        on_data(*piece, out);
    } else if (!in_control_ && last_frame_) {
      end_message(out);
    }
    if (blind_) {
      out += reader_.rest();
      return;
    }
  }
}

void WebSocketEditor::on_head(const websocket::FrameHead& head, std::string& out) {
  in_control_ = websocket::is_control(head.opcode);
  if (in_control_) {
    out += head.wire;
    return;
  }
  // RFC 6455 §5.4: a message's first frame names its kind, the others do not.
  if (open_ != (head.opcode == Opcode::kContinuation)) return give_up(head.wire, out);
  if (!open_) begin(head);
  last_frame_ = head.fin;
  if (way_ == Way::kPass) out += head.wire;
  if (way_ != Way::kGather) return;
  raw_ += head.wire;
  take({}, out);  // a message may be fragments that carry nothing
}

void WebSocketEditor::begin(const websocket::FrameHead& head) {
  open_ = true;
  begun_ = false;
  opcode_ = head.opcode;
  key_ = head.key;
  compressed_ = (head.reserved & websocket::kRsv1) != 0;
  way_ = anew_ || opcode_ == Opcode::kText ? Way::kGather : Way::kPass;
  raw_.clear();
  text_.clear();
  if (compressed_) inflater_->begin(&text_, kNoBudget);
}

void WebSocketEditor::on_data(const websocket::FramePiece& piece, std::string& out) {
  if (way_ == Way::kGather) raw_ += piece.wire;
  if (way_ == Way::kPass) out += piece.wire;
  if (!compressed_) {
    if (way_ != Way::kPass) take(piece.content, out);
    return;
  }
  for (Bytes left = piece.content; !left.empty();) {
    const Bytes slice = left.substr(0, kScratch);
    left.remove_prefix(slice.size());
    if (!inflater_->feed(slice)) return give_up({}, out);
    take({}, out);
  }
}

// After more content has come to text_, or is given.
void WebSocketEditor::take(Bytes content, std::string& out) {
  text_ += content;
  if (way_ == Way::kGather && (text_.size() > limit_ || raw_.size() > limit_)) stop_gathering(out);
  if (way_ == Way::kPass) text_.clear();
  if (way_ == Way::kRewrite) send_part(false, out);
}

void WebSocketEditor::stop_gathering(std::string& out) {
  if (opcode_ == Opcode::kText) passed_limit_ = true;
  way_ = anew_ ? Way::kRewrite : Way::kPass;
  if (!anew_) out += raw_;
  std::string().swap(raw_);
}

void WebSocketEditor::end_message(std::string& out) {
  if (compressed_) {
    if (!inflater_->end()) return give_up({}, out);
    take({}, out);
  }
  open_ = false;
  if (way_ == Way::kRewrite) send_part(true, out);
  if (way_ != Way::kGather) return forget();
  const auto edited = opcode_ == Opcode::kText ? edit_(text_) : std::nullopt;
  if (edited) anew_ = true;
  if (edited || anew_)
    send(opcode_, edited ? *edited : text_, compressed_, out);
  else
    out += raw_;
  forget();
}

// Its memory is kept for the next message, but not that of a large one.
void WebSocketEditor::forget() {
  for (std::string* used : {&raw_, &text_}) {
    used->clear();
    if (used->capacity() > kKept) used->shrink_to_fit();
  }
}

void WebSocketEditor::send(Opcode opcode, std::string_view content, bool compress, std::string& out) {
  // The client's own key of this message: as unpredictable as the client made it (RFC 6455 §5.3).
  if (compress && !deflater_) {
    if (auto made = websocket::Deflater::create(deflate_->context(sender_), deflate_->window_bits(sender_))) {
      deflater_.emplace(*std::move(made));
    }
  }
  if (!compress || !deflater_) return websocket::append_frame(out, opcode, content, key_);
  std::string payload;
  deflater_->deflate(content, payload);
  websocket::append_frame(out, opcode, payload, key_, websocket::kRsv1);
}

// A message that is too large to wait for goes uncompressed, in fragments.
void WebSocketEditor::send_part(bool last, std::string& out) {
  if (text_.empty() && !last) return;
  websocket::append_frame(out, begun_ ? Opcode::kContinuation : opcode_, text_, key_, 0, last);
  begun_ = true;
  text_.clear();
}

void WebSocketEditor::finish(std::string& out) {
  if (way_ == Way::kGather && open_) out += raw_;
  raw_.clear();
}

// From here on everything goes as it stands, `unsent` first.
void WebSocketEditor::give_up(Bytes unsent, std::string& out) {
  blind_ = true;
  finish(out);
  out += unsent;
}

}  // namespace sluice::proxy

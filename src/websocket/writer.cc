#include "websocket/websocket.h"

namespace sluice::websocket {

void append_frame_head(std::string& out, const FrameHead& head) {
  const auto opcode = static_cast<std::uint8_t>(head.opcode);
  out.push_back(static_cast<char>((head.fin ? 128 : 0) | (head.reserved & 7) << 4 | opcode));
  const int mask = head.key ? 128 : 0;
  int octets = 0;
  if (head.length <= 125) {
    out.push_back(static_cast<char>(mask | static_cast<int>(head.length)));
  } else if (head.length <= 0xffff) {
    out.push_back(static_cast<char>(mask | 126));
    octets = 2;
  } else {
    out.push_back(static_cast<char>(mask | 127));
    octets = 8;
  }
  for (int shift = octets * 8 - 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(head.length >> shift));
  if (head.key) out.append(head.key->data(), head.key->size());
}

void append_frame(std::string& out, Opcode opcode, Bytes payload, const std::optional<MaskKey>& key,
                  std::uint8_t reserved, bool fin) {
  append_frame_head(out, FrameHead{fin, reserved, opcode, key, payload.size(), {}});
  const std::size_t at = out.size();
  out.append(payload);
  if (key) apply_mask(Bytes(out).substr(at), *key, 0, out.data() + at);
}

void append_close(std::string& out, std::uint16_t code, std::string_view reason, const std::optional<MaskKey>& key) {
  constexpr std::uint16_t kNoCode = 1005;
  std::string body;
  if (code != kNoCode) {
    std::size_t length = reason.size();
    if (length > kMaxControl - 2) {
      length = kMaxControl - 2;
      while (length > 0 && (static_cast<unsigned char>(reason[length]) & 0xc0) == 0x80) --length;
    }
    body.push_back(static_cast<char>(code >> 8));
    body.push_back(static_cast<char>(code));
    body.append(reason.substr(0, length));
  }
  append_frame(out, Opcode::kClose, body, key);
}

}  // namespace sluice::websocket

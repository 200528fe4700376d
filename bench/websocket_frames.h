// As much of RFC 6455 as the bench needs at its own two ends, where both are known to keep to it: binary messages of
// one frame each, and Close.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace bench {

constexpr std::uint8_t kBinary = 2, kClose = 8;

struct FrameHead {
  std::uint8_t opcode = 0;
  bool masked = false;
  std::uint64_t length = 0;
  std::uint8_t mask[4] = {};
  std::size_t size = 0;  // of the head; 0: not all of it is here
};

inline FrameHead read_frame_head(const char* data, std::size_t count) {
  FrameHead head;
  if (count < 2) return head;
  const auto* octets = reinterpret_cast<const std::uint8_t*>(data);
  head.opcode = octets[0] & 0x0f;
  head.masked = (octets[1] & 0x80) != 0;
  head.length = octets[1] & 0x7f;
  std::size_t at = 2;
  const std::size_t more = head.length == 126 ? 2 : head.length == 127 ? 8 : 0;
  if (count < at + more + (head.masked ? 4 : 0)) return head;
  if (more > 0) head.length = 0;
  for (std::size_t i = 0; i < more; ++i) head.length = head.length << 8 | octets[at++];
  if (head.masked) {
    std::memcpy(head.mask, octets + at, 4);
    at += 4;
  }
  head.size = at;
  return head;
}

inline void add_frame_head(std::string& out, std::uint8_t opcode, std::uint64_t length, const std::uint8_t* mask) {
  const auto add = [&out](std::uint64_t octet) { out.push_back(static_cast<char>(octet & 0xff)); };
  const unsigned bit = mask ? 0x80 : 0;
  add(0x80u | opcode);
  const int more = length < 126 ? 0 : length < 65536 ? 2 : 8;
  add(bit | (more == 0 ? length : more == 2 ? 126 : 127));
  for (int i = more; i-- > 0;) add(length >> (8 * i));
  for (int i = 0; mask && i < 4; ++i) add(mask[i]);
}

// `at`: where in the payload the octets stand.
inline void apply_mask(char* data, std::size_t count, const std::uint8_t* mask, std::uint64_t at) {
  std::uint8_t turned[8];
  for (std::size_t i = 0; i < 8; ++i) turned[i] = mask[(at + i) % 4];
  std::uint64_t wide;
  std::memcpy(&wide, turned, 8);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t value;
    std::memcpy(&value, data + i, 8);
    value ^= wide;
    std::memcpy(data + i, &value, 8);
  }
  for (; i < count; ++i) data[i] = static_cast<char>(static_cast<std::uint8_t>(data[i]) ^ turned[i % 8]);
}

}  // namespace bench

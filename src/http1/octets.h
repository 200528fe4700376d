// What may stand in a line, looked at eight octets at a time.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace sluice::http1 {

enum class Octets : std::uint8_t {
  kPlain,      // visible ASCII, SP and HTAB
  kOdd,        // also other controls or non-ASCII octets: kept and marked (RFC 9110 §5.5)
  kForbidden,  // NUL, CR or LF: could end a line or a string elsewhere
};

inline Octets classify(Bytes text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = kOnes * 0x80;
  const char* p = text.data();
  std::size_t left = text.size();
  bool plain = true;
  for (; left >= 8; p += 8, left -= 8) {
    std::uint64_t x;
    std::memcpy(&x, p, 8);
    // Below 0x20, 0x7f, or 0x80 and above, in any of the eight.
    if ((((x - kOnes * 0x20) & ~x) | (x + kOnes) | x) & kHigh) plain = false;
  }
  if (left > 0 && text.size() >= 8) {  // once more the last eight
    p -= 8 - left;
    left = 0;
    std::uint64_t x;
    std::memcpy(&x, p, 8);
    if ((((x - kOnes * 0x20) & ~x) | (x + kOnes) | x) & kHigh) plain = false;
  }
  for (; left > 0; ++p, --left) {
    if (static_cast<unsigned char>(*p - 0x20) >= 0x5f) plain = false;
  }
  if (plain) return Octets::kPlain;
  Octets worst = Octets::kPlain;
  for (const char c : text) {
    if (c == '\0' || c == '\r' || c == '\n') return Octets::kForbidden;
    if (c != '\t' && static_cast<unsigned char>(c - 0x20) >= 0x5f) worst = Octets::kOdd;
  }
  return worst;
}

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace sluice::http1

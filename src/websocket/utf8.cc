#include "websocket/utf8.h"

#include <cstring>

namespace sluice::websocket {
namespace {

// Octets from `at` on that are ASCII, eight at a time: most text is nothing else.
std::size_t skip_ascii(Bytes octets, std::size_t at) {
  for (; at + 8 <= octets.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, octets.data() + at, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
  }
  while (at < octets.size() && static_cast<unsigned char>(octets[at]) < 0x80) ++at;
  return at;
}

}  // namespace

bool Utf8Checker::begin(unsigned char first) {
  if (first < 0xc2 || first > 0xf4) return false;
  needed_ = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  low_ = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;   // no overlong forms
  high_ = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;  // no surrogates, nothing beyond U+10FFFF
  return true;
}

bool Utf8Checker::feed(Bytes octets) {
  std::size_t i = 0;
  while (!bad_) {
    if (needed_ == 0) i = skip_ascii(octets, i);
    if (i == octets.size()) break;
    const auto octet = static_cast<unsigned char>(octets[i++]);
    if (needed_ == 0) {
      bad_ = !begin(octet);
    } else if (octet < low_ || octet > high_) {
      bad_ = true;
    } else {
      --needed_;
      low_ = 0x80;
      high_ = 0xbf;
    }
  }
  return !bad_;
}

}  // namespace sluice::websocket

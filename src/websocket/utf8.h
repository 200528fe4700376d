// Whether octets that come in pieces are UTF-8 (RFC 3629); three octets of state. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sluice::websocket {

class Utf8Checker {
 public:
  // Returns whether all so far may be the beginning of well-formed text. Once false, it stays so until reset().
  bool feed(Bytes octets);
  // Whether the text may end here.
  bool is_whole() const { return !bad_ && needed_ == 0; }
  void reset() { *this = Utf8Checker(); }

 private:
  bool begin(unsigned char first);

  std::uint8_t needed_ = 0;                // octets of the character under way
  std::uint8_t low_ = 0x80, high_ = 0xbf;  // bounds of the next one (Unicode 15 §3.9, table 3-7)
  bool bad_ = false;
};

}  // namespace sluice::websocket

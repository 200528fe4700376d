#include "base/ids.h"

#include <array>

#include "base/text.h"

namespace sluice {

std::string make_uuid(Entropy& entropy) {
  std::array<char, 16> raw;
  entropy.fill(raw);
  raw[6] = static_cast<char>((raw[6] & 0x0f) | 0x40);
  raw[8] = static_cast<char>((raw[8] & 0x3f) | 0x80);
  std::string hex = hex_encode(Bytes(raw.data(), raw.size()));
  for (std::size_t dash : {8u, 13u, 18u, 23u}) hex.insert(dash, 1, '-');
  return hex;
}

}  // namespace sluice

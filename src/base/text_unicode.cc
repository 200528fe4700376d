// UTF-8 checking and repair, and its measure in UTF-16 code units.
#include <cstring>

#include "base/text.h"

namespace sluice {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Part {
  std::size_t length;  // octets of a character, or of a maximal ill-formed part (at least 1)
  bool well_formed;
};

// Unicode 15 §3.9, table 3-7: the second octet's range depends on the first; the rest are 80..BF.
Part next_part(Bytes octets, std::size_t at) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(octets[i]); };
  const unsigned char first = octet(at);
  if (first < 0x80) return {1, true};
  if (first < 0xc2 || first > 0xf4) return {1, false};
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= octets.size() || octet(at + i) < low || octet(at + i) > high) return {i, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, true};
}

// How many octets from `at` on are ASCII, eight at a time.
std::size_t ascii_run(Bytes octets, std::size_t at) {
  std::size_t i = at;
  for (; i + 8 <= octets.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, octets.data() + i, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
  }
  while (i < octets.size() && static_cast<unsigned char>(octets[i]) < 0x80) ++i;
  return i - at;
}

// Code units of the character whose first octet this is; 0 for the octets that follow.
std::size_t units_of(char c) {
  const auto octet = static_cast<unsigned char>(c);
  if ((octet & 0xc0) == 0x80) return 0;
  return octet >= 0xf0 ? 2 : 1;
}

}  // namespace

bool is_utf8(Bytes octets) {
  for (std::size_t i = ascii_run(octets, 0); i < octets.size(); i += ascii_run(octets, i)) {
    const Part part = next_part(octets, i);
    if (!part.well_formed) return false;
    i += part.length;
  }
  return true;
}

std::string repair_utf8(Bytes octets) {
  std::string out;
  out.reserve(octets.size());
  std::size_t i = 0;
  while (i < octets.size()) {
    const std::size_t plain = ascii_run(octets, i);
    out.append(octets, i, plain);
    i += plain;
    if (i >= octets.size()) break;
    const Part part = next_part(octets, i);
    out.append(part.well_formed ? octets.substr(i, part.length) : kReplacement);
    i += part.length;
  }
  return out;
}

std::size_t utf16_length(std::string_view utf8) {
  std::size_t units = 0;
  for (char c : utf8) units += units_of(c);
  return units;
}

std::string_view utf16_prefix(std::string_view utf8, std::size_t units) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const std::size_t more = units_of(utf8[i]);
    if (used + more > units) return utf8.substr(0, i);
    used += more;
  }
  return utf8;
}

}  // namespace sluice

#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sluice {
namespace {

constexpr std::size_t kLongestName = 64;  // edit distance is quadratic: longer names are no slips of the finger

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Restricted Damerau-Levenshtein (a swap of neighbours is one edit), three rows.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = ascii_lower(a[i - 1]) == ascii_lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && ascii_lower(a[i - 1]) == ascii_lower(b[j - 2]) &&
          ascii_lower(a[i - 2]) == ascii_lower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

// Eight octets with their ASCII capitals in lower case.
std::uint64_t lower8(std::uint64_t octets) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t low7 = octets & (0x7f * kOnes);
  const std::uint64_t from_a = low7 + (0x80 - 'A') * kOnes;        // bit 7: 'A' or above
  const std::uint64_t beyond_z = low7 + (0x80 - 'Z' - 1) * kOnes;  // bit 7: above 'Z'
  const std::uint64_t capital = (from_a ^ beyond_z) & ~octets & (0x80 * kOnes);
  return octets | capital >> 2;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ascii_lower(c);
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    std::uint64_t x, y;
    std::memcpy(&x, a.data() + i, 8);
    std::memcpy(&y, b.data() + i, 8);
    if (x != y && lower8(x) != lower8(y)) return false;
  }
  for (; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

std::size_t ifind(std::string_view haystack, std::string_view needle, std::size_t from) {
  if (from > haystack.size()) return std::string_view::npos;
  const auto found = std::search(haystack.begin() + static_cast<std::ptrdiff_t>(from), haystack.end(), needle.begin(),
                                 needle.end(), [](char a, char b) { return ascii_lower(a) == ascii_lower(b); });
  if (found == haystack.end() && !needle.empty()) return std::string_view::npos;
  return static_cast<std::size_t>(found - haystack.begin());
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool constant_time_equal(Bytes a, Bytes b) {
  // The length is no secret; every octet of `b` is looked at whatever the ones before it were.
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const unsigned char left = a.empty() ? 0 : static_cast<unsigned char>(a[i < a.size() ? i : 0]);
    difference |= static_cast<unsigned>(left ^ static_cast<unsigned char>(b[i]));
    asm volatile("" : "+r"(difference));  // or the compiler may leave the loop early
  }
  return difference == 0;
}

std::optional<std::string> nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  std::size_t best = std::max<std::size_t>(1, name.size() / 3) + 1;  // one slip in three letters
  std::optional<std::string> found;
  for (std::string_view candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const std::size_t longer = std::max(name.size(), candidate.size());
    if (longer - std::min(name.size(), candidate.size()) >= best) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best && distance < longer) {
      best = distance;
      found = std::string(candidate);
    }
  }
  return found;
}

}  // namespace sluice

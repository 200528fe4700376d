// Text helpers that several floors need: encodings, ASCII case, UTF-8 repair, UTF-16 measure, nearest names.
// Pure; thread-safe; no locale is ever consulted.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace sluice {

// --- ASCII ---
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
bool iequals(std::string_view a, std::string_view b);
// Where `needle` (any case) begins in `haystack`, or npos.
std::size_t ifind(std::string_view haystack, std::string_view needle, std::size_t from = 0);
// Spaces and tabs off both ends (RFC 9110 OWS).
std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);

// --- encodings ---
constexpr int hex_value(char c) {  // of a digit in either case; -1: it is none
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
std::string hex_encode(Bytes octets);  // lower case
std::optional<std::string> hex_decode(std::string_view text);
std::string base64_encode(Bytes octets);     // RFC 4648 §4, padded
std::string base64url_encode(Bytes octets);  // RFC 4648 §5, no padding
// Accepts both alphabets, padding optional; anything else is nullopt.
std::optional<std::string> base64_decode(std::string_view text);
std::string percent_decode(std::string_view text);  // leaves malformed escapes as they stand

// --- UTF-8 and UTF-16 ---
bool is_utf8(Bytes octets);
// Each maximal ill-formed part becomes U+FFFD (Unicode 15 §3.9, as WHATWG decoders do).
std::string repair_utf8(Bytes octets);
// Length of well-formed UTF-8 in UTF-16 code units: the unit of the contract's limits.
std::size_t utf16_length(std::string_view utf8);
// The longest prefix of at most `units` UTF-16 code units that ends between characters.
std::string_view utf16_prefix(std::string_view utf8, std::size_t units);

// --- comparison ---
// Time depends on the lengths only, never on the contents: for tokens and MACs.
bool constant_time_equal(Bytes a, Bytes b);
// The candidate nearest to `name` by edit distance, if near enough to be a slip of the finger.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace sluice

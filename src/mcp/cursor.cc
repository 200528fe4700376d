#include "mcp/cursor.h"

#include "base/text.h"

namespace sluice::mcp {
namespace {

constexpr std::size_t kOffsetOctets = 4;
constexpr std::size_t kCheckOctets = 8;

std::string octets(std::uint64_t value, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string check(const CursorKey& key, std::string_view list, std::string_view grant, std::string_view offset) {
  // Lengths first: no two triples may make the same text.
  std::string text = octets(list.size(), 8) + octets(grant.size(), 8);
  text.append(list).append(grant).append(offset);
  return octets(siphash(key.octets, text), kCheckOctets);
}

}  // namespace

CursorKey CursorKey::create(Entropy& entropy) {
  CursorKey key;
  entropy.fill(key.octets);
  return key;
}

std::string write_cursor(const CursorKey& key, std::string_view list, std::string_view grant, std::uint32_t offset) {
  const std::string place = octets(offset, kOffsetOctets);
  return base64url_encode(place + check(key, list, grant, place));
}

std::optional<std::uint32_t> parse_cursor(const CursorKey& key, std::string_view list, std::string_view grant,
                                          std::string_view cursor) {
  const auto raw = base64_decode(cursor);
  if (!raw || raw->size() != kOffsetOctets + kCheckOctets) return std::nullopt;
  const std::string_view place = std::string_view(*raw).substr(0, kOffsetOctets);
  if (!constant_time_equal(check(key, list, grant, place), std::string_view(*raw).substr(kOffsetOctets))) {
    return std::nullopt;
  }
  std::uint32_t offset = 0;
  for (std::size_t i = 0; i < kOffsetOctets; ++i) {
    offset |= static_cast<std::uint32_t>(static_cast<unsigned char>(place[i])) << (8 * i);
  }
  return offset;
}

}  // namespace sluice::mcp

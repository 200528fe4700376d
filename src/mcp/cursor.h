// Cursors of paginated lists: opaque to clients, an offset with a keyed check (SipHash-2-4) that binds it to the list
// and the grant it was made for. A cursor that was altered, is another list's or another grant's, or comes from before
// a restart is not accepted. Pure; thread-safe. MCP 2026-07-28 "Pagination".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/entropy.h"
#include "base/siphash.h"

namespace sluice::mcp {

// Made once for the process.
struct CursorKey {
  SipKey octets{};
  static CursorKey create(Entropy& entropy);
};

// `list` is the method ("tools/list").
std::string write_cursor(const CursorKey& key, std::string_view list, std::string_view grant, std::uint32_t offset);
std::optional<std::uint32_t> parse_cursor(const CursorKey& key, std::string_view list, std::string_view grant,
                                          std::string_view cursor);

}  // namespace sluice::mcp

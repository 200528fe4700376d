// The revisions of the Model Context Protocol that Sluice speaks, and their two eras: *legacy* revisions begin with an
// `initialize` handshake, *modern* ones carry version and capabilities in every request's `_meta`.
// Pure; thread-safe. MCP 2026-07-28, "Versioning and Compatibility".
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace sluice::mcp {

// Ordered by date, so that `revision < Revision::k2025_06_18` reads as "before it".
enum class Revision { k2025_03_26, k2025_06_18, k2025_11_25, k2026_07_28 };
enum class Era { kLegacy, kModern };

// Newest first: the order in which they are offered.
inline constexpr std::array kRevisions = {Revision::k2026_07_28, Revision::k2025_11_25, Revision::k2025_06_18,
                                          Revision::k2025_03_26};
inline constexpr Revision kNewestLegacy = Revision::k2025_11_25;
inline constexpr Revision kNewestModern = Revision::k2026_07_28;

constexpr Era era_of(Revision revision) { return revision >= Revision::k2026_07_28 ? Era::kModern : Era::kLegacy; }
std::string_view to_string(Revision revision);  // "2025-11-25"
std::optional<Revision> find_revision(std::string_view name);

// What `initialize` is answered with: the revision asked for if it is a legacy one that is spoken here, else the newest
// legacy one (so 2024-11-05 gets 2025-11-25, engine.md 8).
Revision negotiate(std::string_view asked);

// True if a request that names this version claims to be modern: it is no known legacy version (2024-11-05 included).
bool claims_modern(std::string_view version);

}  // namespace sluice::mcp

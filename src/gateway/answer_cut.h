// Makes an answer fit: measured in UTF-16 units of its one-line JSON. First whole items of the longest array are left
// out (`truncated` and `total` beside it say so, and `next_offset` where the tool goes on from there); what is still
// too long is cut inside its longest strings, each ending in "..." and named in `cut`. Linear in the size of the
// answer. Pure. engine.md 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace sluice::gateway {

// Units of dump_json(value); strings must be well-formed UTF-8.
std::size_t json_units(const Json& value);

// Octets of dump_spelled_json(value), without writing it.
std::size_t json_octets(const Json& value);

// Cuts `answer` (an object) to at most `units` units, if that is at all more than a few hundred. `pointers` are JSON
// pointers into the answer (what was masked); those that were left out are removed.
// `offset`: how many items the answer's own list skipped; nullopt where the tool does not page by these items.
void cut_answer(Json& answer, std::size_t units, std::vector<std::string>& pointers,
                std::optional<std::int64_t> offset = std::nullopt);

// Ill-formed UTF-8 in strings and names becomes U+FFFD.
void repair_strings(Json& value);

}  // namespace sluice::gateway

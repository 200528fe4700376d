// Text of others for a person who decides by it: nothing in it moves the cursor, turns the writing round or hides.
// Pure; thread-safe. gate.md 5.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace sluice::gateway {

// What has no picture of its own as \u escapes: control characters (C0, DEL, C1), those that set the direction, join,
// or take no room, line and paragraph separators, tags, and what is no character.
std::string visible_text(std::string_view text);

// The value as JSON, strings quoted; beyond `most` characters it is cut, and says how much is missing.
std::string visible_json(const Json& value, std::size_t most);

}  // namespace sluice::gateway

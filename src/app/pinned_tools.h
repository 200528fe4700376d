// What `policy check` and `policy test` know of another server: its tools as a gateway of this home has pinned them.
#pragma once

#include <map>
#include <string>

#include "app/config.h"
#include "base/json.h"
#include "base/result.h"
#include "policy/explain.h"

namespace sluice::app {

// Input schemas by name (null: the tool has none): as accepted, or as seen where nobody has accepted any. Of a name
// behind which several commands or URLs were, the newest. kNotFound: nothing is pinned under that name.
using PinnedTools = std::map<std::string, Json, std::less<>>;
Result<PinnedTools> pinned_tools(const Config& config, const std::string& server);

// For warnings; refers to `tools`.
std::vector<policy::KnownTool> known_tools(const PinnedTools& tools);

}  // namespace sluice::app

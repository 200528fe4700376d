// mitmproxy's flow files (`mitmdump -w`): one dictionary of tnetstrings for each flow (tnetstring.h). Formats 17 to 21
// are read; 17 is written, which mitmproxy 8 and all later versions read. docs/formats/flows.md. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "analysis/export.h"
#include "base/result.h"
#include "flow/loaded.h"

namespace sluice::analysis {

// nullopt: a flow that is not HTTP. kInvalid: damaged; kConflict: of a format that is not read, as all of its file.
Result<std::optional<flow::Loaded>> read_flow(std::string_view text);

}  // namespace sluice::analysis

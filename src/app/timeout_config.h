// --timeout, and the list of the same name in config.yaml (docs/security.md).
#pragma once

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/result.h"

namespace sluice::app {

// `NAME=SECONDS` for each, over the defaults of base/limits.h; the last of a name holds. kInvalid, naming the flag and
// what it takes.
Result<Timeouts> parse_timeouts(const std::vector<std::string>& entries);

}  // namespace sluice::app

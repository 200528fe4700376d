// What a policy masks in a tool's answer of another server: its structured content and its texts are made from one
// redacted value (gate.md 7). Private to the presenter. Pure.
#pragma once

#include "base/json.h"
#include "policy/result_filter.h"

namespace sluice::gateway {

// Masks what the rules name in a CallToolResult: in the answer itself, in a text that is JSON as if it were the
// structured content, and what was masked in the structured content wherever else the answer shows it. True: the
// structured content is another than before.
bool redact_foreign(const policy::ResultFilter& rules, Json& answer);

}  // namespace sluice::gateway

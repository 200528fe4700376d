// A JSON value in one spelling: RFC 8785, but numbers that a Json does not hold exactly keep the spelling in which they
// came, so that what compares differently never reads the same. What an approval is bound to (gate.md 5). Pure;
// thread-safe.
#pragma once

#include <string>

#include "base/json.h"
#include "policy/source.h"

namespace sluice::policy {

// `spellings`: of numbers that `value` does not hold exactly; may be null. Recursive: give it what was parsed.
std::string canonical_json(const Json& value, const Spellings* spellings = nullptr);

}  // namespace sluice::policy

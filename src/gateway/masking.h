// Where secrets stand in our own answers: which member is a header map, a URL, a body (engine.md 8). The names inside
// those are base/redact's matter. Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/redact.h"

namespace sluice::gateway {

// Masks in place; JSON pointers to the strings that got a mask are appended to `pointers`.
void mask_answer(Json& answer, const Redactor& redactor, std::vector<std::string>& pointers);

}  // namespace sluice::gateway

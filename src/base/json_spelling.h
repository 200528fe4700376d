// JSON whose numbers keep their spelling on the way through (gate.md 9): a number that this program would write
// otherwise than it was read (1.0e2, -0, 12345678901234567890123) is held as its lexeme, everything else is the Json
// that parse_json() makes. Such a value is for passing on; what compares numbers asks for plain_json() first.
// Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/json.h"

namespace sluice {

// As parse_json(), with spellings.
Result<Json> parse_spelled_json(std::string_view text, const JsonLimits& limits = {});

// As dump_json() in one line, with the spellings.
std::string dump_spelled_json(const Json& value);

bool is_spelling(const Json& value);
std::string spelling_of(const Json& value);  // of one that is

// The same with ordinary numbers; how those were spelled, by where they stand in `plain`, which must not be copied
// afterwards (moving it keeps them, unless it is a number itself).
using NumberSpellings = std::unordered_map<const Json*, std::string>;
Json plain_json(const Json& value);
NumberSpellings spellings_of(const Json& value, const Json& plain);

}  // namespace sluice

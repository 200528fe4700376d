// JSON values, strict parsing, and dumping that cannot throw. Wraps nlohmann's ordered_json: members keep their
// order. Use parse_json() and dump_json(), never the library's own parse() and dump(), which throw on bad UTF-8 and
// overflow the stack on deep nesting.
// Pure; thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_depth = 64;         // arrays and objects inside each other; deeper is kTooLarge
  std::size_t max_members = 10'000;   // of one object: finding a member is linear; more is kTooLarge
  bool refuse_duplicate_keys = true;  // two members of one name: kInvalid; else the last one wins
};

// RFC 8259; the input must be UTF-8 (kInvalid otherwise); a byte order mark is ignored (§8.1). Integers that no 64-bit
// type holds become doubles; numbers that no double holds are kInvalid. Errors name the byte offset (from 1), never the
// content. Throws nothing but bad_alloc.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

enum class JsonStyle { kCompact, kIndented };
// Ill-formed UTF-8 in strings becomes U+FFFD, a number that is not finite null. Recursive: give it what was parsed, or
// built, within the depth of JsonLimits.
std::string dump_json(const Json& value, JsonStyle style = JsonStyle::kCompact);

// value[key] if `object` is an object that has it and it is not null; else nullptr.
const Json* find_member(const Json& object, std::string_view key);

}  // namespace sluice

// JavaScript regular expressions (ECMA-262 §22.2 with Annex B, no flags) in the spelling of RE2. docs/rules.md has the
// table for users. Pure; thread-safe; linear time and memory in the pattern.
//
// Differences that remain, on purpose:
//   - no look-around and no back-references: refused by name, RE2 has neither
//   - text is code points, not UTF-16 units: `.` takes a whole emoji, lone surrogates are refused
//   - \u{61} is a code point and \p{L} a property, as with the u flag (without it they would be "u" 61 times and
//   "p{L}")
//   - (?i:…) and (?-i:…) of ECMAScript 2025 work; other modifiers are refused
//   - \B alone also matches inside a character of several octets (RE2 looks at octets there)
//   - repeat counts end at 1,000 (RE2's limit)
// Errors: kInvalid for what JavaScript or RE2 cannot take, kTooLarge over kMaxPatternLength; one sentence each.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::rules {

inline constexpr std::size_t kMaxPatternLength = 8 * 1024;  // octets; longer than any URL that servers accept
inline constexpr std::size_t kMaxGroupDepth = 200;          // RE2 recurses on some of its walks

struct Re2Source {
  std::string text;  // what RE2 is given (UTF-8, never_capture may be set)
  // Has ^, \b or \B: what it says of a text may depend on where the text begins. Without, whatever matches a suffix of
  // a text matches the text.
  bool looks_left = false;
  bool anchored = false;  // begins with ^ and has no alternative outside groups
};

Result<Re2Source> translate_js_pattern(std::string_view pattern);

}  // namespace sluice::rules

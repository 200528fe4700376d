// The toolset `mitmproxy` takes patterns and replacements in RE2's syntax; rules keep JavaScript's
// (rules/js_pattern.h). Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::tools {

// (?i) in front, (?P<n>…), \A and \z are spelled otherwise; kInvalid for what JavaScript would take for something else
// (\Q…\E, \C, \pN, [[:alpha:]], flags in the middle). What RE2 itself refuses is left to whoever compiles it.
Result<std::string> js_pattern_of(std::string_view re2);
// \1 and \g<name> are groups, "$" is itself.
std::string js_replacement_of(std::string_view re2);
std::string re2_replacement_of(std::string_view js);  // back again

}  // namespace sluice::tools

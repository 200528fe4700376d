// String literals, normalised paths and patterns of RFC 9535. Private to jsonpath*.cc. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::analysis::jsonpath {

// The string literal at `at`, which stands on its quote; afterwards behind it (§2.3.1.1).
Result<std::string> read_string(std::string_view in, std::size_t& at);
// "['name']" (§2.7).
void append_normal_name(std::string& path, std::string_view name);
// I-Regexp as RE2 understands it: a dot takes neither line feed nor carriage return (RFC 9485 §5.3).
std::string re2_of(std::string_view iregexp);
// Unicode scalar values of well-formed UTF-8.
std::size_t characters_of(std::string_view text);

}  // namespace sluice::analysis::jsonpath

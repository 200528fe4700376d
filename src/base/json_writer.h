// Writes JSON as nlohmann's dump() would, in a third of the time: strings go out in runs. Private to json.cc.
#pragma once

#include <string>

#include "base/json.h"

namespace sluice {

enum class Spelling { kAsRead, kOfTheLibrary };  // of numbers that parse_spelled_json() kept as they stood
// At the end of `out`. Compact; ill-formed UTF-8 becomes U+FFFD.
void write_json(const Json& value, Spelling spelling, std::string& out);

}  // namespace sluice

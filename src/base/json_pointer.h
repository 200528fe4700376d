// JSON pointers (RFC 6901) into Json: the library's own throws on what is none. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace sluice {

// kInvalid: not a pointer (§3). The others take what passed here.
Status check_pointer(std::string_view pointer);
std::vector<std::string> pointer_steps(std::string_view pointer);
// A name as it is written in one.
std::string pointer_segment(std::string_view name);
// Of an array's item (§4): no sign, no leading zeros, below `size`.
std::optional<std::size_t> pointer_index(std::string_view step, std::size_t size);
// One step down; nullptr: it leads nowhere.
Json* child_of(Json& parent, const std::string& step);
const Json* find_pointer(const Json& document, std::string_view pointer);

}  // namespace sluice

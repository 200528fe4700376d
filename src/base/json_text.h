// Long texts as JSON writes them, without a Json in between. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Appends what stands between the quotes of dump_json(Json(text)).
void append_json_text(std::string& out, std::string_view text);

}  // namespace sluice

// Edits of a JSON document by RFC 6901 pointers. Private to this folder. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "rules/rule.h"

namespace sluice::rules {

// True if `text` is JSON and an edit changed it; it is then written anew, indented if it was. "set" makes the objects
// on its way that are missing, and appends where the last step is "-" of an array; an edit that meets something that
// it cannot go into changes nothing. kTooLarge: the text would grow beyond `most`.
Result<bool> edit_json(const std::vector<JsonEdit>& edits, std::string& text, ByteCount most);

}  // namespace sluice::rules

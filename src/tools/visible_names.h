// Texts about tools for somebody who may not see all of them: descriptions point to other tools, and a name is already
// an answer (gate.md 9). Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sluice::tools {

using IsUnseen = std::function<bool(std::string_view word)>;

// `text` without the sentences that hold such a word; where none is left, with "another tool" for each such word. A
// word is [A-Za-z0-9_]+; a sentence ends with ". " or the text.
std::string without_unseen(std::string_view text, const IsUnseen& is_unseen);
// The same for each `description` and `title` within, at any depth.
void drop_unseen(Json& entry, const IsUnseen& is_unseen);

}  // namespace sluice::tools

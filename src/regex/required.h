// What every match of a pattern holds, read off its text: a search then passes over what cannot match without RE2.
// Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace sluice::regex {

// The longest piece of plain ASCII that stands in each match, letters in one case or the other; empty where none is
// found, as in alternatives, groups and classes. `source` is a pattern that RE2 takes. Where that ignores case, it also
// takes U+212A for a k and U+017F for an s: such matches are not thought of.
std::string required_text(std::string_view source);

}  // namespace sluice::regex

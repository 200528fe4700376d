// Which values stand behind the masks of a text: for a caller who may use a secret without seeing it. What is looked
// for is looked for in what is shown (gate.md 7); what is found there leads back to the value. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/redact.h"

namespace sluice::analysis {

// {mask: value} by laying the masked text beside the raw one, as far as that goes.
std::map<std::string, std::string> values_behind(std::string_view masked, std::string_view raw,
                                                 const Redactor& redactor);
// `text` with its masks replaced by what is behind them; masks that are not known stay.
std::string unmask(std::string_view text, const std::map<std::string, std::string>& values);

}  // namespace sluice::analysis

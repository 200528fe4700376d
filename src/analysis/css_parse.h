// Private to css*.cc.
#pragma once

#include <string_view>

#include "analysis/css_node.h"
#include "base/result.h"

namespace sluice::analysis::css {

Result<List> parse_selectors(std::string_view text);

}  // namespace sluice::analysis::css

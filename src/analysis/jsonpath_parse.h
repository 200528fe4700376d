// Private to jsonpath*.cc.
#pragma once

#include <string_view>

#include "analysis/jsonpath_node.h"
#include "base/result.h"

namespace sluice::analysis::jsonpath {

// Well-formed and well-typed (RFC 9535 §2.1, §2.4.3), or why not.
Result<Query> parse_query(std::string_view text);

}  // namespace sluice::analysis::jsonpath

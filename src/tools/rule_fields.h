// The fields of a matcher and a handler, shared by the tools that take or answer rules. Private to this folder.
#pragma once

#include <vector>

#include "tools/tool.h"

namespace sluice::tools {

std::vector<Field> matcher_fields();
std::vector<Field> handler_fields();
std::vector<ResultField> rule_result();

}  // namespace sluice::tools

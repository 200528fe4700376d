// proxy_test_rule_match: which rule would take a request. Private to this folder.
#pragma once

#include "tools/tool.h"

namespace sluice::tools {

Tool rule_test_tool();

}  // namespace sluice::tools

// proxy_search_traffic. Private to this folder.
#pragma once

#include "tools/tool.h"

namespace sluice::tools {

Tool search_tool();

}  // namespace sluice::tools

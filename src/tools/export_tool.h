// proxy_export_traffic. Private to this folder.
#pragma once

#include "tools/tool.h"

namespace sluice::tools {

Tool export_tool();

}  // namespace sluice::tools

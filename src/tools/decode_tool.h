// proxy_decode_exchange. Private to this folder.
#pragma once

#include "tools/tool.h"

namespace sluice::tools {

Tool decode_tool();

}  // namespace sluice::tools

// The cursor arguments that listing and searching share: state and after_rev. Private to this folder.
#pragma once

#include <vector>

#include "capture/capture.h"
#include "tools/tool.h"

namespace sluice::tools {

void add_cursor_fields(std::vector<Field>& fields);
void read_cursor(const Json& arguments, capture::Filter& filter);

}  // namespace sluice::tools

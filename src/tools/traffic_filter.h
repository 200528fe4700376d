// The arguments that listing and searching share: filter, state and after_rev. Private to this folder.
#pragma once

#include <optional>
#include <vector>

#include "analysis/filtered.h"
#include "tools/tool.h"

namespace sluice::tools {

void add_cursor_fields(std::vector<Field>& fields, std::string_view filter_meaning);
void read_cursor(const Json& arguments, capture::Filter& filter);
// The argument `filter`; nullopt: none, or blank. kInvalid: what is wrong, and where.
Result<std::optional<analysis::FilterExpression>> read_expression(const Json& arguments);
// How a call reads what its filter asks for: masked for its caller, until its deadline.
analysis::FilterReading filter_reading(const CallContext& context);
std::function<bool()> deadline_passed(CallContext& context);

}  // namespace sluice::tools

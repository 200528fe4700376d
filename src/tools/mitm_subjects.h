// The tools of the toolset `mitmproxy`, and what they share. Private to this folder. Names, parameters and answers are
// those of mitm-tools.json; analysis.md says where we differ.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/subjects.h"

namespace sluice::tools {

Tool start_proxy_tool();
Tool stop_proxy_tool();
Tool set_scope_tool();
Tool list_tools_tool();
Tool get_flow_schema_tool();
Tool extract_tool();
std::vector<Tool> mitm_rule_tools();     // set_global_header … clear_rules
std::vector<Tool> mitm_traffic_tools();  // get_traffic_summary … clear_traffic

// The answer of a tool whose contract prints one line.
inline Json sentence(std::string text) { return Json{{"result", std::move(text)}}; }
inline std::vector<ResultField> sentence_result() { return {{"result", "string", ""}}; }

// "a, b,c": each once, without spaces and empty ones.
std::vector<std::string> comma_list(std::string_view text);
// Of what a tool says of a flow. kNotFound: "Flow not found."
Result<flow::Exchange> find_flow(const CallContext& context, std::string_view id);
Field flow_id_field();

}  // namespace sluice::tools

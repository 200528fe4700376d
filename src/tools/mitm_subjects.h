// The tools of the toolset `mitmproxy`, and what they share. Private to this folder. Names, parameters and answers are
// those of mitm-tools.json; analysis.md says where we differ.
#pragma once

#include <cstdint>
#include <optional>
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
Tool replay_flow_tool();
Tool fuzz_endpoint_tool();
Tool detect_auth_tool();
Tool api_patterns_tool();
Tool openapi_tool();
Tool scraper_code_tool();
Tool set_variable_tool();
Tool extract_variable_tool();
std::vector<Tool> variable_list_tools();  // list_session_variables, delete_session_variable
std::vector<Tool> mitm_rule_tools();      // set_global_header … clear_rules
std::vector<Tool> mitm_traffic_tools();   // get_traffic_summary … clear_traffic
Tool load_traffic_tool();
Tool trace_value_tool();
Tool login_check_tool();

// The answer of a tool whose contract prints one line.
inline Json sentence(std::string text) { return Json{{"result", std::move(text)}}; }
inline std::vector<ResultField> sentence_result() { return {{"result", "string", ""}}; }

// "a, b,c": each once, without spaces and empty ones.
std::vector<std::string> comma_list(std::string_view text);
// Of what a tool says of a flow. kNotFound: "Flow not found."
Result<flow::Exchange> find_flow(const CallContext& context, std::string_view id);
// The argument `cursor`: where a listing goes on. kInvalid.
Result<std::optional<std::uint64_t>> read_cursor(const Json& arguments);
Field flow_id_field();

}  // namespace sluice::tools

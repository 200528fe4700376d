#include "tools/mitm_subjects.h"

#include <charconv>

#include "tools/mitm_flow.h"

namespace sluice::tools {

Result<std::optional<std::uint64_t>> read_cursor(const Json& arguments) {
  const auto text = text_argument(arguments, "cursor");
  if (!text || text->empty()) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, value);
  if (read.ec != std::errc() || read.ptr != end)
    return fail(Code::kInvalid, "cursor is not one of ours: pass next_cursor of the last answer as it is");
  return std::optional(value);
}

// In the order of mitm-tools.json.
std::vector<Tool> mitmproxy_tools() {
  std::vector<Tool> rules = mitm_rule_tools(), traffic = mitm_traffic_tools(), all;
  const auto take = [&all](std::vector<Tool>& from, std::string_view name) {
    for (Tool& tool : from) {
      if (tool.name == name) all.push_back(tool);
    }
  };
  all = {start_proxy_tool(), stop_proxy_tool(), set_scope_tool()};
  take(rules, "set_global_header");
  take(rules, "remove_global_header");
  for (const std::string_view name : {"get_traffic_summary", "inspect_flow", "inspect_flows"}) take(traffic, name);
  all.push_back(get_flow_schema_tool());
  all.push_back(load_traffic_tool());
  all.push_back(extract_tool());
  take(traffic, "search_traffic");
  all.push_back(set_variable_tool());
  all.push_back(extract_variable_tool());
  take(traffic, "clear_traffic");
  all.push_back(fuzz_endpoint_tool());
  all.push_back(replay_flow_tool());
  for (const std::string_view name : {"add_interception_rule", "list_rules", "clear_rules"}) take(rules, name);
  all.push_back(list_tools_tool());
  all.push_back(openapi_tool());
  all.push_back(api_patterns_tool());
  all.push_back(detect_auth_tool());
  all.push_back(scraper_code_tool());
  for (Tool& tool : variable_list_tools()) all.push_back(std::move(tool));
  all.push_back(trace_value_tool());
  all.push_back(login_check_tool());
  return all;
}

}  // namespace sluice::tools

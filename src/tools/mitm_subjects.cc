#include "tools/mitm_subjects.h"

#include "tools/mitm_flow.h"

namespace sluice::tools {

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
  all.push_back(extract_tool());
  take(traffic, "search_traffic");
  take(traffic, "clear_traffic");
  for (const std::string_view name : {"add_interception_rule", "list_rules", "clear_rules"}) take(rules, name);
  all.push_back(list_tools_tool());
  return all;
}

}  // namespace sluice::tools

#include "tools/subjects.h"
#include "tools/tool.h"

namespace sluice::tools {
namespace {

void take(std::vector<Tool>& all, std::vector<Tool> some) {
  for (Tool& tool : some) all.push_back(std::move(tool));
}

}  // namespace

std::vector<Tool> all_tools() {
  std::vector<Tool> all;
  take(all, lifecycle_tools());
  take(all, upstream_tools());
  take(all, rules_tools());
  take(all, breakpoint_tools());
  take(all, traffic_tools());
  take(all, modification_tools());
  take(all, tls_tools());
  take(all, host_options_tools());
  take(all, session_tools());
  take(all, session_check_tools());
  take(all, comparison_tools());
  take(all, socket_tools());
  take(all, transparent_tools());
  take(all, mitmproxy_tools());
  for (Tool& tool : all) {
    if ((tool.hints & kReturnsTraffic) == 0) continue;
    tool.fields.push_back({.name = "show_secrets",
                           .type = FieldType::kBoolean,
                           .meaning = "Answer secrets unmasked.",
                           .default_value = false});
  }
  return all;
}

}  // namespace sluice::tools

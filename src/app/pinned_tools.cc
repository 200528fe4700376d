#include "app/pinned_tools.h"

#include <fmt/format.h>

#include "app/admin.h"
#include "gateway/pin_store.h"
#include "gateway/visible_text.h"

namespace sluice::app {

Result<PinnedTools> pinned_tools(const Config& config, const std::string& server) {
  SLUICE_TRY(const auto session, AdminSession::open(config));
  gateway::PinStore store(session->state());
  SLUICE_TRY(const std::vector<gateway::Pin> pins, store.load());
  std::map<std::string, std::int64_t> newest;
  PinnedTools tools;
  for (const gateway::Pin& pin : pins) {
    if (pin.server != server) continue;
    const auto [known, first] = newest.emplace(pin.tool, pin.changed_ms);
    if (!first && pin.changed_ms < known->second) continue;
    known->second = pin.changed_ms;
    const Json entry = parse_json(pin.accepted.empty() ? pin.seen : pin.accepted).value_or(Json());
    const Json* schema = find_member(entry, "inputSchema");
    tools[pin.tool] = schema ? *schema : Json();
  }
  if (tools.empty()) {
    return fail(Code::kNotFound,
                fmt::format("no tool of a server '{}' is pinned here (`sluice gateway pins list` has those that a "
                            "gateway of this home has seen)",
                            gateway::visible_text(server)));
  }
  return tools;
}

std::vector<policy::KnownTool> known_tools(const PinnedTools& tools) {
  std::vector<policy::KnownTool> known;
  for (const auto& [name, schema] : tools) {
    policy::KnownTool one{name, policy::RiskClass::kUnclassified, {}};
    const Json* fields = find_member(schema, "properties");
    one.any_argument = !fields || !fields->is_object();
    if (!one.any_argument) {
      for (auto field = fields->begin(); field != fields->end(); ++field) one.arguments.push_back(field.key());
    }
    known.push_back(std::move(one));
  }
  return known;
}

}  // namespace sluice::app

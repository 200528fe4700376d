#include "gateway/registry.h"

#include "tools/session_json.h"
#include "tools/status.h"

namespace sluice::gateway {
namespace {

using tools::Risk;
using tools::Tool;

Json annotations(const Tool& tool) {
  Json hints = {{"title", tool.title}, {"readOnlyHint", tool.risk == Risk::kRead}};
  if (tool.risk != Risk::kRead) hints["destructiveHint"] = tool.risk == Risk::kDestructive;
  hints["idempotentHint"] = (tool.hints & tools::kIdempotent) != 0;
  hints["openWorldHint"] = (tool.hints & tools::kOpenWorld) != 0;
  return hints;
}

Json entry_of(const Tool& tool) {
  return {{"name", tool.name},
          {"title", tool.title},
          {"description", tool.summary},
          {"inputSchema", tools::input_schema(tool)},
          {"outputSchema", tools::output_schema(tool)},
          {"annotations", annotations(tool)}};
}

Json read_status(const tools::Services& services) {
  services.ring.sync();
  return tools::status_json(services);
}

Json read_certificate(const tools::Services& services) {
  if (!services.authority) return "No certificate. Start the proxy first.";
  return services.authority->certificate_pem();
}

Json read_summary(const tools::Services& services) {
  services.ring.sync();
  return tools::traffic_summary(services);
}

Json read_sessions(const tools::Services& services) { return tools::sessions_resource(services); }

}  // namespace

Registry::Registry(tools::Toolset toolset, std::vector<Tool> all) {
  for (Tool& tool : all) {
    if (tools::belongs_to(tool, toolset)) tools_.push_back(std::move(tool));
  }
  for (std::size_t i = 0; i < tools_.size(); ++i) {
    entries_.push_back(entry_of(tools_[i]));
    by_name_.emplace(tools_[i].name, i);
  }
  resources_ = {
      {"proxy://status", "proxy_status", "Proxy status", "What proxy_status answers.", "application/json", read_status},
      {"proxy://ca-cert", "proxy_ca_cert", "CA certificate", "The CA that clients must trust, as PEM.",
       "application/x-pem-file", read_certificate},
      {"proxy://traffic/summary", "proxy_traffic_summary", "Traffic summary",
       "Counts of captured traffic by method, status, host and fingerprint.", "application/json", read_summary},
      {"proxy://sessions", "proxy_sessions", "Recordings", "What is being recorded, and all recordings.",
       "application/json", read_sessions}};
}

const Tool* Registry::find_tool(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tools_[found->second];
}

const Resource* Registry::find_resource(std::string_view uri) const {
  for (const Resource& resource : resources_) {
    if (resource.uri == uri) return &resource;
  }
  return nullptr;
}

const Json& Registry::tool_entry(const Tool& tool) const {
  return entries_[static_cast<std::size_t>(&tool - tools_.data())];
}

Json Registry::resource_entry(const Resource& resource) {
  return {{"uri", resource.uri},
          {"name", resource.name},
          {"title", resource.title},
          {"description", resource.description},
          {"mimeType", resource.mime_type}};
}

}  // namespace sluice::gateway

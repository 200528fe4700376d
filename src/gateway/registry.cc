#include "gateway/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/secret_values.h"
#include "tools/session_json.h"
#include "tools/session_resources.h"
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

class OwnTool final : public Callee {
 public:
  explicit OwnTool(const Tool& tool) : tool_(tool) {}
  std::string_view server() const override { return kServer; }
  std::string_view method() const override { return "tools/call"; }
  std::string_view name() const override { return tool_.name; }
  std::optional<Risk> risk() const override { return tool_.risk; }
  Result<Json> parse(const Json& arguments) const override { return tools::parse_arguments(tool_, arguments); }
  Place place() const override { return (tool_.hints & tools::kSlow) != 0 ? Place::kPool : Place::kHere; }
  Result<Json> run(const Run& run) const override {
    const Status may = run.context.handles ? tools::check_handles(tool_, run.arguments) : Status();
    auto result = may ? tool_.function(run.arguments, run.context) : tl::unexpected(may.error());
    if (result) return run.presenter.success(tool_, run.arguments, run.view, *std::move(result));
    run.end.status = result.error().code == Code::kCancelled ? "cancelled" : "error";
    return run.presenter.failure(tool_, result.error(), run.view);
  }

 private:
  const Tool& tool_;
};

class OwnResource final : public Callee {
 public:
  explicit OwnResource(std::shared_ptr<const Resource> resource) : resource_(std::move(resource)) {}
  std::string_view server() const override { return kServer; }
  std::string_view method() const override { return "resources/read"; }
  std::string_view name() const override { return resource_->uri; }
  std::optional<Risk> risk() const override { return Risk::kRead; }
  Result<Json> parse(const Json&) const override { return Json::object(); }
  Place place() const override { return Place::kPool; }
  Result<Json> run(const Run& run) const override {
    auto value = resource_->read(*run.context.services);
    if (value) return run.presenter.resource(*resource_, run.view, *std::move(value));
    run.end.status = "error";
    return fail(std::move(value.error()));
  }

 private:
  const std::shared_ptr<const Resource> resource_;
};

// A list, or a completion: it shows names, and needs no presenting.
class OwnListing final : public Callee {
 public:
  using Make = std::function<Result<Json>(const tools::Services& services)>;
  OwnListing(std::string_view method, Make make) : method_(method), make_(std::move(make)) {}
  std::string_view server() const override { return kServer; }
  std::string_view method() const override { return method_; }
  std::string_view name() const override { return ""; }
  std::optional<Risk> risk() const override { return Risk::kRead; }
  Result<Json> parse(const Json&) const override { return Json::object(); }
  Place place() const override { return Place::kPool; }
  Result<Json> run(const Run& run) const override { return make_(*run.context.services); }

 private:
  const std::string_view method_;
  const Make make_;
};

constexpr std::string_view kPrefix = "proxy://sessions/", kArgument = "{session_id}", kJson = "application/json";
constexpr std::size_t kMostListed = 100, kMostValues = 100;  // sessions; values of a completion

constexpr std::array<SessionTemplate, 3> kTemplates{{
    {"proxy://sessions/{session_id}/summary", "proxy_session_summary", "Session Summary",
     "Persisted proxy session summary", tools::session_summary},
    {"proxy://sessions/{session_id}/timeline", "proxy_session_timeline", "Session Timeline", "Request timeline buckets",
     tools::session_timeline},
    {"proxy://sessions/{session_id}/findings", "proxy_session_findings", "Session Findings",
     "Top errors, slow requests, and risk signals", tools::session_findings},
}};

// "/summary"
std::string_view end_of(const SessionTemplate& one) { return one.uri.substr(kPrefix.size() + kArgument.size()); }

}  // namespace

Registry::Registry(tools::Toolset toolset, std::vector<Tool> all) {
  for (Tool& tool : all) {
    names_.insert(tool.name);
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

bool Registry::is_fixed(std::string_view uri) const {
  return std::any_of(resources_.begin(), resources_.end(), [&](const Resource& one) { return one.uri == uri; });
}

std::shared_ptr<const Resource> Registry::find_resource(std::string_view uri) const {
  for (const Resource& resource : resources_) {
    if (resource.uri == uri) return {std::shared_ptr<void>(), &resource};  // it lives as long as this
  }
  if (!uri.starts_with(kPrefix)) return nullptr;
  for (const SessionTemplate& one : kTemplates) {
    if (!uri.ends_with(end_of(one)) || uri.size() <= kPrefix.size() + end_of(one).size()) continue;
    const std::string id(uri.substr(kPrefix.size(), uri.size() - kPrefix.size() - end_of(one).size()));
    if (!session::is_session_id(id)) return nullptr;
    const auto read = [reader = one.read, id](const tools::Services& services) { return reader(services, id); };
    return std::make_shared<const Resource>(
        Resource{std::string(uri), one.name, one.title, one.description, kJson, read});
  }
  return nullptr;
}

CalleePtr Registry::callee_of(const Tool& tool) { return std::make_shared<OwnTool>(tool); }
CalleePtr Registry::callee_of(std::shared_ptr<const Resource> resource) {
  return std::make_shared<OwnResource>(std::move(resource));
}

Json Registry::template_entries() {
  Json entries = Json::array();
  for (const SessionTemplate& one : kTemplates) {
    entries.push_back({{"uriTemplate", one.uri},
                       {"name", one.name},
                       {"title", one.title},
                       {"description", one.description},
                       {"mimeType", kJson}});
  }
  return entries;
}

CalleePtr Registry::resource_listing() const {
  return std::make_shared<OwnListing>("resources/list", [this](const tools::Services& services) -> Result<Json> {
    Json entries = Json::array();
    for (const Resource& resource : resources_) entries.push_back(resource_entry(resource));
    const auto sessions = tools::named_sessions(services);
    const std::size_t count = sessions ? std::min(sessions->size(), kMostListed) : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [id, name] = (*sessions)[i];
      for (const SessionTemplate& one : kTemplates) {
        entries.push_back({{"uri", fmt::format("{}{}{}", kPrefix, id, end_of(one))},
                           {"name", fmt::format("{} ({})", one.title, id)},
                           {"description", name.empty() ? std::string(one.description) : name},
                           {"mimeType", kJson}});
      }
    }
    return Json{{"resources", std::move(entries)}};
  });
}

CalleePtr Registry::completion(std::string uri_template, std::string argument, std::string value) {
  const auto complete = [=](const tools::Services& services) -> Result<Json> {
    const bool known = std::any_of(kTemplates.begin(), kTemplates.end(),
                                   [&](const SessionTemplate& one) { return one.uri == uri_template; });
    if (!known || argument != kArgument.substr(1, kArgument.size() - 2)) {
      return fail(Code::kNotFound, "There is nothing to complete for that.");
    }
    SLUICE_TRY(const auto sessions, tools::named_sessions(services));
    Json values = Json::array();
    std::size_t total = 0;
    for (const tools::NamedSession& session : sessions) {
      if (!session.id.starts_with(value)) continue;
      if (++total <= kMostValues) values.push_back(session.id);
    }
    return Json{{"completion", {{"values", std::move(values)}, {"total", total}, {"hasMore", total > kMostValues}}}};
  };
  return std::make_shared<OwnListing>("completion/complete", complete);
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

// `sluice policy learn`: from what was called to the least policy that lets it pass.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "app/call_log.h"
#include "app/commands.h"
#include "app/policy_simulate.h"
#include "gateway/callee.h"
#include "gateway/policy_gate.h"
#include "policy/learn.h"

namespace sluice::app {
namespace {

// A policy is for one server, or for an endpoint's: whose it is. kInvalid: which one is not clear.
Result<std::string> server_of(const Config& config, const PastCalls& past) {
  if (!config.policy_endpoint.empty()) return config.policy_endpoint;
  if (!config.policy_server.empty()) return config.policy_server;
  std::set<std::string> servers;
  for (const PastCall& call : past.calls) servers.insert(call.server);
  if (servers.size() == 1) return *servers.begin();
  if (servers.empty()) return fail(Code::kNotFound, "there are no calls to learn from");
  std::string names;
  for (const std::string& name : servers) names += (names.empty() ? "" : ", ") + policy::printable(name);
  return fail(Code::kInvalid, "these are calls of several servers: choose one with --server: " + names +
                                  "; or --endpoint NAME, for a grant of all of them together");
}

std::vector<std::string> names_in(const Json& schema) {
  std::vector<std::string> names;
  const Json* properties = find_member(schema, "properties");
  if (!properties || !properties->is_object()) return names;
  for (const auto& [name, ignored] : properties->items()) names.push_back(name);
  return names;
}

std::vector<policy::ToolFields> fields_of(const PastCalls& past) {
  std::vector<policy::ToolFields> fields;
  const bool ours = std::any_of(past.calls.begin(), past.calls.end(),
                                [](const PastCall& call) { return call.server == gateway::kServer; });
  if (ours) {
    for (const tools::Tool& tool : tools::all_tools()) {
      policy::ToolFields one{std::string(tool.name), {}};
      for (const tools::Field& field : tool.fields) one.names.emplace_back(field.name);
      fields.push_back(std::move(one));
    }
  }
  std::set<std::string> seen;
  for (const PastCall& call : past.calls) {
    const auto schema = past.schemas.find({call.server, call.tool});
    if (schema == past.schemas.end() || !seen.insert(call.policy_tool).second) continue;
    fields.push_back({call.policy_tool, names_in(schema->second)});
  }
  return fields;
}

// Whether `"args": "closed"` would deny none of these calls of another server's tools.
bool all_fit_their_schemas(const PastCalls& past) {
  return std::all_of(past.calls.begin(), past.calls.end(), [&](const PastCall& call) {
    if (call.method != "tools/call" || call.decision != "allow") return true;
    const auto schema = past.schemas.find({call.server, call.tool});
    return call.values && schema != past.schemas.end() &&
           !gateway::denied_by_schema(schema->second, policy::to_json(*call.values));
  });
}

}  // namespace

int learn_policy(const Config& config) {
  auto past = read_past_calls(config);
  if (!past) return report(past.error());
  const auto server = server_of(config, *past);
  if (!server) return report(server.error());
  const bool ours = *server == gateway::kServer;  // whose arguments are closed anyway
  const bool closed = !ours && all_fit_their_schemas(*past);
  const std::vector<policy::ToolFields> fields = fields_of(*past);
  std::vector<policy::ObservedCall> observed;
  std::size_t left_out = 0;
  for (PastCall& call : past->calls) {
    if (call.decision != "allow") {  // what no policy let pass is nothing to allow
      ++left_out;
      continue;
    }
    observed.push_back({call.time, std::move(call.grant), std::move(call.method), std::move(call.policy_tool),
                        call.risk, std::move(call.arguments), std::move(call.values), call.approved});
  }
  if (observed.empty())
    return report({Code::kNotFound, "no call of " + *server + " was allowed: nothing to learn from"});
  const policy::Learned learned = policy::learn(observed, fields, closed);
  std::vector<std::string> reasons = learned.reasons;
  if (!ours && !closed && past->has_values) {
    reasons.emplace_back("not every call fits its tool's schema, so that arguments without a rule stay open");
  }
  if (!past->has_values) reasons.emplace_back("an audit log holds no values: only the names of arguments are narrowed");
  if (left_out > 0) reasons.push_back(fmt::format("{} calls were not allowed, and are not learned from", left_out));
  if (past->untold > 0) reasons.push_back(fmt::format("{} calls have no line of their own", past->untold));
  if (config.json) {
    fmt::print("{{\"policy\":{},\"reasons\":{}}}\n", dump_source(learned.document), dump_json(Json(reasons)));
    return 0;
  }
  for (const std::string& reason : reasons) fmt::print(stderr, "{}\n", policy::printable(reason));
  fmt::print("{}\n", dump_source(learned.document, JsonStyle::kIndented));
  return 0;
}

}  // namespace sluice::app

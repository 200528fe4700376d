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

// A policy is for one server. kInvalid: which one is not clear.
Result<std::string> server_of(const Config& config, const PastCalls& past) {
  std::set<std::string> servers;
  for (const PastCall& call : past.calls) servers.insert(call.server);
  if (!config.policy_server.empty()) return config.policy_server;
  if (servers.size() == 1) return *servers.begin();
  if (servers.empty()) return fail(Code::kNotFound, "there are no calls to learn from");
  std::string names;
  for (const std::string& name : servers) names += (names.empty() ? "" : ", ") + policy::printable(name);
  return fail(Code::kInvalid, "these are calls of several servers: choose one with --server: " + names);
}

std::vector<policy::ToolFields> fields_of(const std::string& server, const PastCalls& past) {
  std::vector<policy::ToolFields> fields;
  if (server == gateway::kServer) {
    for (const tools::Tool& tool : tools::all_tools()) {
      policy::ToolFields one{std::string(tool.name), {}};
      for (const tools::Field& field : tool.fields) one.names.emplace_back(field.name);
      fields.push_back(std::move(one));
    }
  }
  for (const auto& [key, schema] : past.schemas) {
    if (key.first != server) continue;
    policy::ToolFields one{key.second, {}};
    const Json* properties = find_member(schema, "properties");
    if (properties && properties->is_object()) {
      for (const auto& [name, ignored] : properties->items()) one.names.push_back(name);
    }
    fields.push_back(std::move(one));
  }
  return fields;
}

// Whether `"args": "closed"` would deny none of these calls of another server's tools.
bool all_fit_their_schemas(const std::string& server, const std::vector<policy::ObservedCall>& calls,
                           const PastCalls& past) {
  return std::all_of(calls.begin(), calls.end(), [&](const policy::ObservedCall& call) {
    if (call.method != "tools/call") return true;
    const auto schema = past.schemas.find({server, call.tool});
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
  std::vector<policy::ObservedCall> observed;
  std::size_t left_out = 0;
  for (PastCall& call : past->calls) {
    if (call.server != *server) continue;
    if (call.decision != "allow") {  // what no policy let pass is nothing to allow
      ++left_out;
      continue;
    }
    observed.push_back({call.time, std::move(call.grant), std::move(call.method), std::move(call.tool), call.risk,
                        std::move(call.arguments), std::move(call.values), call.approved});
  }
  if (observed.empty())
    return report({Code::kNotFound, "no call of " + *server + " was allowed: nothing to learn from"});
  const bool ours = *server == gateway::kServer;  // whose arguments are closed anyway
  const bool closed = !ours && all_fit_their_schemas(*server, observed, *past);
  const policy::Learned learned = policy::learn(observed, fields_of(*server, *past), closed);
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

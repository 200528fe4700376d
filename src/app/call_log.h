// What agents called before: of an audit log, which has names only, or of --record-calls, which has values.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/config.h"
#include "base/json.h"
#include "base/result.h"
#include "policy/policy.h"

namespace sluice::app {

struct PastCall {
  std::int64_t time = 0;  // Unix milliseconds
  std::string grant, server, method, tool, decision;
  // As the policy calls them: its own names, or of an endpoint (docs/gateway.md, "Several servers") its name and
  // SERVER__TOOL.
  std::string policy_server, policy_tool;
  bool approved = false;                  // a person let it pass
  std::vector<std::string> arguments;     // their names, sorted; of an audit log
  std::optional<policy::Node> values;     // an object; of recorded calls
  std::optional<policy::RiskClass> risk;  // of our own tools
};

struct PastCalls {
  std::vector<PastCall> calls;  // by time
  // A server's tool and its input schema, of recorded calls.
  std::map<std::pair<std::string, std::string>, Json> schemas;
  bool has_values = false;
  std::uint64_t untold = 0;  // calls that have no line: denials that were summed up, calls that could not be kept
};

// --audit LOG or --calls DIR of the configuration, and of them what --server, --grant and --endpoint choose; the
// owner's calls are left out, since no policy governs them. kInvalid: neither or both are given, or a line is none;
// kRefused: the key is another, or a line was altered; kNotFound: there are none of that server or grant.
Result<PastCalls> read_past_calls(const Config& config);

}  // namespace sluice::app

// From calls to the least policy that lets them pass: the tools that were called, each with the arguments that were
// given and what their values have in common. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace sluice::policy {

struct ObservedCall {
  std::int64_t time_ms = 0;  // Unix
  std::string grant, method, tool;
  std::optional<RiskClass> risk;       // of our own tools
  std::vector<std::string> arguments;  // their names
  std::optional<Node> values;          // an object; nothing: only the names are known
  bool approved = false;               // a person let it pass
};

// The names that a tool's schema knows; nothing: unknown.
struct ToolFields {
  std::string tool;
  std::vector<std::string> names;
};

struct Learned {
  Node document;
  std::vector<std::string> reasons;  // one line for each tool, argument and limit: what was seen, how often
};
// Of calls that ran, by time, of one server. `closed`: each of them fits its tool's schema, so that `"args": "closed"`
// denies none of them.
Learned learn(const std::vector<ObservedCall>& calls, const std::vector<ToolFields>& fields, bool closed = false);

// --- private to this folder ---

// What one argument's values have in common, as a condition that each of them meets.
struct LearnedCondition {
  std::string op;
  Node value;
  std::string reason;  // "one of 2 values", without what may be secret
};
// `values`: at least one, none null. Nothing of them is told if the name says that they are secret.
LearnedCondition learn_condition(const std::string& name, const std::vector<const Node*>& values);

}  // namespace sluice::policy

#include "policy/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "policy/node_build.h"

namespace sluice::policy {
namespace {

using Kind = Node::Kind;

constexpr std::size_t kMostUnseen = 200;  // arguments of a tool that a rule denies by name
constexpr std::int64_t kHour = 3'600'000;

// What is known of one tool's calls.
struct Observed {
  std::size_t calls = 0, approved = 0;
  bool has_values = true, shows_secrets = false;
  std::optional<RiskClass> risk;
  std::map<std::string, std::vector<const Node*>> values;  // of each argument that was not null
  std::set<std::string> names;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> by_hour;  // of a grant
};

std::string path_of(const std::string& name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain ? "args." + name : "args[" + dump_json(name) + "]";
}

Node condition_of(const std::string& path, const std::string& op, Node value) {
  Node condition = container(Kind::kObject, 1);
  add(condition, "path", text_node(path, 1));
  add(condition, "op", text_node(op, 1));
  add(condition, "value", std::move(value));
  return condition;
}

Node truth(bool value) {
  Node node = container(Kind::kBoolean, 1);
  node.boolean = value;
  return node;
}

class Learner {
 public:
  Learner(const std::vector<ObservedCall>& calls, const std::vector<ToolFields>& fields, bool closed)
      : calls_(calls), closed_(closed) {
    for (const ToolFields& one : fields) fields_[one.tool] = &one.names;
  }

  Learned run() {
    for (const ObservedCall& call : calls_) observe(call);
    Node& document = out_.document;
    document = container(Kind::kObject, 1);
    add(document, "version", text_node("1", 1));
    add(document, "description", text_node(description(), 1));
    add(document, "default", text_node("deny", 1));
    if (!methods_.empty()) {
      Node methods = container(Kind::kObject, 1);
      for (const auto& [name, count] : methods_) {
        add(methods, name, text_node("allow", 1));
        out_.reasons.push_back(fmt::format("{}: {} times", name, count));
      }
      add(document, "methods", std::move(methods));
    }
    if (closed_) add(document, "args", text_node("closed", 1));
    Node tools = container(Kind::kObject, 1);
    for (const auto& [name, tool] : tools_) add(tools, name, entry_of(name, tool));
    add(document, "tools", std::move(tools));
    if (unsayable_ > 0) {
      out_.reasons.push_back(fmt::format("{} calls of tools whose name would be a pattern are left out", unsayable_));
    }
    return std::move(out_);
  }

 private:
  void observe(const ObservedCall& call) {
    if (call.method != "tools/call") {
      if (is_governed_method(call.method)) ++methods_[call.method];
      return;
    }
    if (call.tool.find('*') != std::string::npos || call.tool.starts_with("risk:")) {
      ++unsayable_;
      return;
    }
    Observed& tool = tools_[call.tool];
    ++tool.calls;
    tool.approved += call.approved ? 1 : 0;
    tool.risk = call.risk;
    ++tool.by_hour[{call.grant, call.time_ms / kHour}];
    tool.has_values = tool.has_values && call.values.has_value();
    for (const std::string& name : call.arguments) tool.names.insert(name);
    if (!call.values) return;
    for (std::size_t i = 0; i < call.values->names.size(); ++i) {
      const Node& value = call.values->items[i];
      const std::string& name = call.values->names[i].text;
      tool.names.insert(name);
      if (!value.is(Kind::kNull)) tool.values[name].push_back(&value);
      if (name == "show_secrets" && value.is(Kind::kBoolean) && value.boolean) tool.shows_secrets = true;
    }
  }

  std::string description() const {
    std::size_t calls = 0;
    for (const auto& [name, tool] : tools_) calls += tool.calls;
    if (calls_.empty()) return "Learned from no calls";
    const auto day = [](const ObservedCall& call) {
      return iso8601_ms(WallTime(std::chrono::milliseconds(call.time_ms))).substr(0, 10);
    };
    return fmt::format("Learned from {} calls of {} tools, {} to {}", calls, tools_.size(), day(calls_.front()),
                       day(calls_.back()));
  }

  void reason(const std::string& tool, std::string_view what) {
    out_.reasons.push_back(tool + ": " + std::string(what));
  }

  Node entry_of(const std::string& name, const Observed& tool) {
    reason(name, fmt::format("{} calls", tool.calls));
    Node entry = container(Kind::kObject, 1);
    std::vector<Node> require;
    if (tool.has_values) {
      for (const auto& [argument, values] : tool.values) require.push_back(requirement(name, tool, argument, values));
    }
    if (!require.empty()) add(entry, "require", list_of(require, 1));
    if (auto unseen = unseen_arguments(name, tool)) add(entry, "deny_if", list_of({*std::move(unseen)}, 1));
    if (tool.approved == tool.calls) {
      Node approval = container(Kind::kObject, 1);
      add(approval, "message", text_node("A person let each of these calls pass.", 1));
      add(entry, "require_approval", std::move(approval));
      reason(name, "a person let each of them pass, and is asked again");
    }
    if (tool.risk != RiskClass::kRead) add(entry, "limits", list_of({limit_of(name, tool)}, 1));
    if (tool.shows_secrets && tool.risk) {
      Node result = container(Kind::kObject, 1);
      add(result, "raw", truth(true));
      add(entry, "result", std::move(result));
      reason(name, "secrets were shown, and may be");
    }
    return entry;
  }

  // Where it is not always given, it may be absent.
  Node requirement(const std::string& tool, const Observed& observed, const std::string& argument,
                   const std::vector<const Node*>& values) {
    LearnedCondition learned = learn_condition(argument, values);
    const std::string path = path_of(argument);
    const bool always = values.size() == observed.calls;
    reason(tool, fmt::format("{} in {} of {} calls: {}", path, values.size(), observed.calls, learned.reason));
    Node rule = container(Kind::kObject, 1);
    Node wanted = list_of({condition_of(path, learned.op, std::move(learned.value))}, 1);
    if (always) {
      add(rule, "conditions", std::move(wanted));
    } else {
      add(rule, "any_of", list_of({list_of({condition_of(path, "exists", truth(false))}, 1), std::move(wanted)}, 1));
    }
    add(rule, "on_deny", text_node(fmt::format("{} is not as it was when this policy was learned", argument), 1));
    return rule;
  }

  // Those that the schema knows and no call gave.
  std::optional<Node> unseen_arguments(const std::string& name, const Observed& tool) {
    const auto known = fields_.find(name);
    if (known == fields_.end()) return std::nullopt;
    std::vector<Node> branches;
    for (const std::string& field : *known->second) {
      if (tool.names.contains(field) || branches.size() >= kMostUnseen) continue;
      branches.push_back(list_of({condition_of(path_of(field), "exists", truth(true))}, 1));
    }
    if (branches.empty()) return std::nullopt;
    reason(name, fmt::format("{} arguments were never given, and are denied", branches.size()));
    Node rule = container(Kind::kObject, 1);
    add(rule, "any_of", list_of(branches, 1));
    add(rule, "on_deny", text_node("This argument was never given when this policy was learned", 1));
    return rule;
  }

  // The busiest hour of one grant.
  Node limit_of(const std::string& name, const Observed& tool) {
    std::size_t most = 0;
    for (const auto& [key, count] : tool.by_hour) most = std::max(most, count);
    reason(name, fmt::format("at most {} calls in an hour", most));
    Node limit = container(Kind::kObject, 1);
    add(limit, "counter", text_node(name + "_rate", 1));
    add(limit, "window", text_node("hour", 1));
    add(limit, "max", number_node(std::to_string(most), 1));
    add(limit, "scope", text_node("grant", 1));
    return limit;
  }

  const std::vector<ObservedCall>& calls_;
  const bool closed_;
  std::map<std::string, const std::vector<std::string>*> fields_;
  std::map<std::string, Observed> tools_;
  std::map<std::string, std::size_t> methods_;
  std::size_t unsayable_ = 0;  // calls of tools whose name would mean more in a policy
  Learned out_;
};

}  // namespace

Learned learn(const std::vector<ObservedCall>& calls, const std::vector<ToolFields>& fields, bool closed) {
  return Learner(calls, fields, closed).run();
}

}  // namespace sluice::policy

#include "gateway/policy_gate.h"

#include <fmt/format.h>

#include "base/json_pointer.h"
#include "gateway/callee.h"
#include "gateway/visible_text.h"
#include "policy/canonical.h"
#include "policy/explain.h"
#include "tools/secret_handles.h"

namespace sluice::gateway {
namespace {

// What is denied before any policy is asked.
Decision denied(std::string rule, std::string message) {
  Decision decision;
  decision.allow = false;
  decision.rule = std::move(rule);
  decision.message = std::move(message);
  return decision;
}

}  // namespace

policy::Decision policy_denial(std::string rule, std::string message) {
  policy::Decision decision;
  decision.verdict = policy::Verdict::kDeny;
  decision.rule = std::move(rule);
  decision.message = std::move(message);
  return decision;
}

Decision PolicyGate::gate_closed() { return denied("(gate closed)", "The gate is closed"); }

policy::RiskClass policy_risk(tools::Risk risk) {
  switch (risk) {
    case tools::Risk::kRead:
      return policy::RiskClass::kRead;
    case tools::Risk::kWrite:
      return policy::RiskClass::kWrite;
    case tools::Risk::kExecute:
      return policy::RiskClass::kExecute;
    case tools::Risk::kDestructive:
      return policy::RiskClass::kDestructive;
  }
  return policy::RiskClass::kDestructive;
}

std::optional<policy::RiskClass> policy_risk(std::optional<tools::Risk> risk) {
  return risk ? std::optional(policy_risk(*risk)) : std::nullopt;
}

PolicyGate::EnginePtr PolicyGate::find_engine(std::string_view grant) const {
  if (grant == "default") return engine_;
  const auto found = engines_.find(grant);
  return found == engines_.end() ? nullptr : found->second;
}

PolicyGate::Named PolicyGate::named(const Caller& caller, std::string_view server, std::string_view tool) const {
  if (!endpoint_grants_.contains(caller.grant)) return {server, std::string(tool)};
  return {endpoint_, fmt::format("{}__{}", server, tool)};
}

tl::expected<PolicyGate::EnginePtr, Decision> PolicyGate::engine_for(const Caller& caller) const {
  // First: what it reads may bring the grant's policy.
  const bool holds = !identities_ || identities_->is_valid(caller);
  if (!holds) {
    const std::string_view why = identities_->unusable();
    if (why.empty()) return tl::unexpected(denied("(grant ended)", "This grant has ended"));
    return tl::unexpected(
        denied("(grants unusable)", fmt::format("grants cannot be read, so no call of one may run ({})", why)));
  }
  EnginePtr engine = find_engine(caller.grant);
  if (!engine) return tl::unexpected(denied("(no policy)", "This grant has no policy"));
  return engine;
}

bool PolicyGate::is_open(std::string_view grant, std::string_view method) const {
  const EnginePtr engine = find_engine(grant);
  return engine && (engine->document().mode == policy::Mode::kMonitor || engine->allows_method(method));
}

std::vector<std::string> PolicyGate::unknown_names(std::string_view grant, std::string_view server,
                                                   const std::set<std::string, std::less<>>& tools,
                                                   std::size_t most) const {
  const EnginePtr engine = find_engine(grant);
  if (!engine) return {};
  if (!is_of_endpoint(grant)) return policy::unknown_names(engine->document(), tools, most);
  // Of one of several servers: what begins with its name.
  const std::string prefix = fmt::format("{}__", server);
  std::set<std::string, std::less<>> prefixed;
  for (const std::string& tool : tools) prefixed.insert(prefix + tool);
  std::vector<std::string> names = policy::unknown_names(engine->document(), prefixed, std::string::npos);
  std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix); });
  if (names.size() > most) names.resize(most);
  return names;
}

bool PolicyGate::is_listed(std::string_view grant, std::string_view tool, std::optional<tools::Risk> risk) const {
  const EnginePtr engine = find_engine(grant);
  return engine && lists(*engine, tool, risk);
}

bool PolicyGate::lists(const policy::Engine& engine, std::string_view tool, std::optional<tools::Risk> risk) {
  return engine.document().mode == policy::Mode::kMonitor ||
         engine.judge_name(tool, policy_risk(risk)) == policy::NameAnswer::kListed;
}

Decision PolicyGate::settle(const policy::Engine& engine, policy::Decision decided) {
  Decision decision;
  decision.revision = engine.revision();
  decision.rule = std::move(decided.rule);
  decision.message = std::move(decided.message);
  if (decided.verdict == policy::Verdict::kAllow) return decision;
  if (decided.verdict == policy::Verdict::kAskPerson) {
    decision.message = "A person would have to approve this call, and nobody can be asked here";
  }
  decision.would_deny = engine.document().mode == policy::Mode::kMonitor;
  decision.allow = decision.would_deny;
  decision.as_unknown =
      decision.rule == "(hidden)" && engine.document().hidden_reply == policy::HiddenReply::kUnknown && !decision.allow;
  return decision;
}

bool PolicyGate::may_see(const Caller& caller, std::string_view server, std::string_view name,
                         std::optional<tools::Risk> risk) const {
  if (!is_governed(caller)) return true;
  const auto found = engine_for(caller);
  return found && lists(**found, named(caller, server, name).tool, risk);
}

Decision PolicyGate::judge_method(const Caller& caller, std::string_view method) const {
  if (!is_governed(caller) || policy::is_open_method(method)) return {};
  if (is_closed()) return gate_closed();
  const auto found = engine_for(caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  if (engine->allows_method(method)) {
    Decision decision = settle(*engine, {});
    decision.results = engine->results_of_others();
    decision.handles = engine->document().handles;
    decision.results_observed = engine->document().mode == policy::Mode::kMonitor;
    return decision;
  }
  for (const policy::MethodEntry& entry : engine->document().methods) {
    if (entry.name == method) return settle(*engine, policy_denial("/methods/" + pointer_segment(method), "closed"));
  }
  return settle(*engine, policy_denial("(default deny)", "closed"));
}

PolicyGate::Pins PolicyGate::pins(const Caller& caller) const {
  const EnginePtr engine = find_engine(caller.grant);
  if (!engine) return Pins::kEnforce;
  const policy::Document& document = engine->document();
  if (!document.pins) return document.otherwise == policy::Default::kDeny ? Pins::kEnforce : Pins::kOff;
  return *document.pins == "off" ? Pins::kOff : *document.pins == "warn" ? Pins::kWarn : Pins::kEnforce;
}

Decision PolicyGate::judge_name(const Caller& caller, std::string_view server, std::string_view name,
                                std::optional<tools::Risk> risk) const {
  if (!is_governed(caller)) return {};
  if (is_closed()) return gate_closed();
  const auto found = engine_for(caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  const std::string tool = named(caller, server, name).tool;
  // The answer is in the words of the caller, who may see the tool under a longer name than its policy does.
  const std::string shown = is_of_endpoint(caller.grant) ? tool : caller.tool_prefix + std::string(name);
  return settle(*engine, engine->judged_name(shown, engine->judge_name(tool, policy_risk(risk))));
}

std::optional<policy::Decision> PolicyGate::others_rule(const Subject& subject) const {
  if (subject.server != kServer || subject.risk == tools::Risk::kRead) return std::nullopt;
  const Json* replace = find_member(subject.arguments, "replace");
  const Json* given = find_member(subject.arguments, "rules");
  // Whoever adds a rule meanwhile would lose it, so that even a look at all of them would not do.
  if (given && given->is_array() && replace && replace->is_boolean() && replace->get<bool>()) {
    return policy_denial("/own_only",
                         "replace would remove rules that this grant has not made; remove your own one by one");
  }
  const Json* id = find_member(subject.arguments, "rule_id");
  if (!id || !id->is_string()) return std::nullopt;
  // Numbers are never given twice and a rule keeps its grant: what is true now is true when the call runs.
  const rules::RulePtr rule = rules_ ? rules_->find(id->get_ref<const std::string&>()) : nullptr;
  if (rules_ && (!rule || rule->spec.grant == subject.caller.grant)) return std::nullopt;
  return policy_denial("/own_only", "this rule was made by another grant; only its own may be changed here");
}

Json with_defaults(const Json& schema, Json arguments) {
  const Json* fields = find_member(schema, "properties");
  if (!fields || !fields->is_object()) return arguments;
  for (const auto& [name, field] : fields->items()) {
    const Json* value = find_member(field, "default");
    if (value && !arguments.contains(name)) arguments[name] = *value;
  }
  return arguments;
}

std::optional<policy::Decision> denied_by_schema(const Json& schema, const Json& arguments) {
  const Json* known = find_member(schema, "properties");
  for (const auto& [name, value] : arguments.items()) {
    if (known && known->is_object() && known->contains(name)) continue;
    return policy_denial("/args", fmt::format("The tool's schema has no argument \"{}\"", visible_text(name)));
  }
  const auto shape = policy::Shape::compile(schema);  // what it cannot say is left to the server
  if (shape && !shape->fits(arguments))
    return policy_denial("/args", "The arguments are not what the tool's schema says");
  return std::nullopt;
}

}  // namespace sluice::gateway

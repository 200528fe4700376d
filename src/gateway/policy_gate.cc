#include "gateway/policy_gate.h"

#include <fmt/format.h>

namespace sluice::gateway {
namespace {

policy::Decision deny(std::string rule, std::string message) {
  policy::Decision decision;
  decision.verdict = policy::Verdict::kDeny;
  decision.rule = std::move(rule);
  decision.message = std::move(message);
  return decision;
}

// What is denied before any policy is asked.
Decision denied(std::string rule, std::string message) {
  Decision decision;
  decision.allow = false;
  decision.rule = std::move(rule);
  decision.message = std::move(message);
  return decision;
}

}  // namespace

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

PolicyGate::EnginePtr PolicyGate::find_engine(std::string_view grant) const {
  if (grant == "default") return engine_;
  const auto found = engines_.find(grant);
  return found == engines_.end() ? nullptr : found->second;
}

tl::expected<PolicyGate::EnginePtr, Decision> PolicyGate::engine_for(const Caller& caller) const {
  // First: what it reads may bring the grant's policy.
  const bool holds = !identities_ || identities_->is_valid(caller);
  if (!holds) return tl::unexpected(denied("(grant ended)", "This grant has ended"));
  EnginePtr engine = find_engine(caller.grant);
  if (!engine) return tl::unexpected(denied("(no policy)", "This grant has no policy"));
  return engine;
}

bool PolicyGate::is_open(std::string_view grant, std::string_view method) const {
  const EnginePtr engine = find_engine(grant);
  return engine && (engine->document().mode == policy::Mode::kMonitor || engine->allows_method(method));
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

bool PolicyGate::may_see(const Caller& caller, std::string_view, std::string_view name, tools::Risk risk) const {
  if (!is_governed(caller)) return true;
  const auto found = engine_for(caller);
  if (!found) return false;
  const EnginePtr& engine = *found;
  return engine->document().mode == policy::Mode::kMonitor ||
         engine->judge_name(name, policy_risk(risk)) == policy::NameAnswer::kListed;
}

Decision PolicyGate::judge_method(const Caller& caller, std::string_view method) const {
  if (!is_governed(caller) || !policy::is_governed_method(method)) return {};
  const auto found = engine_for(caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  if (engine->allows_method(method)) return settle(*engine, {});
  for (const policy::MethodEntry& entry : engine->document().methods) {
    if (entry.name == method) return settle(*engine, deny("/methods/" + policy::pointer_segment(method), "closed"));
  }
  return settle(*engine, deny("(default deny)", "closed"));
}

Decision PolicyGate::judge_name(const Caller& caller, std::string_view, std::string_view name, tools::Risk risk) const {
  if (!is_governed(caller)) return {};
  const auto found = engine_for(caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  return settle(*engine, engine->judged_name(name, engine->judge_name(name, policy_risk(risk))));
}

policy::Decision PolicyGate::reserve(const policy::Engine& engine, policy::Decision decided,
                                     policy::Reservation& reserved) {
  if (decided.uses.empty()) return decided;
  auto outcome = store_.reserve(decided.uses, clock_.wall());
  // A44: a store that cannot be used never reads as zero.
  if (!outcome) {
    return deny(*decided.limit_rules.front(),
                fmt::format("the counters cannot be used, so no limited call may run ({})", outcome.error().message));
  }
  if (const auto* reached = std::get_if<policy::LimitReached>(&*outcome)) {
    return policy::Engine::limit_reached(decided, *reached);
  }
  reserved = std::move(std::get<policy::Reservation>(*outcome));
  return decided;
}

Decision PolicyGate::decide(const Subject& subject) {
  if (!is_governed(subject.caller)) return {};
  const auto found = engine_for(subject.caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  const policy::RiskClass risk = policy_risk(subject.risk);
  const policy::NameAnswer name = engine->judge_name(subject.name, risk);
  policy::Reservation reserved;
  policy::Decision decided;
  if (name != policy::NameAnswer::kListed) {
    decided = engine->judged_name(subject.name, name);
  } else {
    decided = engine->decide({.grant = subject.caller.grant,
                              .server = subject.server,
                              .tool = subject.name,
                              .risk = risk,
                              .arguments = subject.arguments});
    const auto& most = engine->document().max_in_flight;
    if (decided.verdict == policy::Verdict::kAllow && most && subject.in_flight >= *most) {
      decided = deny("/max_in_flight", fmt::format("{} calls of this grant run already; try again", *most));
    }
    if (decided.verdict == policy::Verdict::kAllow) decided = reserve(*engine, std::move(decided), reserved);
  }
  Decision decision = settle(*engine, std::move(decided));
  decision.reserved = std::move(reserved);
  return decision;
}

void PolicyGate::give_back(policy::Reservation& reserved) {
  // What cannot be given back stays consumed, which is the safe side.
  if (!reserved.parts.empty()) (void)store_.give_back(reserved);
}

}  // namespace sluice::gateway

// Puts a compiled policy in front of the dispatcher: which grant it governs, monitor mode, limits in the state store.
// `owner` is never limited; a grant without a policy is denied everything. gate.md 2-4.
// Control thread only: a call is judged by one revision from its name to its counters, since the policy changes
// between calls only.
#pragma once

#include <memory>

#include "base/clock.h"
#include "gateway/policy.h"
#include "policy/engine.h"

namespace sluice::gateway {

class PolicyGate final : public Policy {
 public:
  PolicyGate(const Clock& clock, policy::StateStore& store) : clock_(clock), store_(store) {}

  // Of the grant `default`, from the next call on. Counters stay.
  void set_policy(std::shared_ptr<const policy::Engine> engine) { engine_ = std::move(engine); }
  const std::shared_ptr<const policy::Engine>& policy() const { return engine_; }

  bool may_see(const Caller& caller, std::string_view server, std::string_view name, tools::Risk risk) const override;
  Decision judge_method(const Caller& caller, std::string_view method) const override;
  Decision judge_name(const Caller& caller, std::string_view server, std::string_view name,
                      tools::Risk risk) const override;
  Decision decide(const Subject& subject) override;
  void give_back(policy::Reservation& reserved) override;

 private:
  bool is_governed(const Caller& caller) const { return caller.grant != "owner"; }
  const policy::Engine* engine_of(const Caller& caller) const;
  // The engine's answer in the gate's words; in monitor mode a denial becomes would_deny.
  static Decision settle(const policy::Engine& engine, policy::Decision decided);
  policy::Decision reserve(const policy::Engine& engine, policy::Decision decided, policy::Reservation& reserved);

  const Clock& clock_;
  policy::StateStore& store_;
  std::shared_ptr<const policy::Engine> engine_;
};

policy::RiskClass policy_risk(tools::Risk risk);

}  // namespace sluice::gateway

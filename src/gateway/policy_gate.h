// Puts compiled policies in front of the dispatcher: which one governs a grant, monitor mode, limits in the state
// store. `owner` is never limited; a grant without a policy, or one that has ended, is denied everything. gate.md 2-4.
// Control thread only: a call is judged by one revision from its name to its counters, since the policy changes
// between calls only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tl/expected.hpp>

#include "base/clock.h"
#include "base/entropy.h"
#include "gateway/approval_store.h"
#include "gateway/identity.h"
#include "gateway/policy.h"
#include "gateway/seal.h"
#include "policy/engine.h"
#include "rules/rule_store.h"

namespace sluice::tools {
class SecretHandles;  // tools/secret_handles.h
}

namespace sluice::gateway {

class PolicyGate final : public Policy {
 public:
  PolicyGate(const Clock& clock, policy::StateStore& store) : clock_(clock), store_(store) {}

  using EnginePtr = std::shared_ptr<const policy::Engine>;
  // Of the grant `default`, from the next call on. Counters stay.
  void set_policy(EnginePtr engine) { engine_ = std::move(engine); }
  const EnginePtr& policy() const { return engine_; }
  // Of all other grants, by name; null: none that can be put in force.
  void set_grant_policies(std::map<std::string, EnginePtr, std::less<>> engines) { engines_ = std::move(engines); }
  // Which of them are for several servers behind one endpoint: their policies name tools `<server>__<tool>`, and their
  // limits count for the endpoint.
  void set_endpoint(std::string endpoint, std::set<std::string, std::less<>> grants) {
    endpoint_ = std::move(endpoint);
    endpoint_grants_ = std::move(grants);
  }
  bool is_of_endpoint(std::string_view grant) const { return endpoint_grants_.contains(grant); }
  // Where calls wait for a person; outlive the gate. Without them such a call is denied.
  void set_approvals(ApprovalStore& approvals, Entropy& entropy) {
    approvals_ = &approvals;
    entropy_ = &entropy;
    seal_.emplace(entropy);
  }
  // Called with each approval that begins to wait; must not block.
  void on_approval(std::function<void(const Approval&)> told) { on_approval_ = std::move(told); }
  // Asked for each call: true denies all of them, whatever any policy says (`sluice gate close`).
  void set_closed(std::function<bool()> closed) { closed_ = std::move(closed); }
  // Asked for each call; outlives the gate. Without it every grant holds.
  void set_identities(Identities& identities) { identities_ = &identities; }
  // For `own_only`: who made which rule. Outlives the gate; without it such a policy denies every change of a rule.
  void set_rules(const rules::RuleStore& rules) { rules_ = &rules; }
  // An approval is of what a handle means (gate.md 5). Outlives the gate; without it of the handle.
  void set_handles(const tools::SecretHandles& handles) { handles_ = &handles; }

  bool may_see(const Caller& caller, std::string_view server, std::string_view name,
               std::optional<tools::Risk> risk) const override;
  Decision judge_method(const Caller& caller, std::string_view method) const override;
  Decision judge_name(const Caller& caller, std::string_view server, std::string_view name,
                      std::optional<tools::Risk> risk) const override;
  Decision decide(const Subject& subject) override;
  bool take_answer(const Subject& subject, std::string_view state, const Json& responses) override;
  std::optional<std::int64_t> decisions() override;
  Pins pins(const Caller& caller) const override;
  std::optional<WallTime> count_denial(const Caller& caller) override;
  void give_back(policy::Reservation& reserved) override;
  // Whether the grant's policy leaves the method open, whoever shows which token: for what is offered.
  bool is_open(std::string_view grant, std::string_view method) const;
  // One of our own tools; may_see() also looks at whether the caller's grant still holds.
  bool is_listed(std::string_view grant, std::string_view tool, std::optional<tools::Risk> risk) const;

 private:
  // A server and its tool as the caller's policy calls them.
  struct Named {
    std::string_view server;
    std::string tool;
  };
  Named named(const Caller& caller, std::string_view server, std::string_view tool) const;
  bool is_governed(const Caller& caller) const { return caller.grant != "owner"; }
  EnginePtr find_engine(std::string_view grant) const;
  bool is_closed() const { return closed_ && closed_(); }
  // The policy to ask, held for as long as the call is judged; or the denial before any is asked.
  tl::expected<EnginePtr, Decision> engine_for(const Caller& caller) const;
  // The engine's answer in the gate's words; in monitor mode a denial becomes would_deny.
  static bool lists(const policy::Engine& engine, std::string_view tool, std::optional<tools::Risk> risk);
  static Decision settle(const policy::Engine& engine, policy::Decision decided);
  policy::Decision reserve(const Subject& subject, const policy::Engine& engine, policy::Decision decided,
                           policy::Reservation& reserved);
  void use_answer(const Subject& subject, const Json& given, const Json& responses);
  // own_only: the denial of a call that changes another grant's rule.
  std::optional<policy::Decision> others_rule(const Subject& subject) const;
  // Of a call that a person must decide about: runs it once they have, and else says what it waits for.
  Decision ask_person(const Subject& subject, const policy::Engine& engine, policy::Decision decided);
  Decision use_approval(const Subject& subject, const policy::Engine& engine, policy::Decision decided,
                        const Approval& approval);

  const Clock& clock_;
  policy::StateStore& store_;
  const rules::RuleStore* rules_ = nullptr;
  const tools::SecretHandles* handles_ = nullptr;
  EnginePtr engine_;
  std::map<std::string, EnginePtr, std::less<>> engines_;
  std::string endpoint_;
  std::set<std::string, std::less<>> endpoint_grants_;
  Identities* identities_ = nullptr;
  std::function<bool()> closed_;
  ApprovalStore* approvals_ = nullptr;
  Entropy* entropy_ = nullptr;
  std::function<void(const Approval&)> on_approval_;
  std::optional<Seal> seal_;
  std::optional<std::int64_t> decisions_;
  std::optional<MonoTime> decisions_read_;
};

// `"args": "closed"` for a foreign tool: the denial of what its schema does not know.
std::optional<policy::Decision> denied_by_schema(const Json& schema, const Json& arguments);

policy::RiskClass policy_risk(tools::Risk risk);
std::optional<policy::RiskClass> policy_risk(std::optional<tools::Risk> risk);

}  // namespace sluice::gateway

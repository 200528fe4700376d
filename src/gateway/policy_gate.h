// Puts compiled policies in front of the dispatcher: which one governs a grant, monitor mode, limits in the state
// store. `owner` is never limited; a grant without a policy, or one that has ended, is denied everything. gate.md 2-4.
// Control thread only: what is decided of a call, its counters and its approval, is decided by one revision, the one
// that is logged, whatever policy comes into force meanwhile.
//
// Where counters and approvals lie elsewhere (remote_state.h), the store and the approvals that the gate was given are
// the lane's alone: only what is marked so below touches them, with what a Case holds and nothing else of the gate.
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
#include "gateway/remote_state.h"
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
  // Counters and approvals lie there. Outlives the gate, which in turn outlives all that the lane does.
  void set_remote(RemoteState& remote) { remote_ = &remote; }
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
  Decision decide(const Subject& subject) override;  // not with set_remote()
  Withdraw decide_later(const Subject& subject, Decided decided) override;
  bool take_answer(const Subject& subject, std::string_view state, const Json& responses) override;
  std::optional<std::int64_t> decisions() override;
  Pins pins(const Caller& caller) const override;
  std::optional<WallTime> count_denial(const Caller& caller) override;  // not with set_remote()
  void count_denial_later(const Caller& caller, std::function<void(WallTime until)> reached) override;
  void give_back(policy::Reservation& reserved) override;
  // Whether the grant's policy leaves the method open, whoever shows which token: for what is offered.
  bool is_open(std::string_view grant, std::string_view method) const;
  // What the grant's policy names in `tools` and `hide` and a server with these tools does not have, at most `most`.
  std::vector<std::string> unknown_names(std::string_view grant, std::string_view server,
                                         const std::set<std::string, std::less<>>& tools, std::size_t most) const;
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
  static Decision gate_closed();
  // A call between what the engine says of it and the answer.
  struct Case {
    std::optional<Decision> answer;  // nothing else is to be asked
    EnginePtr engine;
    policy::Decision decided;
    std::string tool;  // as the policy calls it
    std::optional<policy::RiskClass> risk;
    WallTime now{};
    bool is_full = false;            // max_in_flight
    std::optional<Approval> wanted;  // a person must decide
    decltype(policy::Decision::approval) need;
    std::optional<std::int64_t> decisions;  // before the look
    std::optional<Result<ApprovalStore::Asked>> asked;
    policy::Reservation reserved;
  };
  Case open(const Subject& subject) const;
  void want_person(const Subject& subject, Case& one) const;
  static bool needs_stores(const Case& one);
  Decision close(const Subject& subject, Case& one);
  Decision close_asked(const Subject& subject, Case& one);
  Decision close_waiting(const Subject& subject, const Case& one, const Approval& waiting);
  // The lane's, where there is one.
  void ask_stores(Case& one) const;
  void reserve(Case& one) const;
  void give_back_here(policy::Reservation& reserved) const;
  std::optional<WallTime> count_here(const policy::LimitUse& use, WallTime now) const;
  // Of one whose stores lie elsewhere.
  struct Call {
    Subject subject;
    Decided decided;  // empty: it was called, or nobody waits
    StateLane::TicketPtr ticket;
    bool is_withdrawn = false;
    bool wanted = false;
  };
  void ask_elsewhere(const std::shared_ptr<Call>& call);
  void hear(Call& call, Case& one);
  static void answer(Call& call, Decision decision);
  void use_answer(const Subject& subject, const Json& given, const Json& responses);
  std::optional<policy::LimitUse> denials_of(const Caller& caller) const;
  void count_elsewhere(policy::LimitUse use);
  // own_only: the denial of a call that changes another grant's rule.
  std::optional<policy::Decision> others_rule(const Subject& subject) const;

  const Clock& clock_;
  policy::StateStore& store_;
  RemoteState* remote_ = nullptr;
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
  struct Uncounted {
    policy::Micro amount = 0;
    bool is_asking = false;
    std::function<void(WallTime)> reached;
  };
  std::map<std::string, Uncounted> uncounted_;  // denials, by their counter: of a few grants
};

// What a foreign server fills in is judged as if the caller had said it (gate.md 3). `schema` null: nothing.
Json with_defaults(const Json& schema, Json arguments);

// `"args": "closed"` for a foreign tool: the denial of what its schema does not know.
std::optional<policy::Decision> denied_by_schema(const Json& schema, const Json& arguments);

policy::Decision policy_denial(std::string rule, std::string message);
policy::RiskClass policy_risk(tools::Risk risk);
std::optional<policy::RiskClass> policy_risk(std::optional<tools::Risk> risk);

}  // namespace sluice::gateway

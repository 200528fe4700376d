#include "gateway/policy_gate.h"

#include <fmt/format.h>

#include "base/json_pointer.h"
#include "gateway/callee.h"
#include "gateway/visible_text.h"
#include "policy/canonical.h"
#include "tools/secret_handles.h"

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

Decision gate_closed() { return denied("(gate closed)", "The gate is closed"); }

// gate.md 5. Nothing here says how to decide.
std::string waiting_text(const Approval& approval) {
  std::string_view message = approval.message;
  while (message.ends_with('.') || message.ends_with(' ')) message.remove_suffix(1);
  return fmt::format("[APPROVAL REQUIRED] {} expires {}{}{}. A person must decide; repeat the same call afterwards.",
                     approval.id, iso8601_ms(WallTime(std::chrono::milliseconds(approval.expires_ms))),
                     message.empty() ? "" : ": ", message);
}

constexpr std::chrono::milliseconds kDecisionsAge{200};  // all calls that wait share one look
constexpr std::size_t kMostAsked = 2'000;                // characters of the arguments in a question

std::string question_text(const Approval& approval) {
  return fmt::format("{}{}The tool {} is to be called with {}", visible_text(approval.message),
                     approval.message.empty() ? "" : " ", approval.tool,
                     visible_json(parse_json(approval.arguments).value_or(Json()), kMostAsked));
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
    if (entry.name == method) return settle(*engine, deny("/methods/" + pointer_segment(method), "closed"));
  }
  return settle(*engine, deny("(default deny)", "closed"));
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
  return settle(*engine, engine->judged_name(tool, engine->judge_name(tool, policy_risk(risk))));
}

policy::Decision PolicyGate::reserve(const Subject& subject, const policy::Engine& engine, policy::Decision decided,
                                     policy::Reservation& reserved) {
  const auto& most = engine.document().max_in_flight;
  if (most && subject.in_flight >= *most) {
    return deny("/max_in_flight", fmt::format("{} calls of this grant run already; try again", *most));
  }
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

std::optional<std::int64_t> PolicyGate::decisions() {
  if (!approvals_) return std::nullopt;
  const MonoTime now = clock_.mono();
  if (decisions_read_ && now - *decisions_read_ < kDecisionsAge) return decisions_;
  const auto revision = approvals_->revision();
  decisions_ = revision ? std::optional(*revision) : std::nullopt;
  decisions_read_ = clock_.mono();
  return decisions_;
}

Decision PolicyGate::ask_person(const Subject& subject, const policy::Engine& engine, policy::Decision decided) {
  const auto held = decided.approval;  // beyond `decided`, which is given away below
  const policy::ApprovalNeed& need = *held;
  const std::int64_t now = unix_ms(clock_.wall());
  Approval wanted;
  wanted.arguments = policy::canonical_json(subject.arguments, subject.spellings);
  if (wanted.arguments.size() > ApprovalStore::kMostArguments) {
    return settle(engine, deny(decided.rule,
                               "A person would have to approve this call, and its arguments are longer "
                               "than anybody can look at (64 KiB)"));
  }
  const bool handles = handles_ && engine.document().handles;
  wanted.digest = approval_digest(subject.server, subject.name,
                                  handles ? handles_->meant(subject.caller.grant, wanted.arguments) : wanted.arguments,
                                  subject.caller.grant, need.rules);
  wanted.id = "apr_" + random_token(*entropy_, 9);
  wanted.grant = subject.caller.grant;
  wanted.server = subject.server;
  wanted.tool = subject.name;
  wanted.rule = decided.rule;
  wanted.message = need.message;
  wanted.created_ms = now;
  wanted.expires_ms = now + std::chrono::milliseconds(need.timeout).count();
  const auto known = decisions();  // before the look, so that what is decided meanwhile is not missed
  const auto asked = approvals_->ask(wanted, now);
  if (!asked) {
    return settle(engine, deny(decided.rule, fmt::format("approvals cannot be used, so nobody can be asked ({})",
                                                         asked.error().message)));
  }
  if (asked->is_new && on_approval_) on_approval_(asked->approval);
  switch (asked->state) {
    case ApprovalStore::State::kFull:
      return settle(engine, deny("(approvals full)", "Too many calls wait for a person already"));
    case ApprovalStore::State::kApproved:
      return use_approval(subject, engine, std::move(decided), asked->approval);
    case ApprovalStore::State::kDenied: {
      Decision decision =
          settle(engine, deny(decided.rule, fmt::format("A person denied this call ({})", asked->approval.id)));
      decision.approval = asked->approval.id;
      decision.approver = asked->approval.approver;
      return decision;
    }
    case ApprovalStore::State::kPending:
      break;
  }
  const Approval& waiting = asked->approval;
  Decision decision = settle(engine, std::move(decided));
  decision.approval = waiting.id;
  decision.message = need.message;
  PendingApproval pending{waiting.id, waiting.expires_ms, need.wait, waiting_text(waiting), "", "", known};
  // Never what destroys, whatever the policy says (gate.md 1).
  const policy::RiskClass risk = subject.risk
                                     ? policy_risk(*subject.risk)
                                     : engine.class_of(named(subject.caller, subject.server, subject.name).tool);
  const bool destroys = risk == policy::RiskClass::kDestructive || risk == policy::RiskClass::kUnclassified;
  if (need.caller && subject.caller.can_ask_user && !destroys) {
    pending.question = question_text(waiting);
    pending.state = seal_->close(
        {{"id", waiting.id}, {"grant", waiting.grant}, {"digest", waiting.digest}, {"until", waiting.expires_ms}});
  }
  decision.pending = std::move(pending);
  return decision;
}

bool PolicyGate::take_answer(const Subject& subject, std::string_view state, const Json& responses) {
  const Caller& caller = subject.caller;
  if (!approvals_) return false;
  const auto given = seal_->open(state);
  if (!given) return false;
  if (is_governed(caller) && !is_closed() && engine_for(caller)) use_answer(subject, *given, responses);
  return true;
}

void PolicyGate::use_answer(const Subject& subject, const Json& given, const Json& responses) {
  const Caller& caller = subject.caller;
  const std::int64_t now = unix_ms(clock_.wall());
  if (given.at("grant") != caller.grant || given.at("until").get<std::int64_t>() <= now) return;
  const auto approval = approvals_->find(given.at("id").get<std::string>());
  if (!approval || approval->digest != given.at("digest").get<std::string>() || approval->grant != caller.grant) return;
  // The call that it comes with is the one that was asked about.
  const bool same = approval->server == subject.server && approval->tool == subject.name &&
                    approval->arguments == policy::canonical_json(subject.arguments, subject.spellings);
  if (!same) return;
  const Json* answer = find_member(responses, kQuestion);
  const Json* action = answer ? find_member(*answer, "action") : nullptr;
  const Json* content = answer ? find_member(*answer, "content") : nullptr;
  const Json* decision = content ? find_member(*content, "decision") : nullptr;
  if (!action) return;
  const bool approved = *action == "accept" && decision && *decision == "approve";
  const bool denied = *action == "decline" || (*action == "accept" && decision && *decision == "deny");
  // Once: a second one finds it decided.
  if (approved || denied) (void)approvals_->decide(approval->id, approved, "caller, unverified", now);
}

// First its limits, so that a call that does not fit keeps its approval; then the approval, which only one call gets.
Decision PolicyGate::use_approval(const Subject& subject, const policy::Engine& engine, policy::Decision decided,
                                  const Approval& approval) {
  decided.verdict = policy::Verdict::kAllow;
  decided.rule.clear();
  decided.message.clear();
  policy::Reservation reserved;
  decided = reserve(subject, engine, std::move(decided), reserved);
  if (decided.verdict == policy::Verdict::kAllow) {
    const auto used = approvals_->use(approval.id, unix_ms(clock_.wall()));
    if (!used || !*used) {
      give_back(reserved);
      reserved = {};
      decided = deny(approval.rule, used ? "This approval was used or has ended; try again"
                                         : fmt::format("the approval cannot be used ({})", used.error().message));
    }
  }
  Decision decision = settle(engine, std::move(decided));
  decision.reserved = std::move(reserved);
  decision.approval = approval.id;
  if (decision.allow) decision.approver = approval.approver;
  return decision;
}

std::optional<policy::Decision> PolicyGate::others_rule(const Subject& subject) const {
  if (subject.server != kServer || subject.risk == tools::Risk::kRead) return std::nullopt;
  const Json* replace = find_member(subject.arguments, "replace");
  const Json* given = find_member(subject.arguments, "rules");
  // Whoever adds a rule meanwhile would lose it, so that even a look at all of them would not do.
  if (given && given->is_array() && replace && replace->is_boolean() && replace->get<bool>()) {
    return deny("/own_only", "replace would remove rules that this grant has not made; remove your own one by one");
  }
  const Json* id = find_member(subject.arguments, "rule_id");
  if (!id || !id->is_string()) return std::nullopt;
  // Numbers are never given twice and a rule keeps its grant: what is true now is true when the call runs.
  const rules::RulePtr rule = rules_ ? rules_->find(id->get_ref<const std::string&>()) : nullptr;
  if (rules_ && (!rule || rule->spec.grant == subject.caller.grant)) return std::nullopt;
  return deny("/own_only", "this rule was made by another grant; only its own may be changed here");
}

std::optional<policy::Decision> denied_by_schema(const Json& schema, const Json& arguments) {
  const Json* known = find_member(schema, "properties");
  for (const auto& [name, value] : arguments.items()) {
    if (known && known->is_object() && known->contains(name)) continue;
    return deny("/args", fmt::format("The tool's schema has no argument \"{}\"", visible_text(name)));
  }
  const auto shape = policy::Shape::compile(schema);  // what it cannot say is left to the server
  if (shape && !shape->fits(arguments)) return deny("/args", "The arguments are not what the tool's schema says");
  return std::nullopt;
}

Decision PolicyGate::decide(const Subject& subject) {
  if (!is_governed(subject.caller)) return {};
  if (is_closed()) return gate_closed();
  const auto found = engine_for(subject.caller);
  if (!found) return found.error();
  const EnginePtr& engine = *found;
  const std::optional<policy::RiskClass> risk = policy_risk(subject.risk);
  const Named its = named(subject.caller, subject.server, subject.name);
  const policy::NameAnswer name = engine->judge_name(its.tool, risk);
  if (name != policy::NameAnswer::kListed) return settle(*engine, engine->judged_name(its.tool, name));
  policy::Decision decided = engine->decide({.grant = subject.caller.grant,
                                             .server = its.server,
                                             .tool = its.tool,
                                             .risk = risk,
                                             .arguments = subject.arguments,
                                             .spellings = subject.spellings});
  if (decided.verdict != policy::Verdict::kDeny) {
    if (engine->document().closed_args && subject.schema) {
      if (auto denied = denied_by_schema(*subject.schema, subject.arguments)) decided = *std::move(denied);
    }
  }
  if (decided.verdict != policy::Verdict::kDeny && engine->document().own_only) {
    if (auto denied = others_rule(subject)) decided = *std::move(denied);
  }
  const bool enforced = engine->document().mode == policy::Mode::kEnforce;
  if (decided.verdict == policy::Verdict::kAskPerson && approvals_ && enforced) {
    Decision decision = ask_person(subject, *engine, std::move(decided));
    decision.results = engine->results_of(its.tool, risk);
    decision.handles = engine->document().handles;
    return decision;
  }
  policy::Reservation reserved;
  if (decided.verdict == policy::Verdict::kAllow) decided = reserve(subject, *engine, std::move(decided), reserved);
  Decision decision = settle(*engine, std::move(decided));
  decision.reserved = std::move(reserved);
  decision.results = engine->results_of(its.tool, risk);
  decision.handles = engine->document().handles;
  decision.results_observed = engine->document().mode == policy::Mode::kMonitor;
  return decision;
}

std::optional<WallTime> PolicyGate::count_denial(const Caller& caller) {
  if (!is_governed(caller)) return std::nullopt;
  const auto engine_found = engine_for(caller);
  if (!engine_found || !*engine_found || !(*engine_found)->document().max_denials) return std::nullopt;
  const EnginePtr& engine = *engine_found;
  const policy::MaxDenials& most = *engine->document().max_denials;
  policy::Limit limit;
  limit.counter = "denials";
  limit.window = most.window;
  const policy::LimitUse use{policy::limit_key(policy::Scope::kGrant, caller.grant, "", "/max_denials", limit),
                             most.window, false, static_cast<policy::Micro>(most.max) * policy::kMicro, policy::kMicro};
  const auto counted = store_.reserve(std::span(&use, 1), clock_.wall());
  // A store that cannot be used denies limited calls anyway; it shuts nobody out.
  const auto* reached = counted ? std::get_if<policy::LimitReached>(&*counted) : nullptr;
  return reached ? std::optional(reached->again) : std::nullopt;
}

void PolicyGate::give_back(policy::Reservation& reserved) {
  // What cannot be given back stays consumed, which is the safe side.
  if (!reserved.parts.empty()) (void)store_.give_back(reserved);
}

}  // namespace sluice::gateway

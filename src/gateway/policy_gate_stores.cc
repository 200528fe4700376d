// The part of the gate that asks the stores: before them the engine has decided, behind them the answer is made.
#include <fmt/format.h>

#include "gateway/policy_gate.h"
#include "gateway/visible_text.h"
#include "policy/canonical.h"
#include "tools/secret_handles.h"

namespace sluice::gateway {
namespace {

// gate.md 5. Nothing here says how to decide.
std::string waiting_text(const Approval& approval) {
  std::string_view message = approval.message;
  while (message.ends_with('.') || message.ends_with(' ')) message.remove_suffix(1);
  return fmt::format("[APPROVAL REQUIRED] {} expires {}{}{}{} A person must decide; repeat the same call afterwards.",
                     approval.id, iso8601_ms(WallTime(std::chrono::milliseconds(approval.expires_ms))),
                     message.empty() ? "" : ": ", message, message.ends_with('?') || message.ends_with('!') ? "" : ".");
}

constexpr std::chrono::milliseconds kDecisionsAge{200};  // all calls that wait share one look
constexpr std::size_t kMostAsked = 2'000;                // characters of the arguments in a question

std::string question_text(const Approval& approval) {
  return fmt::format("{}{}The tool {} is to be called with {}", visible_text(approval.message),
                     approval.message.empty() ? "" : " ", approval.tool,
                     visible_json(parse_json(approval.arguments).value_or(Json()), kMostAsked));
}

policy::Decision in_flight_denial(std::int64_t most) {
  return policy_denial("/max_in_flight", fmt::format("{} calls of this grant run already; try again", most));
}

std::string unusable_counters(std::string_view why) {
  return fmt::format("the counters cannot be used, so no limited call may run ({})", why);
}

std::string unusable_approvals(std::string_view why) {
  return fmt::format("approvals cannot be used, so nobody can be asked ({})", why);
}

}  // namespace

PolicyGate::Case PolicyGate::open(const Subject& subject) const {
  Case one;
  if (!is_governed(subject.caller)) {
    one.answer.emplace();
    return one;
  }
  if (is_closed()) {
    one.answer = gate_closed();
    return one;
  }
  auto found = engine_for(subject.caller);
  if (!found) {
    one.answer = std::move(found).error();
    return one;
  }
  one.engine = *std::move(found);
  const policy::Engine& engine = *one.engine;
  one.now = clock_.wall();
  one.risk = policy_risk(subject.risk);
  Named its = named(subject.caller, subject.server, subject.name);
  const policy::NameAnswer name = engine.judge_name(its.tool, one.risk);
  if (name != policy::NameAnswer::kListed) {
    one.answer = settle(engine, engine.judged_name(its.tool, name));
    return one;
  }
  one.decided = engine.decide({.grant = subject.caller.grant,
                               .server = its.server,
                               .tool = its.tool,
                               .risk = one.risk,
                               .arguments = subject.arguments,
                               .spellings = subject.spellings});
  one.tool = std::move(its.tool);
  if (one.decided.verdict != policy::Verdict::kDeny && engine.document().closed_args && subject.schema) {
    if (auto denied = denied_by_schema(*subject.schema, subject.arguments)) one.decided = *std::move(denied);
  }
  if (one.decided.verdict != policy::Verdict::kDeny && engine.document().own_only) {
    if (auto denied = others_rule(subject)) one.decided = *std::move(denied);
  }
  const auto& most = engine.document().max_in_flight;
  one.is_full = most && subject.in_flight >= *most;
  if (one.is_full && one.decided.verdict == policy::Verdict::kAllow) one.decided = in_flight_denial(*most);
  const bool enforced = engine.document().mode == policy::Mode::kEnforce;
  if (one.decided.verdict == policy::Verdict::kAskPerson && approvals_ && enforced) want_person(subject, one);
  return one;
}

// Of a call that a person must decide about: what is to be looked for, or why nobody can.
void PolicyGate::want_person(const Subject& subject, Case& one) const {
  one.need = one.decided.approval;  // beyond `decided`, which is given away
  const policy::ApprovalNeed& need = *one.need;
  const std::int64_t now = unix_ms(one.now);
  Approval wanted;
  wanted.arguments = policy::canonical_json(subject.arguments, subject.spellings);
  if (wanted.arguments.size() > ApprovalStore::kMostArguments) {
    one.decided = policy_denial(one.decided.rule,
                                "A person would have to approve this call, and its arguments are longer "
                                "than anybody can look at (64 KiB)");
    return;
  }
  const bool handles = handles_ && one.engine->document().handles;
  wanted.digest = approval_digest(subject.server, subject.name,
                                  handles ? handles_->meant(subject.caller.grant, wanted.arguments) : wanted.arguments,
                                  subject.caller.grant, need.rules);
  wanted.id = "apr_" + random_token(*entropy_, 9);
  wanted.grant = subject.caller.grant;
  wanted.server = subject.server;
  wanted.tool = subject.name;
  wanted.rule = one.decided.rule;
  wanted.message = need.message;
  wanted.created_ms = now;
  wanted.expires_ms = now + std::chrono::milliseconds(need.timeout).count();
  one.wanted = std::move(wanted);
}

bool PolicyGate::needs_stores(const Case& one) {
  if (one.answer) return false;
  if (one.wanted) return true;
  return one.decided.verdict == policy::Verdict::kAllow && !one.decided.uses.empty();
}

// First its limits, so that a call that does not fit keeps its approval; then the approval, which only one call gets.
void PolicyGate::ask_stores(Case& one) const {
  if (one.wanted) {
    one.asked = approvals_->ask(*one.wanted, unix_ms(one.now));
    if (!*one.asked || (**one.asked).state != ApprovalStore::State::kApproved) return;
    one.decided.verdict = policy::Verdict::kAllow;
    one.decided.rule.clear();
    one.decided.message.clear();
    if (one.is_full) one.decided = in_flight_denial(*one.engine->document().max_in_flight);
  }
  if (one.decided.verdict != policy::Verdict::kAllow) return;
  reserve(one);
  if (!one.wanted || one.decided.verdict != policy::Verdict::kAllow) return;
  const Approval& approval = (**one.asked).approval;
  const auto used = approvals_->use(approval.id, unix_ms(one.now));
  if (used && *used) return;
  give_back_here(one.reserved);
  one.reserved = {};
  one.decided =
      policy_denial(approval.rule, used ? "This approval was used or has ended; try again"
                                        : fmt::format("the approval cannot be used ({})", used.error().message));
}

void PolicyGate::reserve(Case& one) const {
  if (one.decided.uses.empty()) return;
  auto outcome = store_.reserve(one.decided.uses, one.now);
  // A44: a store that cannot be used never reads as zero.
  if (!outcome) {
    one.decided = policy_denial(*one.decided.limit_rules.front(), unusable_counters(outcome.error().message));
  } else if (const auto* reached = std::get_if<policy::LimitReached>(&*outcome)) {
    one.decided = policy::Engine::limit_reached(one.decided, *reached);
  } else {
    one.reserved = std::move(std::get<policy::Reservation>(*outcome));
  }
}

Decision PolicyGate::close(const Subject& subject, Case& one) {
  if (one.answer) return *std::move(one.answer);
  const policy::Engine& engine = *one.engine;
  Decision decision = one.wanted ? close_asked(subject, one) : settle(engine, std::move(one.decided));
  decision.reserved = std::move(one.reserved);
  decision.results = engine.results_of(one.tool, one.risk);
  decision.handles = engine.document().handles;
  decision.results_observed = engine.document().mode == policy::Mode::kMonitor;
  return decision;
}

Decision PolicyGate::close_asked(const Subject& subject, Case& one) {
  const policy::Engine& engine = *one.engine;
  if (!*one.asked) {
    return settle(engine, policy_denial(one.decided.rule, unusable_approvals(one.asked->error().message)));
  }
  const ApprovalStore::Asked& asked = **one.asked;
  const Approval& approval = asked.approval;
  if (asked.is_new && on_approval_) on_approval_(approval);
  switch (asked.state) {
    case ApprovalStore::State::kFull:
      return settle(engine, policy_denial("(approvals full)", "Too many calls wait for a person already"));
    case ApprovalStore::State::kApproved: {
      Decision decision = settle(engine, std::move(one.decided));
      decision.approval = approval.id;
      if (decision.allow) decision.approver = approval.approver;
      return decision;
    }
    case ApprovalStore::State::kDenied: {
      Decision decision =
          settle(engine, policy_denial(one.decided.rule, fmt::format("A person denied this call ({})", approval.id)));
      decision.approval = approval.id;
      decision.approver = approval.approver;
      return decision;
    }
    case ApprovalStore::State::kPending:
      break;
  }
  return close_waiting(subject, one, approval);
}

Decision PolicyGate::close_waiting(const Subject& subject, const Case& one, const Approval& waiting) {
  const policy::ApprovalNeed& need = *one.need;
  Decision decision = settle(*one.engine, one.decided);
  decision.approval = waiting.id;
  decision.message = need.message;
  PendingApproval pending{waiting.id, waiting.expires_ms, need.wait, waiting_text(waiting), "", "", one.decisions};
  // Never what destroys, whatever the policy says (gate.md 1).
  const policy::RiskClass risk = one.risk ? *one.risk : one.engine->class_of(one.tool);
  const bool destroys = risk == policy::RiskClass::kDestructive || risk == policy::RiskClass::kUnclassified;
  if (need.caller && subject.caller.can_ask_user && !destroys) {
    pending.question = question_text(waiting);
    pending.state = seal_->close(
        {{"id", waiting.id}, {"grant", waiting.grant}, {"digest", waiting.digest}, {"until", waiting.expires_ms}});
  }
  decision.pending = std::move(pending);
  return decision;
}

Decision PolicyGate::decide(const Subject& subject) {
  Case one = open(subject);
  if (one.wanted) one.decisions = decisions();  // before the look, so that what is decided meanwhile is not missed
  if (needs_stores(one)) ask_stores(one);
  return close(subject, one);
}

Policy::Withdraw PolicyGate::decide_later(const Subject& subject, Decided decided) {
  if (!remote_) {
    decided(decide(subject));
    return {};
  }
  const auto call = std::make_shared<Call>(Call{subject, std::move(decided), {}, false, {}});
  const bool of_row = is_governed(subject.caller) && subject.caller.grant != "default";
  // Each call asks whether its grant still holds (gate.md 2).
  if (of_row) {
    remote_->mirror.look_soon([this, call] {
      if (!call->is_withdrawn) ask_elsewhere(call);
    });
  } else {
    ask_elsewhere(call);
  }
  if (!call->decided) return {};
  return [this, call] {
    call->is_withdrawn = true;
    call->decided = nullptr;
    // Whoever is to be told of a new approval is told by what comes back.
    if (call->ticket && !call->wanted) remote_->lane.forget(call->ticket);
  };
}

void PolicyGate::ask_elsewhere(const std::shared_ptr<Call>& call) {
  const auto one = std::make_shared<Case>(open(call->subject));
  if (!needs_stores(*one)) return answer(*call, close(call->subject, *one));
  if (one->wanted) one->decisions = decisions();
  call->wanted = one->wanted.has_value();
  // In case that the lane cannot say: it may be at work on `one` still.
  const std::string rule = one->wanted ? one->decided.rule : *one->decided.limit_rules.front();
  StateLane::Piece piece;
  piece.work = [this, one] { ask_stores(*one); };
  piece.undo = [this, one] { give_back_here(one->reserved); };
  piece.done = [this, call, one, rule, engine = one->engine](Status done) {
    call->ticket.reset();
    if (done) return hear(*call, *one);
    const std::string& why = done.error().message;
    if (call->is_withdrawn) return;
    answer(*call,
           settle(*engine, policy_denial(rule, call->wanted ? unusable_approvals(why) : unusable_counters(why))));
  };
  call->ticket = remote_->lane.submit(StateLane::Kind::kCall, std::move(piece));
}

// What the stores have said, on the control thread again.
void PolicyGate::hear(Call& call, Case& one) {
  if (call.is_withdrawn) {
    const bool is_new = one.asked && *one.asked && (**one.asked).is_new;
    if (is_new && on_approval_) on_approval_((**one.asked).approval);
    return give_back(one.reserved);
  }
  // What ends every call has its say to the last. Another policy has not: the one that decided is the one that counts.
  std::optional<Decision> ended;
  if (is_closed()) ended = gate_closed();
  if (const auto found = engine_for(call.subject.caller); !ended && !found) ended = found.error();
  Decision decision = close(call.subject, one);
  if (ended) give_back(decision.reserved);
  answer(call, ended ? *std::move(ended) : std::move(decision));
}

void PolicyGate::answer(Call& call, Decision decision) {
  const Decided decided = std::exchange(call.decided, nullptr);
  decided(std::move(decision));
}

std::optional<std::int64_t> PolicyGate::decisions() {
  if (!approvals_) return std::nullopt;
  if (remote_) {
    const auto revision = remote_->mirror.revision(GateRows::Part::kApprovals);
    return revision ? std::optional(*revision) : std::nullopt;
  }
  const MonoTime now = clock_.mono();
  if (decisions_read_ && now - *decisions_read_ < kDecisionsAge) return decisions_;
  const auto revision = approvals_->revision();
  decisions_ = revision ? std::optional(*revision) : std::nullopt;
  decisions_read_ = clock_.mono();
  return decisions_;
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
  const std::string& grant = subject.caller.grant;
  const std::int64_t now = unix_ms(clock_.wall());
  if (given.at("grant") != grant || given.at("until").get<std::int64_t>() <= now) return;
  const Json* answer = find_member(responses, kQuestion);
  const Json* action = answer ? find_member(*answer, "action") : nullptr;
  const Json* content = answer ? find_member(*answer, "content") : nullptr;
  const Json* decision = content ? find_member(*content, "decision") : nullptr;
  if (!action) return;
  const bool approved = *action == "accept" && decision && *decision == "approve";
  const bool denied = *action == "decline" || (*action == "accept" && decision && *decision == "deny");
  if (!approved && !denied) return;
  Approval asked;  // the call that it comes with is the one that was asked about
  asked.id = given.at("id").get<std::string>();
  asked.digest = given.at("digest").get<std::string>();
  asked.grant = grant;
  asked.server = subject.server;
  asked.tool = subject.name;
  asked.arguments = policy::canonical_json(subject.arguments, subject.spellings);
  const auto use = [approvals = approvals_, asked = std::move(asked), approved, now] {
    const auto found = approvals->find(asked.id);
    const bool same = found && found->digest == asked.digest && found->grant == asked.grant &&
                      found->server == asked.server && found->tool == asked.tool && found->arguments == asked.arguments;
    // Once: a second one finds it decided.
    if (same) (void)approvals->decide(asked.id, approved, "caller, unverified", now);
  };
  if (!remote_) return use();
  // The call itself comes behind it.
  remote_->lane.submit(StateLane::Kind::kCall, {use, {}, {}});
}

std::optional<policy::LimitUse> PolicyGate::denials_of(const Caller& caller) const {
  if (!is_governed(caller)) return std::nullopt;
  const auto found = engine_for(caller);
  if (!found || !*found || !(*found)->document().max_denials) return std::nullopt;
  const policy::MaxDenials& most = *(*found)->document().max_denials;
  policy::Limit limit;
  limit.counter = "denials";
  limit.window = most.window;
  return policy::LimitUse{policy::limit_key(policy::Scope::kGrant, caller.grant, "", "/max_denials", limit),
                          most.window, false, static_cast<policy::Micro>(most.max) * policy::kMicro, policy::kMicro};
}

std::optional<WallTime> PolicyGate::count_here(const policy::LimitUse& use, WallTime now) const {
  const auto counted = store_.reserve(std::span(&use, 1), now);
  // A store that cannot be used denies limited calls anyway; it shuts nobody out.
  const auto* reached = counted ? std::get_if<policy::LimitReached>(&*counted) : nullptr;
  return reached ? std::optional(reached->again) : std::nullopt;
}

std::optional<WallTime> PolicyGate::count_denial(const Caller& caller) {
  const auto use = denials_of(caller);
  return use ? count_here(*use, clock_.wall()) : std::nullopt;
}

void PolicyGate::count_denial_later(const Caller& caller, std::function<void(WallTime)> reached) {
  if (!remote_) return Policy::count_denial_later(caller, std::move(reached));
  auto use = denials_of(caller);
  if (!use) return;
  // Many denials are one question: what comes while it is under way is counted by the next.
  Uncounted& counting = uncounted_[use->key];
  counting.amount += use->amount;
  counting.reached = std::move(reached);
  if (!counting.is_asking) count_elsewhere(*std::move(use));
}

void PolicyGate::count_elsewhere(policy::LimitUse use) {
  Uncounted& counting = uncounted_[use.key];
  counting.is_asking = true;
  use.amount = std::exchange(counting.amount, 0);
  const auto found = std::make_shared<std::optional<WallTime>>();
  StateLane::Piece piece;
  piece.work = [this, use, now = clock_.wall(), found] { *found = count_here(use, now); };
  piece.done = [this, use, found](Status done) {
    Uncounted& waiting = uncounted_[use.key];
    waiting.is_asking = false;
    if (done && *found) waiting.reached(**found);
    if (waiting.amount == 0) {
      uncounted_.erase(use.key);
    } else {
      count_elsewhere(use);
    }
  };
  remote_->lane.submit(StateLane::Kind::kCall, std::move(piece));
}

void PolicyGate::give_back(policy::Reservation& reserved) {
  if (reserved.parts.empty()) return;
  if (!remote_) return give_back_here(reserved);
  const auto taken = std::make_shared<policy::Reservation>(std::move(reserved));
  reserved = {};
  remote_->lane.submit(StateLane::Kind::kAfter, {[this, taken] { give_back_here(*taken); }, {}, {}});
}

void PolicyGate::give_back_here(policy::Reservation& reserved) const {
  // What cannot be given back stays consumed, which is the safe side.
  if (!reserved.parts.empty()) (void)store_.give_back(reserved);
}

}  // namespace sluice::gateway

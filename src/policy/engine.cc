#include "policy/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_pointer.h"
#include "base/text.h"
#include "policy/compiled.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxEcho = 128;

std::string echo_name(std::string_view name) { return std::string(utf16_prefix(repair_utf8(name), kMaxEcho)); }

Decision denial(std::string rule, std::string message) {
  Decision decision;
  decision.verdict = Verdict::kDeny;
  decision.rule = std::move(rule);
  decision.message = std::move(message);
  return decision;
}

std::string amount_text(Micro amount) {
  if (amount % kMicro == 0) return std::to_string(amount / kMicro);
  std::string text = fmt::format("{}.{:06}", amount / kMicro, amount % kMicro);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

bool all_hold(const std::vector<IdentifiedCondition>& conditions, const Call& call, List list,
              const std::string*& first) {
  for (const IdentifiedCondition& one : conditions) {
    const bool held = one.condition.holds(call.arguments, call.spellings, list);
    // The first that decided names the denial: in `require` the one that failed, in `deny_if` the first of all.
    if (!held) {
      if (list == List::kRequire && !first) first = &one.rule;
      return false;
    }
    if (list == List::kDenyIf && !first) first = &one.rule;
  }
  return true;
}

// Whether the rule holds; `named`: what to name if that denies.
template <class RuleType>
bool rule_holds(const RuleType& rule, const Call& call, List list, const std::string*& named) {
  if (!all_hold(rule.all, call, list, named)) return false;
  if (rule.any.empty()) return true;
  for (const auto& branch : rule.any) {
    const std::string* of_branch = nullptr;
    const bool held = all_hold(branch, call, list, of_branch);
    if (!named) named = of_branch;
    if (held) {
      if (list == List::kDenyIf && rule.all.empty()) named = of_branch;
      return true;
    }
  }
  return false;
}

bool shows_secrets(const Json& arguments) {
  const Json* show = find_member(arguments, "show_secrets");
  return show && show->is_boolean() && show->get<bool>();
}

}  // namespace

bool Engine::is_hidden(std::string_view tool) const {
  return std::any_of(document_.hide.begin(), document_.hide.end(),
                     [&](const Named& hidden) { return matches_name(hidden.name, tool); });
}

RiskClass Engine::class_of(std::string_view tool) const {
  RiskClass strictest = RiskClass::kUnclassified;
  for (const RiskEntry& entry : document_.risk) {
    if (entry.name == tool) return entry.risk;
    const bool stricter = strictest == RiskClass::kUnclassified || entry.risk > strictest;
    if (stricter && matches_name(entry.name, tool)) strictest = entry.risk;
  }
  return strictest;
}

// Exact, patterns in the document's order, then the class. Of an unclassified tool every class applies.
void Engine::find_entries(std::string_view tool, std::optional<RiskClass> risk, Entries& out) const {
  out.clear();
  if (const auto exact = index_->exact.find(tool); exact != index_->exact.end()) out.push_back(exact->second);
  for (const CompiledEntry* entry : index_->patterns) {
    if (matches_name(entry->source->name, tool)) out.push_back(entry);
  }
  const RiskClass found = risk ? *risk : class_of(tool);
  if (found == RiskClass::kUnclassified) {
    for (const CompiledEntry* entry : index_->classes) {
      if (entry) out.push_back(entry);
    }
  } else if (const CompiledEntry* entry = index_->classes[static_cast<std::size_t>(found)]) {
    out.push_back(entry);
  }
}

NameAnswer Engine::judge_name(std::string_view tool, std::optional<RiskClass> risk) const {
  if (is_hidden(tool)) return NameAnswer::kHidden;
  if (document_.otherwise == Default::kAllow) return NameAnswer::kListed;
  if (index_->exact.contains(tool)) return NameAnswer::kListed;
  const auto matches = [&](const CompiledEntry* entry) { return matches_name(entry->source->name, tool); };
  if (std::any_of(index_->patterns.begin(), index_->patterns.end(), matches)) return NameAnswer::kListed;
  const RiskClass found = risk ? *risk : class_of(tool);
  const bool by_class = found != RiskClass::kUnclassified && index_->classes[static_cast<std::size_t>(found)];
  return by_class ? NameAnswer::kListed : NameAnswer::kUnlisted;
}

Decision Engine::judged_name(std::string_view tool, NameAnswer answer) const {
  if (answer == NameAnswer::kHidden) {
    return denial("(hidden)", fmt::format("Tool \"{}\" is hidden by policy", echo_name(tool)));
  }
  if (answer == NameAnswer::kUnlisted) {
    return denial("(default deny)", fmt::format("Tool \"{}\" is not permitted by policy", echo_name(tool)));
  }
  return {};
}

bool Engine::denied_by(const CompiledEntry& entry, const Call& call, Decision& decision) {
  const auto deny = [&](const CompiledRule& rule, const std::string* named) {
    const std::string& id = named ? *named : rule.rule;
    decision = denial(id, rule.on_deny ? *rule.on_deny : fmt::format("Denied by rule \"{}\"", id));
    return true;
  };
  for (const CompiledRule& rule : entry.require) {
    const std::string* named = nullptr;
    if (!rule_holds(rule, call, List::kRequire, named)) return deny(rule, named);
  }
  for (const CompiledRule& rule : entry.deny_if) {
    const std::string* named = nullptr;
    if (rule_holds(rule, call, List::kDenyIf, named)) return deny(rule, named);
  }
  return false;
}

void Engine::add_uses(const Call& call, const std::vector<CompiledLimit>& limits, Decision& decision) const {
  for (const CompiledLimit& compiled : limits) {
    const Limit& limit = compiled.limit;
    LimitUse use{limit_key(limit.scope, call.grant, call.server, compiled.entry, limit), limit.window, limit.sliding,
                 limit.max, limit.increment};
    if (compiled.from) {
      const Found found = compiled.from->find_one(call.arguments);
      std::optional<Micro> amount;
      if (found.value && found.value->is_number()) {
        const bool spelled = call.spellings && call.spellings->contains(found.value);
        amount = (spelled ? Number::from_spelling(call.spellings->at(found.value)) : Number::from_json(*found.value))
                     .micro();
      }
      if (!amount) {  // A15: absent, negative, no number
        decision = denial(compiled.rule, fmt::format("The limit \"{}\" counts {}, which is no amount here",
                                                     limit.counter, limit.increment_from));
        return;
      }
      use.amount = *amount;
    }
    decision.uses.push_back(std::move(use));
    decision.limit_rules.push_back(&compiled.rule);
  }
}

void Engine::ask_for(const Entries& entries, const Call& call, Decision& decision) {
  std::shared_ptr<ApprovalNeed> need;
  for (const CompiledEntry* entry : entries) {
    const auto& approval = entry->source->approval;
    if (!approval) continue;
    const bool asked = std::all_of(
        entry->approval_when.begin(), entry->approval_when.end(),
        [&](const CompiledCondition& one) { return one.holds(call.arguments, call.spellings, List::kDenyIf); });
    if (!asked) continue;
    const auto& who = approval->approvers;
    const bool caller = std::find(who.begin(), who.end(), "caller") != who.end();
    if (!need) {
      need = std::make_shared<ApprovalNeed>(ApprovalNeed{approval->timeout, approval->wait, caller, "", ""});
      decision.rule = entry->pointer + "/require_approval";
    }
    need->timeout = std::min(need->timeout, approval->timeout);
    need->wait = std::min(need->wait, approval->wait);
    need->caller = need->caller && caller;
    if (need->message.empty()) need->message = approval->message;
    need->rules += entry->approval_text;
  }
  if (!need) return;
  decision.verdict = Verdict::kAskPerson;
  decision.message = need->message;
  decision.approval = std::move(need);
}

Decision Engine::decide(const Call& call) const {
  Decision decision;
  Entries entries;
  entries.reserve(8);
  find_entries(call.tool, call.risk, entries);
  for (const CompiledEntry* entry : entries) {
    if (denied_by(*entry, call, decision)) return decision;
  }
  if (call.risk && shows_secrets(call.arguments)) {
    const CompiledEntry* granting = nullptr;
    for (const CompiledEntry* entry : entries) {
      const auto& result = entry->source->result;
      if (!result || !result->raw) continue;
      if (!*result->raw) return denial(entry->pointer + "/result/raw", "show_secrets is not allowed by policy");
      granting = entry;
    }
    if (!granting) {
      return denial("/tools/" + pointer_segment(call.tool) + "/result/raw", "show_secrets is not allowed by policy");
    }
  }
  ask_for(entries, call, decision);
  for (const CompiledEntry* entry : entries) {
    add_uses(call, entry->limits, decision);
    if (decision.verdict == Verdict::kDeny) return decision;
  }
  add_uses(call, all_tools_, decision);
  return decision;
}

Decision Engine::limit_reached(const Decision& decision, const LimitReached& reached) {
  const LimitUse& use = decision.uses[reached.use];
  const std::string& rule = *decision.limit_rules[reached.use];
  const std::string_view counter = std::string_view(rule).substr(rule.rfind('/') + 1);
  const std::string when = iso8601_ms(reached.again);
  const std::string window = fmt::format("{}{}", use.sliding ? "any " : article_of(use.window), to_string(use.window));
  if (use.amount > use.max) {
    return denial(rule, fmt::format("Rate limit exceeded for {}: this call counts {}, at most {} {} fit", counter,
                                    amount_text(use.amount), amount_text(use.max), window));
  }
  return denial(rule, fmt::format("Rate limit exceeded for {}: at most {} {}; {} {}", counter, amount_text(use.max),
                                  window, use.sliding ? "there is room again at" : "this window ends at", when));
}

std::shared_ptr<const ResultFilter> Engine::results_of(std::string_view tool, std::optional<RiskClass> risk) const {
  if (!all_results_) return nullptr;
  Entries entries;
  find_entries(tool, risk, entries);
  auto results = std::make_shared<ResultFilter>();
  for (const CompiledEntry* entry : entries) {
    if (entry->result) results->add(entry->result);
  }
  return results->empty() ? nullptr : results;
}

bool Engine::allows_method(std::string_view method) const {
  for (const MethodEntry& entry : document_.methods) {
    if (entry.name == method) return entry.allow;
  }
  return document_.otherwise == Default::kAllow || is_open_method(method);
}

}  // namespace sluice::policy

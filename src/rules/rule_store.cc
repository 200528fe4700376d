#include "rules/rule_store.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/text.h"
#include "rules/rule_program.h"

namespace sluice::rules {
namespace {

Error not_found(std::string_view id) {
  return {Code::kNotFound, "Rule '" + repair_utf8(utf16_prefix(repair_utf8(id), 200)) + "' not found"};
}

auto by_id(std::string_view id) {
  return [id](const RulePtr& rule) { return rule->id() == id; };
}

}  // namespace

RuleStore::RuleStore(const Clock& clock) : clock_(clock), book_(std::make_shared<RuleBook>()) {}

RuleBookPtr RuleStore::book() const {
  const std::lock_guard lock(mutex_);
  return book_;
}

RuleStore::MadeRule RuleStore::make(RuleSpec spec, std::shared_ptr<const RuleProgram> program,
                                    std::uint32_t number) const {
  auto rule = std::make_shared<Rule>();
  rule->number = number;
  rule->spec = std::move(spec);
  rule->program = std::move(program);
  rule->created_ms = unix_ms(clock_.wall());
  rule->hits = std::make_shared<HitCounter>();
  return rule;
}

Status RuleStore::commit(std::vector<RulePtr> rules, const std::vector<MadeRule>& changed,
                         const std::vector<RulePtr>& gone) {
  SLUICE_TRY(RuleBookPtr book, RuleBook::compile(rules, book_.get()));
  std::vector<SavedRule> save;
  std::vector<std::int64_t> forget;
  for (const MadeRule& rule : changed) {
    if (rule->spec.persist)
      save.push_back({rule->saved_row, rule->number, rule->created_ms, rule->spec});
    else if (rule->saved_row != 0)
      forget.push_back(rule->saved_row);
  }
  for (const RulePtr& rule : gone) {
    if (rule->saved_row != 0) forget.push_back(rule->saved_row);
  }
  if (!save.empty() || !forget.empty()) {
    if (!archive_) return fail(Code::kUnavailable, "there is no place to save rules: leave persist out");
    SLUICE_CHECK(archive_->change(save, forget));
  }
  auto saved = save.begin();
  for (const MadeRule& rule : changed) rule->saved_row = rule->spec.persist ? (saved++)->row : 0;
  const std::lock_guard lock(mutex_);
  rules_ = std::move(rules);
  book_ = std::move(book);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<std::size_t> RuleStore::restore(RuleArchive& from, std::vector<std::string>& problems) {
  const std::lock_guard change(changing_);
  SLUICE_TRY(std::vector<SavedRule> saved, from.load(problems));
  std::uint32_t next = next_number_;
  for (const SavedRule& one : saved) next = std::max(next, one.number + 1);
  std::unordered_set<std::uint32_t> taken;
  std::vector<RulePtr> rules;
  for (SavedRule& one : saved) {
    auto program = compile_rule(one.spec);
    if (!program) {
      problems.push_back("rule_" + std::to_string(one.number) + ": " + program.error().message);
      continue;
    }
    // Two processes may each have saved one of this number.
    const bool keeps = one.number != 0 && taken.insert(one.number).second;
    const MadeRule rule = make(std::move(one.spec), *std::move(program), keeps ? one.number : next++);
    rule->created_ms = one.created_ms;
    rule->saved_row = one.row;
    rules.push_back(rule);
  }
  std::sort(rules.begin(), rules.end(), [](const RulePtr& a, const RulePtr& b) { return a->number < b->number; });
  const std::size_t count = rules.size();
  SLUICE_CHECK(commit(std::move(rules), {}, {}));
  next_number_ = next;
  archive_ = &from;
  return count;
}

Result<RulePtr> RuleStore::add(RuleSpec spec) {
  SLUICE_TRY(auto program, compile_rule(spec));
  const std::lock_guard change(changing_);
  const MadeRule rule = make(std::move(spec), std::move(program), next_number_);
  std::vector<RulePtr> rules = rules_;
  rules.push_back(rule);
  SLUICE_CHECK(commit(std::move(rules), {rule}, {}));
  ++next_number_;
  return RulePtr(rule);
}

Result<RulePtr> RuleStore::put(RuleSpec spec) {
  SLUICE_TRY(auto program, compile_rule(spec));
  const std::lock_guard change(changing_);
  std::vector<RulePtr> rules = rules_;
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const RulePtr& rule) { return rule->spec.name == spec.name; });
  const bool is_new = found == rules.end();
  const MadeRule rule = make(std::move(spec), std::move(program), is_new ? next_number_ : (*found)->number);
  if (is_new) {
    rules.push_back(rule);
  } else {
    rule->saved_row = (*found)->saved_row;
    *found = rule;
  }
  SLUICE_CHECK(commit(std::move(rules), {rule}, {}));
  if (is_new) ++next_number_;
  return RulePtr(rule);
}

Result<RuleStore::Imported> RuleStore::import(std::vector<RuleSpec> specs, bool replace) {
  std::vector<std::shared_ptr<const RuleProgram>> programs;
  for (const RuleSpec& spec : specs) {
    auto program = compile_rule(spec);
    if (!program) {
      const std::string name = repair_utf8(utf16_prefix(repair_utf8(spec.description), 100));
      return fail(std::move(program).error().with_context("rules[" + std::to_string(programs.size()) + "]" +
                                                          (name.empty() ? "" : " (\"" + name + "\")")));
    }
    programs.push_back(*std::move(program));
  }
  const std::lock_guard change(changing_);
  std::vector<RulePtr> gone, rules;
  (replace ? gone : rules) = rules_;
  Imported imported;
  imported.removed = gone.size();
  std::vector<MadeRule> made;
  std::uint32_t next = next_number_;
  for (std::size_t i = 0; i < specs.size(); ++i) made.push_back(make(std::move(specs[i]), programs[i], next++));
  imported.added.assign(made.begin(), made.end());
  rules.insert(rules.end(), made.begin(), made.end());
  SLUICE_CHECK(commit(std::move(rules), made, gone));
  next_number_ = next;
  return imported;
}

Result<RulePtr> RuleStore::update(std::string_view id, Update update) {
  const std::lock_guard change(changing_);
  std::vector<RulePtr> rules = rules_;
  const auto found = std::find_if(rules.begin(), rules.end(), by_id(id));
  if (found == rules.end()) return fail(not_found(id));
  const auto changed = std::make_shared<Rule>(**found);
  RuleSpec& spec = changed->spec;
  if (update.description) spec.description = *std::move(update.description);
  if (update.priority) spec.priority = *update.priority;
  if (update.matcher) spec.matcher = *std::move(update.matcher);
  if (update.handler) spec.handler = *std::move(update.handler);
  if (update.on_match) spec.on_match = *update.on_match;
  if (update.enabled) spec.enabled = *update.enabled;
  if (update.persist) spec.persist = *update.persist;
  const bool acts = update.matcher || update.handler || update.on_match || update.priority || update.persist ||
                    (update.enabled && *update.enabled);
  if (acts && !update.grant.empty() && update.grant != spec.grant) {
    const auto at = std::lower_bound(spec.changed_by.begin(), spec.changed_by.end(), update.grant);
    if (at == spec.changed_by.end() || *at != update.grant) spec.changed_by.insert(at, update.grant);
  }
  // What only moves a rule or switches it leaves its patterns as they are.
  if (update.matcher || update.handler || update.on_match || update.priority) {
    SLUICE_TRY(changed->program, compile_rule(spec));
  }
  *found = changed;
  SLUICE_CHECK(commit(std::move(rules), {changed}, {}));
  return RulePtr(changed);
}

Status RuleStore::remove(std::string_view id) {
  const std::lock_guard change(changing_);
  std::vector<RulePtr> rules = rules_;
  const auto found = std::find_if(rules.begin(), rules.end(), by_id(id));
  if (found == rules.end()) return fail(not_found(id));
  const RulePtr gone = *found;
  rules.erase(found);
  return commit(std::move(rules), {}, {gone});
}

RulePtr RuleStore::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(rules_.begin(), rules_.end(), by_id(id));
  return found == rules_.end() ? nullptr : *found;
}

std::vector<RulePtr> RuleStore::list() const { return book()->rules(); }

}  // namespace sluice::rules

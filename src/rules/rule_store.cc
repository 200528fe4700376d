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

Result<RuleStore::Compiled> RuleStore::compile(std::vector<RulePtr> rules) const {
  SLUICE_TRY(RuleBookPtr book, RuleBook::compile(rules, book_.get()));
  return Compiled{std::move(rules), std::move(book)};
}

void RuleStore::publish(Compiled compiled) {
  const std::lock_guard lock(mutex_);
  rules_ = std::move(compiled.first);
  book_ = std::move(compiled.second);
  generation_.fetch_add(1, std::memory_order_release);
}

Status RuleStore::archive(Rule& rule) {
  if (rule.spec.persist) {
    if (!archive_) return fail(Code::kUnavailable, "there is no place to save rules: leave persist out");
    SLUICE_TRY(rule.saved_row, archive_->save({rule.saved_row, rule.number, rule.created_ms, rule.spec}));
  } else if (rule.saved_row != 0) {
    SLUICE_CHECK(archive_->remove(rule.saved_row));
    rule.saved_row = 0;
  }
  return {};
}

Result<std::size_t> RuleStore::restore(RuleArchive& from, std::vector<std::string>& problems) {
  const std::lock_guard change(changing_);
  SLUICE_TRY(std::vector<SavedRule> saved, from.load(problems));
  std::vector<RulePtr> rules = rules_;
  std::unordered_set<std::uint32_t> taken;
  std::uint32_t next = next_number_;
  for (SavedRule& one : saved) {
    auto program = compile_rule(one.spec);
    if (!program) {
      problems.push_back("rule_" + std::to_string(one.number) + ": " + program.error().message);
      continue;
    }
    auto rule = std::make_shared<Rule>();
    // Two processes may each have saved one of this number.
    rule->number = one.number != 0 && taken.insert(one.number).second ? one.number : 0;
    next = std::max(next, rule->number + 1);
    rule->spec = std::move(one.spec);
    rule->program = *std::move(program);
    rule->created_ms = one.created_ms;
    rule->saved_row = one.row;
    rule->hits = std::make_shared<HitCounter>();
    rules.push_back(rule);
  }
  for (RulePtr& rule : rules) {
    if (rule->number != 0) continue;
    auto numbered = std::make_shared<Rule>(*rule);
    numbered->number = next++;
    rule = std::move(numbered);
  }
  const std::size_t count = rules.size() - rules_.size();
  std::sort(rules.begin(), rules.end(), [](const RulePtr& a, const RulePtr& b) { return a->number < b->number; });
  SLUICE_TRY(Compiled compiled, compile(std::move(rules)));
  publish(std::move(compiled));
  next_number_ = next;
  archive_ = &from;
  return count;
}

Result<RulePtr> RuleStore::add(RuleSpec spec) {
  auto rule = std::make_shared<Rule>();
  SLUICE_TRY(rule->program, compile_rule(spec));
  rule->spec = std::move(spec);
  rule->created_ms = unix_ms(clock_.wall());
  rule->hits = std::make_shared<HitCounter>();
  const std::lock_guard change(changing_);
  rule->number = next_number_;
  std::vector<RulePtr> rules = rules_;
  rules.push_back(rule);
  SLUICE_TRY(Compiled compiled, compile(std::move(rules)));
  SLUICE_CHECK(archive(*rule));
  publish(std::move(compiled));
  ++next_number_;
  return RulePtr(rule);
}

Result<RulePtr> RuleStore::update(std::string_view id, Update update) {
  const std::lock_guard change(changing_);
  std::vector<RulePtr> rules = rules_;
  const auto found = std::find_if(rules.begin(), rules.end(), by_id(id));
  if (found == rules.end()) return fail(not_found(id));
  auto changed = std::make_shared<Rule>(**found);
  RuleSpec& spec = changed->spec;
  if (update.description) spec.description = *std::move(update.description);
  if (update.priority) spec.priority = *update.priority;
  if (update.matcher) spec.matcher = *std::move(update.matcher);
  if (update.handler) spec.handler = *std::move(update.handler);
  if (update.on_match) spec.on_match = *update.on_match;
  if (update.enabled) spec.enabled = *update.enabled;
  if (update.persist) spec.persist = *update.persist;
  // What only moves a rule or switches it leaves its patterns as they are.
  if (update.matcher || update.handler || update.on_match || update.priority) {
    SLUICE_TRY(changed->program, compile_rule(spec));
  }
  *found = changed;
  SLUICE_TRY(Compiled compiled, compile(std::move(rules)));
  SLUICE_CHECK(archive(*changed));
  publish(std::move(compiled));
  return RulePtr(changed);
}

Status RuleStore::remove(std::string_view id) {
  const std::lock_guard change(changing_);
  std::vector<RulePtr> rules = rules_;
  const auto found = std::find_if(rules.begin(), rules.end(), by_id(id));
  if (found == rules.end()) return fail(not_found(id));
  const RulePtr gone = *found;
  rules.erase(found);
  SLUICE_TRY(Compiled compiled, compile(std::move(rules)));
  if (gone->saved_row != 0) SLUICE_CHECK(archive_->remove(gone->saved_row));
  publish(std::move(compiled));
  return {};
}

RulePtr RuleStore::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(rules_.begin(), rules_.end(), by_id(id));
  return found == rules_.end() ? nullptr : *found;
}

std::vector<RulePtr> RuleStore::list() const { return book()->rules(); }

}  // namespace sluice::rules

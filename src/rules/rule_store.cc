#include "rules/rule_store.h"

#include <algorithm>
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

Status RuleStore::publish(std::vector<RulePtr> rules) {
  SLUICE_TRY(RuleBookPtr book, RuleBook::compile(rules));
  rules_ = std::move(rules);
  book_ = std::move(book);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<RulePtr> RuleStore::add(RuleSpec spec) {
  auto rule = std::make_shared<Rule>();
  SLUICE_TRY(rule->program, compile_rule(spec));
  rule->spec = std::move(spec);
  rule->created_ms = unix_ms(clock_.wall());
  rule->hits = std::make_shared<HitCounter>();
  const std::lock_guard lock(mutex_);
  rule->number = next_number_;
  std::vector<RulePtr> rules = rules_;
  rules.push_back(rule);
  SLUICE_CHECK(publish(std::move(rules)));
  ++next_number_;
  return RulePtr(rule);
}

Result<RulePtr> RuleStore::update(std::string_view id, Update update) {
  const std::lock_guard lock(mutex_);
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
  SLUICE_TRY(changed->program, compile_rule(spec));
  *found = changed;
  SLUICE_CHECK(publish(std::move(rules)));
  return RulePtr(changed);
}

Status RuleStore::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  std::vector<RulePtr> rules = rules_;
  const auto found = std::find_if(rules.begin(), rules.end(), by_id(id));
  if (found == rules.end()) return fail(not_found(id));
  rules.erase(found);
  return publish(std::move(rules));
}

RulePtr RuleStore::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(rules_.begin(), rules_.end(), by_id(id));
  return found == rules_.end() ? nullptr : *found;
}

std::vector<RulePtr> RuleStore::list() const { return book()->rules(); }

}  // namespace sluice::rules

#include "rules/rule.h"

namespace sluice::rules {

bool Transform::edits_head() const {
  return !update_headers.empty() || !replace_method.empty() || replace_status.has_value();
}

bool Transform::empty() const { return !edits_head() && !edits_body(); }

std::vector<std::string> makers(const RuleSpec& spec) {
  std::vector<std::string> all = spec.changed_by;
  if (!spec.grant.empty()) all.insert(all.begin(), spec.grant);
  return all;
}

std::uint64_t HitCounter::sum() const {
  std::uint64_t total = 0;
  for (const Stripe& stripe : stripes_) total += stripe.value.load(std::memory_order_relaxed);
  return total;
}

}  // namespace sluice::rules

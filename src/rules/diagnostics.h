// proxy_test_rule_match: why each rule does or does not match a request. Asks the same conditions as live matching.
// Private to this folder; RuleBook::test() is the door. Pure.
#pragma once

#include <memory>
#include <vector>

#include "rules/rule_book.h"
#include "rules/rule_program.h"

namespace sluice::rules {

// `programs` belong to `rules`, place by place, in order of evaluation. effectiveWinner is the rule that decides live:
// the first eligible one that stops the search, also where limit_rules left it out of `results`.
Json diagnose(const std::vector<RulePtr>& rules, const std::vector<std::shared_ptr<const RuleProgram>>& programs,
              const RuleBook::Subject& subject, const RuleBook::TestOptions& options);

}  // namespace sluice::rules

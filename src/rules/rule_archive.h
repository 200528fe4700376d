// Where rules that were made with `persist` outlive the process (engine.md 6): implemented over state.db, by a fake in
// tests. Called by RuleStore, one call at a time, never on the data path; may take milliseconds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "rules/rule.h"

namespace sluice::rules {

struct SavedRule {
  std::int64_t row = 0;      // what the archive calls it; 0: not saved yet
  std::uint32_t number = 0;  // N of rule_N
  std::int64_t created_ms = 0;
  RuleSpec spec;
};

class RuleArchive {
 public:
  virtual ~RuleArchive() = default;
  // All or nothing: `save` goes in, each anew (its `row` is set then) or in place of what its row holds; the rows of
  // `remove` go. kIo: nothing has changed, one sentence that says what to do.
  virtual Status change(std::span<SavedRule> save, std::span<const std::int64_t> remove) = 0;
  // In the order of their making. What cannot be read any more is left out and named in `problems`.
  virtual Result<std::vector<SavedRule>> load(std::vector<std::string>& problems) = 0;
};

}  // namespace sluice::rules

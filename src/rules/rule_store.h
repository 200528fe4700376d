// The rules of this process and the current book. Every change compiles first and is refused whole if that fails:
// then nothing has changed, neither rules nor book nor the next number.
// Thread-safety: all methods lock inside. Workers keep the RuleBookPtr and compare generation(), one atomic load, to
// learn that there is a newer one.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rules/rule.h"
#include "rules/rule_book.h"

namespace sluice::rules {

class RuleStore {
 public:
  explicit RuleStore(const Clock& clock);

  RuleBookPtr book() const;  // never null
  // Changes with each new book. Read it before book(): a book read after it is at least that new.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  Result<RulePtr> add(RuleSpec spec);
  struct Update {  // what is set replaces as a whole
    std::optional<std::string> description;
    std::optional<double> priority;
    std::optional<Matcher> matcher;
    std::optional<Handler> handler;
    std::optional<OnMatch> on_match;
    std::optional<bool> enabled;
    std::optional<bool> persist;
  };
  Result<RulePtr> update(std::string_view id, Update update);  // kNotFound: "Rule 'X' not found"
  Status remove(std::string_view id);
  RulePtr find(std::string_view id) const;  // null if absent
  std::vector<RulePtr> list() const;        // in order of evaluation

 private:
  Status publish(std::vector<RulePtr> rules);  // mutex_ held

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<RulePtr> rules_;  // by number
  RuleBookPtr book_;
  std::atomic<std::uint64_t> generation_{1};
  std::uint32_t next_number_ = 1;  // never given twice
};

}  // namespace sluice::rules

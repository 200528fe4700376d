// The rules of this process and the current book. Every change compiles first and is refused whole if that fails:
// then nothing has changed, neither rules nor book nor the next number.
// Rules with `persist` are in the archive before a change shows, so that a change that cannot be saved is none.
// Thread-safety: all methods lock inside; who reads never waits for a change to be compiled or saved. Workers keep the
// RuleBookPtr and compare generation(), one atomic load, to learn that there is a newer one.
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
#include "rules/rule_archive.h"
#include "rules/rule_book.h"

namespace sluice::rules {

class RuleStore {
 public:
  explicit RuleStore(const Clock& clock);

  RuleBookPtr book() const;  // never null
  // Changes with each new book. Read it before book(): a book read after it is at least that new.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // From now on rules are saved there, and those that lie there are in force. Once, before others use the store.
  // `problems`: what lies there and cannot be used any more, one sentence each. An error: nothing was restored.
  Result<std::size_t> restore(RuleArchive& archive, std::vector<std::string>& problems);

  Result<RulePtr> add(RuleSpec spec);
  // In the place of the rule of the same name, or as add() where there is none.
  Result<RulePtr> put(RuleSpec spec);
  struct Imported {
    std::vector<RulePtr> added;
    std::size_t removed = 0;
  };
  // All of them in one change, after or in place of those that are there; the error names the first that is refused.
  Result<Imported> import(std::vector<RuleSpec> specs, bool replace);
  struct Update {  // what is set replaces as a whole
    std::optional<std::string> description;
    std::optional<double> priority;
    std::optional<Matcher> matcher;
    std::optional<Handler> handler;
    std::optional<OnMatch> on_match;
    std::optional<bool> enabled;
    std::optional<bool> persist;
    std::string grant = {};  // who changes it; empty: whoever runs Sluice
  };
  Result<RulePtr> update(std::string_view id, Update update);  // kNotFound: "Rule 'X' not found"
  Status remove(std::string_view id);
  RulePtr find(std::string_view id) const;  // null if absent
  std::vector<RulePtr> list() const;        // in order of evaluation

 private:
  using MadeRule = std::shared_ptr<Rule>;
  MadeRule make(RuleSpec spec, std::shared_ptr<const RuleProgram> program, std::uint32_t number) const;
  // Compiles, then saves, then shows `rules`. `changed` are those of them that are new or other than before.
  Status commit(std::vector<RulePtr> rules, const std::vector<MadeRule>& changed, const std::vector<RulePtr>& gone);

  const Clock& clock_;
  RuleArchive* archive_ = nullptr;
  std::mutex changing_;         // one change at a time
  mutable std::mutex mutex_;    // rules_ and book_
  std::vector<RulePtr> rules_;  // by number; written with both locks held
  RuleBookPtr book_;
  std::atomic<std::uint64_t> generation_{1};
  std::uint32_t next_number_ = 1;  // never given twice
};

}  // namespace sluice::rules

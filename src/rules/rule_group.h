// The enabled rules that share a host condition, indexed so that only candidates are looked at: rules with patterns
// are found by one automaton once there are enough of them. Private to this folder. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "rules/pattern.h"
#include "rules/rule_program.h"

namespace sluice::rules {

// Places of candidate rules, ascending. `pattern_known`: their urlPattern, or pathPattern where they have no
// urlPattern, is known to hold.
struct Candidates {
  std::span<const std::uint32_t> places;
  bool pattern_known = false;
};

// Candidate lists of one match, from several groups, and what they point to.
class CandidateLists {
 public:
  void add(std::span<const std::uint32_t> places, bool pattern_known) {
    if (!places.empty()) lists_.push_back({places, pattern_known});
  }
  void add_owned(std::vector<std::uint32_t> places) {
    if (places.empty()) return;
    owned_.push_back(std::move(places));
    lists_.push_back({owned_.back(), true});  // moving a vector does not move its elements
  }
  struct Next {
    std::uint32_t place;
    bool pattern_known;
  };
  // The smallest place that was not given yet; one place once.
  std::optional<Next> next();

 private:
  std::vector<Candidates> lists_;
  std::vector<std::vector<std::uint32_t>> owned_;
};

using ProgramPtr = std::shared_ptr<const RuleProgram>;

// Rules by one text (URL or path), and an automaton over their patterns. The automaton is kept from book to book: of
// the rules that it knows some may be gone, and the few that came since are asked one by one, until so much has changed
// that it is built anew. So a change costs no more beside thousands of patterns than alone.
class PatternIndex {
 public:
  // In ascending order of place. `pattern` belongs to `program`.
  void add(std::uint32_t place, ProgramPtr program, const Pattern* pattern);
  // `before`: the same index of the book before; null: none. kTooLarge: see PatternSet.
  Status seal(const PatternIndex* before);

  bool has_set() const { return base_ != nullptr; }
  void find(std::string_view text, CandidateLists& into) const;
  void find_all(CandidateLists& into) const { into.add(places_, false); }

 private:
  struct Entry {
    ProgramPtr program;
    const Pattern* pattern;
  };
  struct Base {
    std::vector<ProgramPtr> programs;  // alive, so that no other pattern gets the address of one of these
    std::unordered_map<const Pattern*, std::uint32_t> numbers;
    PatternSet set;
  };
  bool reuse(const PatternIndex& before);

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> places_;  // of entries_
  std::shared_ptr<const Base> base_;
  std::vector<std::uint32_t> place_of_;  // by number in base_; kGone
  std::vector<std::uint32_t> others_;    // places of those that base_ does not know
};

class RuleGroup {
 public:
  // In ascending order of place, before seal().
  void add(std::uint32_t place, const ProgramPtr& program);
  // Builds the automata, or takes them from the same group of the book before. kTooLarge: see PatternSet.
  Status seal(const RuleGroup* before);

  void find(const Asked& asked, CandidateLists& into) const;
  bool answers() const { return answers_; }

 private:
  std::vector<std::uint32_t> plain_;  // asked one by one
  PatternIndex by_url_, by_path_;
  bool answers_ = false;
};

}  // namespace sluice::rules

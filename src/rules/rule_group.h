// The enabled rules that share a host condition, indexed so that only candidates are looked at: rules with patterns
// are found by one automaton once there are enough of them. Private to this folder. Immutable; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
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

class RuleGroup {
 public:
  // In ascending order of place, before seal().
  void add(std::uint32_t place, const RuleProgram& program);
  // Builds the automata. kTooLarge: see PatternSet.
  Status seal();

  void find(const Asked& asked, CandidateLists& into) const;
  bool answers() const { return answers_; }

 private:
  // Rules by one text (URL or path), and the automaton over their patterns.
  struct Indexed {
    std::vector<std::uint32_t> places;
    std::vector<const Pattern*> patterns;
    std::optional<PatternSet> set;
    void find(std::string_view text, CandidateLists& into) const;
  };

  std::vector<std::uint32_t> plain_;  // asked one by one
  Indexed by_url_, by_path_;
  bool answers_ = false;
};

}  // namespace sluice::rules

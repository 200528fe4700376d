#include "rules/rule_group.h"

#include <algorithm>

namespace sluice::rules {
namespace {

constexpr std::size_t kSetFrom = 8;      // fewer patterns are faster one by one than through an automaton of their own
constexpr std::size_t kMostOthers = 32;  // asked one by one beside an automaton: 3 us at most
constexpr std::uint32_t kGone = UINT32_MAX;

}  // namespace

std::optional<CandidateLists::Next> CandidateLists::next() {
  std::optional<Next> best;
  for (const Candidates& list : lists_) {
    if (list.places.empty() || (best && list.places.front() > best->place)) continue;
    const bool same = best && best->place == list.places.front();
    best = Next{list.places.front(), list.pattern_known || (same && best->pattern_known)};
  }
  if (!best) return best;
  for (Candidates& list : lists_) {
    if (!list.places.empty() && list.places.front() == best->place) list.places = list.places.subspan(1);
  }
  return best;
}

void PatternIndex::add(std::uint32_t place, ProgramPtr program, const Pattern* pattern) {
  places_.push_back(place);
  entries_.push_back({std::move(program), pattern});
}

Status PatternIndex::seal(const PatternIndex* before) {
  if (entries_.size() < kSetFrom) return {};
  if (before && before->base_ && reuse(*before)) return {};
  auto base = std::make_shared<Base>();
  std::vector<const Pattern*> patterns;
  for (const Entry& entry : entries_) {
    base->numbers.emplace(entry.pattern, static_cast<std::uint32_t>(patterns.size()));
    patterns.push_back(entry.pattern);
    base->programs.push_back(entry.program);
  }
  SLUICE_TRY(base->set, PatternSet::compile(patterns));
  base_ = std::move(base);
  place_of_ = places_;
  others_.clear();
  return {};
}

bool PatternIndex::reuse(const PatternIndex& before) {
  const Base& base = *before.base_;
  std::vector<std::uint32_t> place_of(base.programs.size(), kGone), others;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto known = base.numbers.find(entries_[i].pattern);
    if (known != base.numbers.end())
      place_of[known->second] = places_[i];
    else
      others.push_back(places_[i]);
    if (others.size() > kMostOthers) return false;
  }
  const std::size_t gone = base.programs.size() - (entries_.size() - others.size());
  if (gone > base.programs.size() / 2) return false;
  base_ = before.base_;
  place_of_ = std::move(place_of);
  others_ = std::move(others);
  return true;
}

void PatternIndex::find(std::string_view text, CandidateLists& into) const {
  const std::optional<std::vector<std::uint32_t>> found = base_->set.find(text);
  if (!found) return into.add(places_, false);
  std::vector<std::uint32_t> places;
  for (const std::uint32_t number : *found) {
    if (place_of_[number] != kGone) places.push_back(place_of_[number]);
  }
  std::sort(places.begin(), places.end());
  into.add_owned(std::move(places));
  into.add(others_, false);
}

void RuleGroup::add(std::uint32_t place, const ProgramPtr& program) {
  answers_ = answers_ || program->answers;
  if (program->url) {
    by_url_.add(place, program, &*program->url);
    // Finding it in the URL covers the path.
    if (program->url->source().looks_left) by_path_.add(place, program, &*program->url);
  } else if (program->path) {
    by_path_.add(place, program, &*program->path);
  } else {
    plain_.push_back(place);
  }
}

Status RuleGroup::seal(const RuleGroup* before) {
  SLUICE_CHECK(by_url_.seal(before ? &before->by_url_ : nullptr));
  return by_path_.seal(before ? &before->by_path_ : nullptr);
}

void RuleGroup::find(const Asked& asked, CandidateLists& into) const {
  into.add(plain_, false);
  if (by_url_.has_set())
    by_url_.find(asked.url(), into);
  else
    by_url_.find_all(into);
  if (by_path_.has_set())
    by_path_.find(asked.path(), into);
  else
    by_path_.find_all(into);
}

}  // namespace sluice::rules

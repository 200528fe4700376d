#include "rules/rule_group.h"

#include <algorithm>

namespace sluice::rules {
namespace {

constexpr std::size_t kSetFrom = 8;  // fewer patterns are faster one by one than through an automaton of their own

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

void RuleGroup::add(std::uint32_t place, const RuleProgram& program) {
  answers_ = answers_ || program.answers;
  if (program.url) {
    by_url_.places.push_back(place);
    by_url_.patterns.push_back(&*program.url);
    if (!program.url->source().looks_left) return;  // finding it in the URL covers the path
    by_path_.places.push_back(place);
    by_path_.patterns.push_back(&*program.url);
  } else if (program.path) {
    by_path_.places.push_back(place);
    by_path_.patterns.push_back(&*program.path);
  } else {
    plain_.push_back(place);
  }
}

Status RuleGroup::seal() {
  for (Indexed* index : {&by_url_, &by_path_}) {
    if (index->places.size() < kSetFrom) continue;
    SLUICE_TRY(index->set, PatternSet::compile(index->patterns));
  }
  return {};
}

void RuleGroup::Indexed::find(std::string_view text, CandidateLists& into) const {
  std::optional<std::vector<std::uint32_t>> found = set->find(text);
  if (!found) return into.add(places, false);
  for (std::uint32_t& place : *found) place = places[place];
  into.add_owned(*std::move(found));
}

void RuleGroup::find(const Asked& asked, CandidateLists& into) const {
  into.add(plain_, false);
  if (by_url_.set) {
    by_url_.find(asked.url(), into);
  } else {
    into.add(by_url_.places, false);
  }
  if (by_path_.set) {
    by_path_.find(asked.path(), into);
  } else {
    into.add(by_path_.places, false);
  }
}

}  // namespace sluice::rules

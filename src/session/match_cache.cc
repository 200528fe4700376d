#include "session/match_cache.h"

#include <fmt/format.h>

#include "base/text.h"

namespace sluice::session {

std::string key_of(const Query& query) {
  std::string key;
  const auto text = [&](const std::string& part) { key += fmt::format("{}:{},", part.size(), part); };
  const auto number = [&](const auto& part) { key += part ? fmt::format("{},", *part) : ","; };
  text(query.method);
  for (const std::string* part : {&query.host_contains, &query.url_contains, &query.type_contains, &query.text}) {
    text(to_lower(*part));
  }
  number(query.status);
  number(query.from_ms);
  number(query.to_ms);
  return key;
}

std::shared_ptr<const Matches> MatchCache::find(std::int64_t index, const std::string& query) {
  const std::lock_guard guard(mutex_);
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->index != index || at->query != query) continue;
    entries_.splice(entries_.begin(), entries_, at);
    return at->matches;
  }
  return nullptr;
}

void MatchCache::keep(const std::string& directory, std::int64_t index, const std::string& query,
                      std::shared_ptr<const Matches> matches) {
  const std::lock_guard guard(mutex_);
  rows_ += matches->rows.size();
  entries_.push_front({directory, index, query, std::move(matches)});
  while (entries_.size() > 1 && (rows_ > kMostRows || entries_.size() > kMostEntries)) {
    rows_ -= entries_.back().matches->rows.size();
    entries_.pop_back();
  }
}

void MatchCache::forget(const std::string& directory) {
  const std::lock_guard guard(mutex_);
  entries_.remove_if([&](const Entry& entry) {
    if (entry.directory != directory) return false;
    rows_ -= entry.matches->rows.size();
    return true;
  });
}

}  // namespace sluice::session

#include "policy/memory_store.h"

#include <algorithm>
#include <iterator>

namespace sluice::policy {

Result<std::variant<Reservation, LimitReached>> MemoryStore::reserve(std::span<const LimitUse> uses, WallTime now) {
  const std::lock_guard lock(mutex_);
  Reservation reservation;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const LimitUse& use = uses[i];
    Counter& counter = counters_[use.key];
    counter.use = use;
    const std::int64_t bucket = counter.buckets.advance(use, now);
    if (!counter.buckets.fits(use)) {
      const Micro used = counter.buckets.used();
      if (counter.buckets.empty()) counter.buckets.take(bucket, 0);  // so that it knows its window
      return LimitReached{i, used, counter.buckets.free_at(use)};
    }
    reservation.parts.push_back({use.key, bucket, bucket_span(use), use.amount, use.max});
  }
  for (const Reservation::Part& part : reservation.parts) counters_[part.key].buckets.take(part.bucket, part.amount);
  if (counters_.size() > sweep_at_) sweep(now);
  return reservation;
}

Status MemoryStore::give_back(Reservation& reservation) {
  const std::lock_guard lock(mutex_);
  for (const Reservation::Part& part : reservation.parts) {
    if (const auto found = counters_.find(part.key); found != counters_.end()) found->second.buckets.give_back(part);
  }
  reservation.parts.clear();
  return {};
}

void MemoryStore::sweep(WallTime now) {
  for (auto at = counters_.begin(); at != counters_.end();) {
    at->second.buckets.advance(at->second.use, now);
    at = at->second.buckets.empty() ? counters_.erase(at) : std::next(at);
  }
  sweep_at_ = std::max<std::size_t>(1'024, 2 * counters_.size());
}

std::size_t MemoryStore::keys() const {
  const std::lock_guard lock(mutex_);
  return counters_.size();
}

}  // namespace sluice::policy

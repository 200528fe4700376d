#include "policy/state_store.h"

#include <algorithm>

namespace sluice::policy {
namespace {

constexpr std::int64_t kParts = 60;  // of a sliding window

std::chrono::seconds length(Window window) {
  return window == Window::kMinute ? std::chrono::seconds(60)
         : window == Window::kHour ? std::chrono::seconds(3'600)
                                   : std::chrono::seconds(86'400);
}

Duration width(const LimitUse& use) { return use.sliding ? length(use.window) / kParts : length(use.window); }

void add(std::string& key, std::string_view part) { key.append(std::to_string(part.size())).append(":").append(part); }

}  // namespace

std::int64_t bucket_span(const LimitUse& use) { return use.sliding ? kParts + 1 : 1; }

std::string limit_key(Scope scope, std::string_view grant, std::string_view server, std::string_view entry,
                      const Limit& limit) {
  std::string key;
  add(key, to_string(scope));
  add(key, scope == Scope::kGrant ? grant : std::string_view());
  add(key, scope == Scope::kAll ? std::string_view() : server);
  add(key, entry);
  add(key, limit.counter);
  add(key, to_string(limit.window));
  add(key, limit.sliding ? "sliding" : "");
  return key;
}

std::int64_t Buckets::advance(const LimitUse& use, WallTime now) {
  const Duration wide = width(use), since = now.time_since_epoch();
  std::int64_t current = since / wide;
  if (since < Duration::zero()) current = 0;  // before 1970 there is only the first bucket
  if (!buckets_.empty()) current = std::max(current, buckets_.back().number);
  const std::int64_t oldest = current - bucket_span(use) + 1;
  std::erase_if(buckets_, [&](const Bucket& bucket) { return bucket.number < oldest; });
  return current;
}

Micro Buckets::used() const {
  Micro sum = 0;
  for (const Bucket& bucket : buckets_) {
    if (__builtin_add_overflow(sum, bucket.used, &sum)) return INT64_MAX;
  }
  return sum;
}

void Buckets::take(std::int64_t bucket, Micro amount) {
  if (buckets_.empty() || buckets_.back().number < bucket) buckets_.push_back({bucket, 0, 0});
  buckets_.back().used += amount;
}

std::variant<Reservation::Part, LimitReached> Buckets::count(const LimitUse& use, WallTime now) {
  const std::int64_t bucket = advance(use, now);
  if (!fits(use)) {
    const Micro before = used();
    if (empty()) take(bucket, 0);  // so that it knows its window
    return LimitReached{0, before, free_at(use)};
  }
  take(bucket, use.amount);
  return Reservation::Part{use.key, bucket, bucket_span(use), use.amount, use.max};
}

bool Buckets::give_back(const Reservation::Part& part) {
  if (buckets_.empty()) return false;
  const std::int64_t oldest = buckets_.back().number - part.span + 1;
  Micro given = 0;
  for (const Bucket& bucket : buckets_) given += bucket.number >= oldest ? bucket.given_back : 0;
  const auto found = std::find_if(buckets_.begin(), buckets_.end(),
                                  [&](const Bucket& bucket) { return bucket.number == part.bucket; });
  if (found == buckets_.end() || found->number < oldest || found->used < part.amount ||
      given > part.max - part.amount) {
    return false;
  }
  found->used -= part.amount;
  found->given_back += part.amount;
  return true;
}

WallTime Buckets::free_at(const LimitUse& use) const {
  std::int64_t number = buckets_.empty() ? 0 : buckets_.back().number;
  Micro left = used();
  for (const Bucket& bucket : buckets_) {
    left -= bucket.used;
    number = bucket.number;
    if (use.amount <= use.max && left <= use.max - use.amount) break;
  }
  return WallTime((number + bucket_span(use)) * width(use));
}

}  // namespace sluice::policy

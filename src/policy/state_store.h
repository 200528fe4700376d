// Where limits are counted. A call's limits are reserved together or not at all, before it runs; what was reserved is
// consumed unless it is given back. So a crash consumes. gate.md 4.
//
// Time is cut into buckets: a calendar window is one bucket of its own length, a sliding one sixty buckets and the one
// that is leaving, so that no stretch of the window's length ever admits more than `max`; what was used comes back at
// most a sixtieth of the window late. The newest bucket never moves back: a clock that steps back refills nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/policy.h"

namespace sluice::policy {

// One limit that a call counts against.
struct LimitUse {
  std::string key;  // limit_key()
  Window window = Window::kMinute;
  bool sliding = false;
  Micro max = 0;
  Micro amount = kMicro;
};

// What was taken, so that it can be given back to the same bucket.
struct Reservation {
  struct Part {
    std::string key;
    std::int64_t bucket = 0;
    std::int64_t span = 1;
    Micro amount = 0, max = 0;
  };
  std::vector<Part> parts;
};

struct LimitReached {
  std::size_t use = 0;  // which of the uses
  Micro used = 0;       // before this call
  WallTime again{};     // when this amount fits, if nobody else calls; of an amount above max: the window's end
};

class StateStore {
 public:
  virtual ~StateStore() = default;
  // Atomic over all uses, across threads and, where the store is shared, processes. An error: the store cannot be
  // used, and the call must be denied (A44).
  virtual Result<std::variant<Reservation, LimitReached>> reserve(std::span<const LimitUse> uses, WallTime now) = 0;
  // The call provably did nothing. At most `max` comes back in a window (A23); what is over, or in a window that has
  // ended, stays consumed. Once for each reservation: it is emptied.
  virtual Status give_back(Reservation& reservation) = 0;
  // To the disk itself, if anything changed since the last time and it is this store's to do.
  virtual Status sync() { return {}; }
};

// (scope id, server, entry, counter, window), each with its length in front, so that no two keys are equal by chance
// (A47). `entry` is the JSON pointer of the list.
std::string limit_key(Scope scope, std::string_view grant, std::string_view server, std::string_view entry,
                      const Limit& limit);

// The counters of one key, as every store keeps them. Pure.
class Buckets {
 public:
  struct Bucket {
    std::int64_t number = 0;
    Micro used = 0, given_back = 0;
    friend bool operator==(const Bucket&, const Bucket&) = default;
  };
  explicit Buckets(std::vector<Bucket> buckets = {}) : buckets_(std::move(buckets)) {}  // ascending

  // Where `use` would count at `now`; buckets that have left the window are dropped.
  std::int64_t advance(const LimitUse& use, WallTime now);
  Micro used() const;
  bool fits(const LimitUse& use) const { return use.amount <= use.max && used() <= use.max - use.amount; }
  void take(std::int64_t bucket, Micro amount);
  // All of it for one use: what was taken; or nothing, and why (its `use` is the caller's to say).
  std::variant<Reservation::Part, LimitReached> count(const LimitUse& use, WallTime now);
  bool give_back(const Reservation::Part& part);
  WallTime free_at(const LimitUse& use) const;  // behind advance()
  const std::vector<Bucket>& all() const { return buckets_; }
  bool empty() const { return buckets_.empty(); }

 private:
  std::vector<Bucket> buckets_;
};
std::int64_t bucket_span(const LimitUse& use);  // buckets of one window

}  // namespace sluice::policy

// Counters in memory: for tests, `policy test`, and programs that need not remember. Thread-safe. Keys whose window has
// passed are dropped as others are used.
#pragma once

#include <mutex>
#include <unordered_map>

#include "policy/state_store.h"

namespace sluice::policy {

class MemoryStore final : public StateStore {
 public:
  Result<std::variant<Reservation, LimitReached>> reserve(std::span<const LimitUse> uses, WallTime now) override;
  Status give_back(Reservation& reservation) override;
  std::size_t keys() const;

 private:
  struct Counter {
    LimitUse use;  // how its buckets are cut
    Buckets buckets;
  };
  void sweep(WallTime now);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Counter> counters_;
  std::size_t sweep_at_ = 1'024;
};

}  // namespace sluice::policy

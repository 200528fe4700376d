// Connections and upstreams, which many exchanges share: each is held, and counted in the budget, once. Belongs to the
// index. Private to this folder.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "capture/flat_map.h"

namespace sluice::capture {

template <class Fact>
class SharedFacts {
 public:
  struct Use {
    std::shared_ptr<const Fact> fact;
    std::size_t users = 0;
    ByteCount cost = 0;
    std::uint32_t mentioned_in = 0;  // the last segment that has it
  };

  // Good until its last user leaves. `cost_of` is asked for a new one.
  template <class CostOf>
  Use* join(std::shared_ptr<const Fact> fact, CostOf cost_of) {
    const std::uint64_t key = key_of(*fact);
    Use* use = nullptr;
    if (const auto* const found = uses_.find(key)) {
      use = found->get();
    } else {
      auto made = std::make_unique<Use>();
      use = made.get();
      use->cost = cost_of(*fact);
      use->fact = std::move(fact);
      memory_ += use->cost;
      uses_.insert(key, std::move(made));
    }
    ++use->users;
    return use;
  }
  void leave(Use* use) {
    if (!use || --use->users > 0) return;
    memory_ -= use->cost;
    uses_.erase(key_of(*use->fact));
  }
  ByteCount memory() const { return memory_; }

 private:
  static std::uint64_t key_of(const Fact& fact) { return reinterpret_cast<std::uintptr_t>(&fact); }

  FlatMap<std::unique_ptr<Use>> uses_;
  ByteCount memory_ = 0;
};

}  // namespace sluice::capture

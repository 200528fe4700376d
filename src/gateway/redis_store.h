// Counters of limits in Redis, for several gateways that count together (gate.md 4). A reservation reads its counters,
// computes as every store does (policy::Buckets), and writes all of them by one script that does nothing unless none
// has changed meanwhile: exactly `max` calls are admitted, whoever asks. What was written before a crash stays
// consumed. What Redis must be, and when it cannot be used: redis_link.h. Calls may come from any thread; one at a time
// is served.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/redis_link.h"
#include "policy/state_store.h"

namespace sluice::gateway {

class RedisStore final : public policy::StateStore {
 public:
  explicit RedisStore(std::shared_ptr<RedisLink> link) : link_(std::move(link)) {}

  Result<std::variant<policy::Reservation, policy::LimitReached>> reserve(std::span<const policy::LimitUse> uses,
                                                                          WallTime now) override;
  Status give_back(policy::Reservation& reservation) override;

 private:
  using Values = std::vector<std::string>;  // of keys; empty: there is none
  Result<Values> load(const std::vector<std::string>& keys);
  // True: written. False: one of them has changed.
  Result<bool> exchange(const std::vector<std::string>& keys, const Values& before, const Values& after,
                        const std::vector<std::int64_t>& lives_ms);

  const std::shared_ptr<RedisLink> link_;
};

}  // namespace sluice::gateway

// Counters of limits in Redis, for several gateways that count together (gate.md 4). A reservation reads its counters,
// computes as every store does (policy::Buckets), and writes all of them by one script that does nothing unless none
// has changed meanwhile: exactly `max` calls are admitted, whoever asks. What was written before a crash stays
// consumed. Redis must keep what it has: one that evicts keys is refused, and one that has lost its counters (restarted
// without its data) denies until Sluice starts anew. While it is down, or for a second after it was, calls that need it
// are denied at once. Calls may come from any thread; one at a time is served.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "policy/state_store.h"

struct redisContext;
struct redisReply;

namespace sluice::gateway {

// redis://[USER@]HOST[:PORT][/DATABASE].
struct RedisAddress {
  std::string host, user;
  std::uint16_t port = 6'379;
  unsigned database = 0;
};
// kInvalid with a sentence; a password in it is refused, since others see command lines.
Result<RedisAddress> parse_redis_address(std::string_view url);

class RedisStore final : public policy::StateStore {
 public:
  struct Options {
    RedisAddress address;
    std::function<Result<Secret>()> password;  // asked for at each connection; empty: none is needed
    std::chrono::milliseconds patience{500};   // of each command, and of the connection
  };
  RedisStore(const Clock& clock, Entropy& entropy, Options options);
  ~RedisStore() override;

  // Whether it can be used now. kUnavailable, kRefused: why not.
  Status check();

  Result<std::variant<policy::Reservation, policy::LimitReached>> reserve(std::span<const policy::LimitUse> uses,
                                                                          WallTime now) override;
  Status give_back(policy::Reservation& reservation) override;

 private:
  using Values = std::vector<std::string>;  // of keys; empty: there is none
  struct Freer {
    void operator()(redisContext* context) const;
    void operator()(redisReply* reply) const;
  };
  using ReplyPtr = std::unique_ptr<redisReply, Freer>;

  Status connect();
  Status greet();
  Status check_eviction();
  Status take_mark();
  Error failed(std::string_view what);  // and the connection is given up
  // A reply that is no error.
  Result<ReplyPtr> ask(const std::vector<std::string>& words);
  Result<Values> load(const std::vector<std::string>& keys);
  // True: written. False: one of them has changed.
  Result<bool> exchange(const std::vector<std::string>& keys, const Values& before, const Values& after,
                        const std::vector<std::int64_t>& lives_ms);

  const Clock& clock_;
  Entropy& entropy_;
  const Options options_;
  std::mutex mutex_;
  std::unique_ptr<redisContext, Freer> context_;
  std::string mark_;  // in Redis beside the counters, from the first connection on: without it they are not ours
  std::optional<MonoTime> not_before_;
};

}  // namespace sluice::gateway

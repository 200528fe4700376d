// One connection to the Redis that several gateways share: what is counted (redis_store.h) and who may act
// (redis_state.h) go over it. Redis must keep what it has: one that evicts keys is refused, and one that has lost what
// it had (restarted without its data) is not used again by whoever used it before. While it is down, and for a second
// or more after it was, whatever needs it fails at once, with the reason. Calls may come from any thread: who asks
// holds the turn.
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
#include "base/result.h"
#include "base/secret.h"

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
// Which Redis this is, whoever asks for it; for whoever has the home, never shown to callers.
std::string to_string(const RedisAddress& address);

class RedisLink {
 public:
  struct Options {
    RedisAddress address;
    std::function<Result<Secret>()> password;  // asked for at each connection; empty: none is needed
    std::chrono::milliseconds patience{
        500};  // for the connection, and until more of an answer comes; for all of it four times that
  };
  RedisLink(const Clock& clock, Entropy& entropy, Options options);
  ~RedisLink();

  // Whether it can be used now. kUnavailable, kRefused: why not.
  Status check();
  // Why it is left alone for now, and for how long.
  struct Rest {
    Error why;
    Duration left{};
  };
  std::optional<Rest> resting();

  std::unique_lock<std::mutex> take_turn() { return std::unique_lock(mutex_); }

  // With the turn taken.
  struct Freer {
    void operator()(redisContext* context) const;
    void operator()(redisReply* reply) const;
  };
  using ReplyPtr = std::unique_ptr<redisReply, Freer>;
  Status connect();  // where there is no connection
  // A reply that is no error; behind connect(). Where Redis only takes no writes now, the connection stays.
  Result<ReplyPtr> ask(const std::vector<std::string>& words);
  // The connection is given up: what it said makes no sense. What to answer.
  Error failed(std::string_view what);
  // The mark is not there any more: the next connection says so.
  Error lost();
  // The key beside everything, and what it holds since the first connection: without it the rest is not ours.
  static constexpr const char* kMarkKey = "sluice:mark";
  const std::string& mark() const { return mark_; }
  MonoTime now() const { return clock_.mono(); }
  std::string place() const { return to_string(options_.address); }

 private:
  Error rest(Error why);
  Result<ReplyPtr> exchange();
  Error refused(std::string_view command, std::string_view text);
  Status greet();
  Status check_eviction();
  Status take_mark();

  const Clock& clock_;
  Entropy& entropy_;
  const Options options_;
  std::mutex mutex_;
  std::unique_ptr<redisContext, Freer> context_;
  std::string mark_;
  MonoTime began_{};                    // what is under way
  std::optional<MonoTime> not_before_;  // tried again
  Error why_;
};

// The octets of a text; of anything else none.
std::string_view text_of(const redisReply& reply);

}  // namespace sluice::gateway

// Sends many requests in order: so many at once, at a rate or at given times, again where that is safe, until a
// deadline. Blocks the caller's thread, which is never a worker's; one thread for each Runner.
//
//   Runner runner(send, clock);
//   runner.run(plan.size(), pace, [&](i) { return request_of(plan[i]); }, [&](i, outcome) { … }, stop);
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "proxy/sender.h"

namespace sluice::replay {

struct Pace {
  std::size_t concurrency = 1;
  double per_second = 0;         // requests begun; 0: as fast as they end
  std::vector<Duration> begins;  // … or each at its time from the start; empty: no such times
  int retries = 0;               // of a request that got no answer, if make() says that it may be sent again
  std::optional<MonoTime> deadline;
  bool stop_on_error = false;  // nothing more is begun after a request that failed
};

struct Outcome {
  proxy::SendResult sent;
  int attempts = 0;              // 0: it was not sent
  std::optional<Error> refused;  // why not
};

class Runner {
 public:
  using Send = std::function<void(proxy::SendRequest, proxy::SendDone)>;  // proxy::Engine::send
  Runner(Send send, const Clock& clock) : send_(std::move(send)), clock_(clock) {}

  struct Prepared {
    proxy::SendRequest request;
    bool repeatable = false;
  };
  // Called just before the request is sent, again for each attempt: with one at a time, after take() of all before.
  using Make = std::function<Result<Prepared>(std::size_t index)>;
  // Called once for each that was begun, as they end. False: nothing more is begun.
  using Take = std::function<bool(std::size_t index, Outcome outcome)>;

  // Why it ended before all were begun; empty: it did not. Whatever was begun has ended then.
  enum class End : std::uint8_t { kAll, kStopped, kDeadline, kError };
  End run(std::size_t count, const Pace& pace, const Make& make, const Take& take, const std::stop_token& stop);

 private:
  const Send send_;
  const Clock& clock_;
};

}  // namespace sluice::replay

#include "replay/runner.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace sluice::replay {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{100};  // before a retry; doubled each time

// Where workers leave what came of requests. Outlives the run: a request may end after it was given up.
struct Arrivals {
  std::mutex mutex;
  std::condition_variable came;
  std::deque<std::pair<std::size_t, proxy::SendResult>> results;
};

struct Waiting {
  std::size_t index = 0;
  int attempts = 0;
  MonoTime not_before;
};

class Run {
 public:
  Run(const Runner::Send& send, const Clock& clock, const Pace& pace, const Runner::Make& make,
      const Runner::Take& take, const std::stop_token& stop)
      : send_(send), clock_(clock), pace_(pace), make_(make), take_(take), stop_(stop), started_(clock.mono()) {}

  Runner::End through(std::size_t count) {
    while (true) {
      if (end_ == Runner::End::kAll && stop_.stop_requested()) end_ = Runner::End::kStopped;
      const MonoTime now = clock_.mono();
      if (end_ == Runner::End::kAll && pace_.deadline && now >= *pace_.deadline) end_ = Runner::End::kDeadline;
      const bool more = end_ == Runner::End::kAll && (next_ < count || !again_.empty());
      if (!more && running_.empty()) break;
      if (more && running_.size() < std::max<std::size_t>(pace_.concurrency, 1)) {
        const auto ready = next_ready(count);
        if (ready <= now) {
          begin(now);
          continue;
        }
        wait(ready);
      } else {
        wait(pace_.deadline.value_or(now + milliseconds(500)));
      }
      take_arrived();
    }
    // What was to be sent again and no longer is has its last result.
    for (const Waiting& one : again_) take_(one.index, std::move(last_[one.index]));
    return end_ == Runner::End::kAll || next_ < count || !again_.empty() ? end_ : Runner::End::kAll;
  }

 private:
  // When the next one may begin.
  MonoTime next_ready(std::size_t count) {
    MonoTime at = MonoTime::max();
    retry_ = again_.end();
    for (auto one = again_.begin(); one != again_.end(); ++one) {
      if (one->not_before < at) {
        at = one->not_before;
        retry_ = one;
      }
    }
    if (next_ < count) {
      const MonoTime fresh = next_ < pace_.begins.size() ? started_ + pace_.begins[next_] : MonoTime{};
      if (fresh < at) {
        at = fresh;
        retry_ = again_.end();
      }
    }
    return std::max(at, not_before_);
  }

  void begin(MonoTime now) {
    Waiting one{next_, 0, now};
    if (retry_ != again_.end()) {
      one = *retry_;
      again_.erase(retry_);
    } else {
      ++next_;
    }
    if (pace_.per_second > 0) {
      const auto gap = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / pace_.per_second));
      not_before_ = std::max(not_before_, now) + gap;  // no burst makes up for a pause
    }
    auto prepared = make_(one.index);
    if (!prepared) {
      Outcome outcome;
      outcome.refused = std::move(prepared.error());
      return give(one.index, std::move(outcome), true);
    }
    if (pace_.deadline) {
      const auto left = std::chrono::ceil<milliseconds>(*pace_.deadline - now);
      prepared->request.timeout = std::min(prepared->request.timeout, std::max(left, milliseconds(1)));
    }
    prepared->request.stop = stop_;
    ++one.attempts;
    running_.push_back({one, prepared->repeatable});
    send_(std::move(prepared->request), [arrivals = arrivals_, index = one.index](proxy::SendResult result) {
      const std::lock_guard guard(arrivals->mutex);
      arrivals->results.emplace_back(index, std::move(result));
      arrivals->came.notify_one();
    });
  }

  void wait(MonoTime until) {
    // Cancelled requests come back by themselves; while none runs the token is looked at now and then.
    const MonoTime at_most = clock_.mono() + milliseconds(200);
    std::unique_lock lock(arrivals_->mutex);
    arrivals_->came.wait_until(lock, std::min(until, at_most), [this] { return !arrivals_->results.empty(); });
  }

  void take_arrived() {
    std::deque<std::pair<std::size_t, proxy::SendResult>> arrived;
    {
      const std::lock_guard guard(arrivals_->mutex);
      arrived.swap(arrivals_->results);
    }
    for (auto& [index, result] : arrived) {
      const auto found = std::find_if(running_.begin(), running_.end(),
                                      [index = index](const Running& one) { return one.waiting.index == index; });
      const Running one = *found;
      running_.erase(found);
      const bool failed = result.failure.has_value();
      Outcome outcome{std::move(result), one.waiting.attempts, std::nullopt};
      const bool again = failed && !outcome.sent.head && one.repeatable && one.waiting.attempts <= pace_.retries &&
                         end_ == Runner::End::kAll && !stop_.stop_requested();
      if (again) {
        Waiting later = one.waiting;
        later.not_before = clock_.mono() + kFirstPause * (1 << std::min(later.attempts - 1, 6));
        last_[index] = std::move(outcome);
        again_.push_back(later);
      } else {
        give(index, std::move(outcome), failed);
      }
    }
  }

  void give(std::size_t index, Outcome outcome, bool failed) {
    last_.erase(index);
    const bool go_on = take_(index, std::move(outcome));
    if (end_ == Runner::End::kAll && (!go_on || (failed && pace_.stop_on_error))) end_ = Runner::End::kError;
  }

  struct Running {
    Waiting waiting;
    bool repeatable = false;
  };
  const Runner::Send& send_;
  const Clock& clock_;
  const Pace& pace_;
  const Runner::Make& make_;
  const Runner::Take& take_;
  const std::stop_token& stop_;
  const MonoTime started_;
  MonoTime not_before_{};  // by the rate
  std::size_t next_ = 0;
  std::vector<Waiting> again_;
  std::vector<Waiting>::iterator retry_ = again_.end();
  std::map<std::size_t, Outcome> last_;  // of those in again_
  std::vector<Running> running_;
  std::shared_ptr<Arrivals> arrivals_ = std::make_shared<Arrivals>();
  Runner::End end_ = Runner::End::kAll;
};

}  // namespace

Runner::End Runner::run(std::size_t count, const Pace& pace, const Make& make, const Take& take,
                        const std::stop_token& stop) {
  return Run(send_, clock_, pace, make, take, stop).through(count);
}

}  // namespace sluice::replay

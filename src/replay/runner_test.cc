#include "replay/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace sluice::replay {
namespace {

using std::chrono::milliseconds;

// Answers from other threads, after a while, what the test says.
class Origin {
 public:
  ~Origin() {
    for (auto& thread : threads_) thread.join();
  }
  Runner::Send send() {
    return [this](proxy::SendRequest request, proxy::SendDone done) {
      const std::lock_guard guard(mutex_);
      most_ = std::max(most_, ++running_);
      order.push_back(request.head.target);
      const bool fails = fail_first > 0;
      if (fails) --fail_first;
      threads_.emplace_back([this, fails, stop = request.stop, done = std::move(done)] {
        for (int i = 0; i < 1'000 && !stop.stop_requested() && (holds || i < 3); ++i) {
          std::this_thread::sleep_for(milliseconds(1));
        }
        {
          const std::lock_guard leaving(mutex_);
          --running_;
        }
        proxy::SendResult result;
        if (stop.stop_requested())
          result.failure = flow::Failure{"cancelled", flow::Phase::kFirstByte, ""};
        else if (fails)
          result.failure = flow::Failure{"connect_refused", flow::Phase::kConnect, ""};
        else
          result.head = http::make_response(200);
        done(std::move(result));
      });
    };
  }
  int most() const { return most_; }

  std::vector<std::string> order;
  int fail_first = 0;
  std::atomic<bool> holds{false};

 private:
  std::mutex mutex_;
  int running_ = 0, most_ = 0;
  std::vector<std::thread> threads_;
};

class RunnerTest : public ::testing::Test {
 protected:
  Runner::End run(std::size_t count, const Pace& pace, bool repeatable = true, const std::stop_token& stop = {}) {
    Runner runner(origin.send(), clock);
    return runner.run(
        count, pace,
        [&](std::size_t i) -> Result<Runner::Prepared> {
          if (i == refused) return fail(Code::kRefused, "no");
          Runner::Prepared prepared;
          prepared.request.head.target = std::to_string(i);
          prepared.repeatable = repeatable;
          return prepared;
        },
        [&](std::size_t i, Outcome outcome) {
          taken.emplace_back(i, std::move(outcome));
          return true;
        },
        stop);
  }
  SystemClock clock;
  Origin origin;
  std::size_t refused = SIZE_MAX;
  std::vector<std::pair<std::size_t, Outcome>> taken;
};

TEST_F(RunnerTest, SendsInOrderOneAtATime) {
  EXPECT_EQ(run(5, {}), Runner::End::kAll);
  EXPECT_EQ(origin.order, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(origin.most(), 1);
  ASSERT_EQ(taken.size(), 5u);
  EXPECT_EQ(taken[4].first, 4u);
  EXPECT_EQ(taken[4].second.attempts, 1);
}

TEST_F(RunnerTest, SendsSoManyAtOnceAndNoMore) {
  EXPECT_EQ(run(20, {.concurrency = 4}), Runner::End::kAll);
  EXPECT_EQ(taken.size(), 20u);
  EXPECT_LE(origin.most(), 4);
  EXPECT_GE(origin.most(), 2);
}

TEST_F(RunnerTest, KeepsTheRate) {
  const MonoTime began = clock.mono();
  run(6, {.concurrency = 6, .per_second = 50});
  EXPECT_GE(clock.mono() - began, milliseconds(100));
}

TEST_F(RunnerTest, BeginsEachAtItsTime) {
  const MonoTime began = clock.mono();
  run(3, {.concurrency = 3, .begins = {milliseconds(0), milliseconds(30), milliseconds(120)}});
  EXPECT_GE(clock.mono() - began, milliseconds(120));
}

TEST_F(RunnerTest, SendsAgainWhatMayBeSentAgain) {
  origin.fail_first = 2;
  run(1, {.retries = 3});
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].second.attempts, 3);
  EXPECT_FALSE(taken[0].second.sent.failure);
}

TEST_F(RunnerTest, NeverSendsAgainWhatMayNot) {
  origin.fail_first = 1;
  run(1, {.retries = 3}, false);
  EXPECT_EQ(origin.order.size(), 1u);
  EXPECT_TRUE(taken.at(0).second.sent.failure);
}

TEST_F(RunnerTest, StopsAtAnErrorIfAsked) {
  origin.fail_first = 1;
  EXPECT_EQ(run(3, {.stop_on_error = true}), Runner::End::kError);
  EXPECT_EQ(origin.order.size(), 1u);
}

TEST_F(RunnerTest, ARequestThatCannotBeMadeIsToldAndTheNextIsSent) {
  refused = 0;
  EXPECT_EQ(run(2, {}), Runner::End::kAll);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].second.refused->message, "no");
  EXPECT_EQ(taken[1].second.attempts, 1);
}

TEST_F(RunnerTest, BeginsNothingAfterItsDeadline) {
  Pace pace;
  pace.deadline = clock.mono() + milliseconds(20);
  EXPECT_EQ(run(1'000, pace), Runner::End::kDeadline);
  EXPECT_LT(taken.size(), 100u);
  EXPECT_EQ(taken.size(), origin.order.size());
}

TEST_F(RunnerTest, EndsAtOnceWhenItsCallerGivesUp) {
  origin.holds = true;
  std::stop_source stop;
  std::thread caller([&] {
    std::this_thread::sleep_for(milliseconds(30));
    stop.request_stop();
  });
  EXPECT_EQ(run(10, {}, true, stop.get_token()), Runner::End::kStopped);
  caller.join();
  EXPECT_EQ(taken.size(), 1u);
}

}  // namespace
}  // namespace sluice::replay

#include "net/signal.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

class SignalTest : public ::testing::Test {
 protected:
  SignalTest() { deadlines_.tick(MonoTime(1h)); }
  void wait() {
    outcome_.reset();
    asio::co_spawn(io_, signal_.wait(), [this](std::exception_ptr, Status status) { outcome_ = std::move(status); });
    turn();
  }
  void wait_told() {
    told_ = false;
    asio::co_spawn(io_, signal_.wait_told(), [this](std::exception_ptr) { told_ = true; });
    turn();
  }
  void turn() {
    io_.restart();
    io_.poll();
  }

  asio::io_context io_;
  Deadlines deadlines_;
  Signal signal_{deadlines_};
  std::optional<Status> outcome_;
  bool told_ = false;
};

TEST_F(SignalTest, WhatIsToldBeforeTheWaitIsKept) {
  signal_.notify();
  wait();
  ASSERT_TRUE(outcome_);
  EXPECT_TRUE(*outcome_);
  wait();
  EXPECT_FALSE(outcome_) << "it was taken";
  signal_.notify();
  turn();
  EXPECT_TRUE(outcome_ && *outcome_);
}

TEST_F(SignalTest, ADeadlineEndsWaitsUntilThereIsAnother) {
  signal_.set_deadline(MonoTime(1h + 1s));
  wait();
  deadlines_.tick(MonoTime(1h + 2s));
  turn();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->error().code, Code::kTimeout);
  wait();
  EXPECT_TRUE(outcome_) << "later waits end so, too";
  signal_.clear_deadline();
  wait();
  EXPECT_FALSE(outcome_);
}

// At the end of a worker every deadline passes: a wait for what ends by itself must not become a loop without a pause.
TEST_F(SignalTest, AWaitForWhatEndsByItselfEndsWithThatAlone) {
  wait_told();
  deadlines_.tick(MonoTime::max());
  signal_.cancel(Code::kCancelled);
  turn();
  EXPECT_FALSE(told_);
  signal_.notify();
  turn();
  EXPECT_TRUE(told_);
}

}  // namespace
}  // namespace sluice::net

// The lane alone, with work of the test's own.
#include "gateway/state_lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "gateway/test_run.h"

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

// Work that goes on until it is let go.
class Gatekeeper {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void await_one() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return inside_ > 0; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

class StateLaneTest : public ::testing::Test {
 protected:
  std::unique_ptr<StateLane> make(StateLane::Options options = {}) {
    StateLane::Store store;
    store.rest = [this]() -> std::optional<StateLane::Store::Rest> {
      if (!down_) return std::nullopt;
      return StateLane::Store::Rest{{Code::kUnavailable, "it is down"}, 20ms};
    };
    store.probe = [this] { ++probes_; };
    return std::make_unique<StateLane>(io_.get_executor(), std::move(store), options);
  }
  StateLane::Piece piece(std::function<void()> work = [] {}) {
    return {std::move(work), [this](Status done) { heard_.push_back(done ? "done" : done.error().message); },
            [this] { ++undone_; }};
  }
  template <class Condition>
  bool run_until(Condition condition) {
    return gateway::run_until(io_, std::move(condition));
  }
  bool hears(std::size_t count) {
    return run_until([&] { return heard_.size() == count; });
  }

  boost::asio::io_context io_;
  std::atomic<bool> down_{false};
  std::atomic<int> probes_{0}, undone_{0};
  std::vector<std::string> heard_;
};

TEST_F(StateLaneTest, WorkIsDoneInOrderAndHeardOfLaterOnTheControlThread) {
  const auto lane = make();
  std::string order;
  const auto here = std::this_thread::get_id();
  bool elsewhere = true;
  for (const char name : {'a', 'b', 'c'}) {
    lane->submit(StateLane::Kind::kCall, piece([&order, &elsewhere, name, here] {
                   order.push_back(name);
                   elsewhere = elsewhere && std::this_thread::get_id() != here;
                 }));
  }
  EXPECT_TRUE(heard_.empty()) << "not from within";
  ASSERT_TRUE(hears(3));
  EXPECT_EQ(order, "abc");
  EXPECT_TRUE(elsewhere);
  EXPECT_EQ(heard_, std::vector<std::string>(3, "done"));
  EXPECT_EQ(undone_, 0);
}

TEST_F(StateLaneTest, WhatIsForgottenIsNotBegunOrIsUndoneAndNobodyHearsOfIt) {
  const auto lane = make();
  Gatekeeper keeper;
  std::atomic<bool> begun{false};
  const auto working = lane->submit(StateLane::Kind::kCall, piece([&] { keeper.pass(); }));
  const auto waiting = lane->submit(StateLane::Kind::kCall, piece([&] { begun = true; }));
  keeper.await_one();
  lane->forget(waiting);
  lane->forget(working);
  lane->forget(working);
  keeper.open();
  lane->submit(StateLane::Kind::kCall, piece());
  ASSERT_TRUE(hears(1));
  EXPECT_FALSE(begun);
  EXPECT_EQ(undone_, 1);
}

TEST_F(StateLaneTest, WhatIsForgottenBehindItsEndIsUndoneAsWell) {
  const auto lane = make();
  std::atomic<bool> done{false};
  const auto ticket = lane->submit(StateLane::Kind::kCall, piece([&] { done = true; }));
  while (!done) std::this_thread::yield();
  std::this_thread::sleep_for(20ms);  // it may be on its way by now; either way is to be right
  lane->forget(ticket);
  EXPECT_TRUE(run_until([&] { return undone_ == 1; }));
  EXPECT_TRUE(heard_.empty());
}

TEST_F(StateLaneTest, WhatIsLateIsToldSoAndUndone) {
  const auto lane = make({.patience = 40ms});
  Gatekeeper keeper;
  lane->submit(StateLane::Kind::kCall, piece([&] { keeper.pass(); }));
  lane->submit(StateLane::Kind::kCall, piece());
  ASSERT_TRUE(hears(2));
  EXPECT_NE(heard_[0].find("too slowly"), std::string::npos) << heard_[0];
  EXPECT_NE(heard_[1].find("too slowly"), std::string::npos) << heard_[1];
  const auto began = std::chrono::steady_clock::now();
  lane->submit(StateLane::Kind::kCall, piece());
  ASSERT_TRUE(hears(3)) << "nobody waits behind what hangs";
  EXPECT_LT(std::chrono::steady_clock::now() - began, 40ms);
  keeper.open();
  EXPECT_TRUE(run_until([&] { return undone_ == 1; }));
  lane->submit(StateLane::Kind::kCall, piece());
  ASSERT_TRUE(hears(4));
  EXPECT_EQ(heard_[3], "done");
}

TEST_F(StateLaneTest, OnlySoManyWaitAndTheNextIsToldSo) {
  const auto lane = make({.most_waiting = 2});
  Gatekeeper keeper;
  lane->submit(StateLane::Kind::kCall, piece([&] { keeper.pass(); }));
  keeper.await_one();
  std::atomic<int> after{0};
  for (int i = 0; i < 3; ++i) lane->submit(StateLane::Kind::kCall, piece());
  for (int i = 0; i < 5; ++i) lane->submit(StateLane::Kind::kAfter, {[&] { ++after; }, {}, {}});
  ASSERT_TRUE(hears(1));
  EXPECT_NE(heard_[0].find("too many calls wait"), std::string::npos) << heard_[0];
  keeper.open();
  ASSERT_TRUE(hears(4));
  EXPECT_EQ(heard_[3], "done");
  EXPECT_TRUE(run_until([&] { return after == 5; })) << "what calls leave behind is never refused";
}

TEST_F(StateLaneTest, WhileTheStoreIsDownCallsAreRefusedAtOnceUntilItIsBack) {
  const auto lane = make();
  std::atomic<int> begun{0};
  lane->submit(StateLane::Kind::kCall, piece([&] {
                 ++begun;
                 down_ = true;
               }));
  ASSERT_TRUE(hears(1));
  for (int i = 0; i < 10; ++i) lane->submit(StateLane::Kind::kCall, piece([&] { ++begun; }));
  ASSERT_TRUE(hears(11));
  EXPECT_EQ(heard_[10], "it is down");
  EXPECT_EQ(begun, 1);
  EXPECT_TRUE(run_until([&] { return probes_ >= 2; })) << "nobody has to ask";
  lane->submit(StateLane::Kind::kLook, piece());
  ASSERT_TRUE(hears(12));
  EXPECT_EQ(heard_[11], "done") << "looks are for finding out";
  down_ = false;
  EXPECT_TRUE(run_until([&] {
    heard_.clear();
    lane->submit(StateLane::Kind::kCall, piece());
    return hears(1) && heard_[0] == "done";
  }));
}

TEST_F(StateLaneTest, LooksGoBeforeWhatWaits) {
  const auto lane = make();
  Gatekeeper keeper;
  std::string order;
  lane->submit(StateLane::Kind::kCall, piece([&] { keeper.pass(); }));
  keeper.await_one();
  lane->submit(StateLane::Kind::kCall, piece([&] { order += "call "; }));
  lane->submit(StateLane::Kind::kLook, piece([&] { order += "look "; }));
  keeper.open();
  ASSERT_TRUE(hears(3));
  EXPECT_EQ(order, "look call ");
}

TEST_F(StateLaneTest, TheEndUndoesWhatNobodyHeardOfAndStillGivesBack) {
  auto lane = make();
  Gatekeeper keeper;
  std::atomic<bool> done{false}, begun{false};
  std::atomic<int> given{0};
  lane->submit(StateLane::Kind::kCall, piece([&] { done = true; }));
  while (!done) std::this_thread::yield();
  lane->submit(StateLane::Kind::kCall, piece([&] { keeper.pass(); }));
  lane->submit(StateLane::Kind::kCall, piece([&] { begun = true; }));
  lane->submit(StateLane::Kind::kAfter, {[&] { ++given; }, {}, {}});
  keeper.await_one();
  std::thread opener([&] {
    std::this_thread::sleep_for(20ms);  // behind the beginning of the end; right either way
    keeper.open();
  });
  lane->close();
  opener.join();
  EXPECT_EQ(undone_, 2);
  EXPECT_EQ(given, 1);
  EXPECT_FALSE(begun);
  lane->submit(StateLane::Kind::kCall, piece([&] { begun = true; }));
  lane.reset();
  run_until([] { return true; });
  EXPECT_FALSE(begun);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(StateLaneTest, WhatDoneHoldsGoesWithTheControlThread) {
  auto lane = make();
  const auto here = std::this_thread::get_id();
  std::atomic<bool> right{true};
  const auto held = [&] {
    return std::shared_ptr<int>(new int(0), [&right, here](const int* gone) {
      right = right && std::this_thread::get_id() == here;
      delete gone;
    });
  };
  for (int round = 0; round < 200; ++round) {
    const auto ticket = lane->submit(StateLane::Kind::kCall, {[] {}, [kept = held()](Status) {}, {}});
    if (round % 2 == 0) lane->forget(ticket);
    if (round % 10 == 0) io_.poll();
  }
  lane.reset();
  io_.restart();
  io_.poll();
  EXPECT_TRUE(right);
}

}  // namespace
}  // namespace sluice::gateway

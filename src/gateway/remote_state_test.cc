// The gate with its counters in a Redis that misbehaves: what is denied, what is counted, and that nobody waits for it.
#include "gateway/remote_state.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "gateway/policy_gate.h"
#include "gateway/redis_store.h"
#include "gateway/test_fake_redis.h"
#include "gateway/test_run.h"

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using Way = FakeRedis::Way;

constexpr auto kPatience = 150ms;

class RemoteStateTest : public ::testing::Test {
 protected:
  RemoteStateTest() {
    gate_.set_remote(remote_);
    use(R"({"version":"1","default":"deny","tools":{"free":{},
            "x":{"limits":[{"counter":"c","window":"day","max":3}]},
            "y":{"limits":[{"counter":"c","window":"day","max":3}]}}})");
  }
  ~RemoteStateTest() override { remote_.lane.close(); }
  void use(std::string_view text) {
    policy::Parsed parsed = policy::parse_policy(text);
    ASSERT_TRUE(parsed.document) << text;
    gate_.set_policy(*policy::Engine::compile(*std::move(parsed.document)));
  }
  template <class Condition>
  bool run_until(Condition condition) {
    return gateway::run_until(io_, std::move(condition));
  }
  Policy::Withdraw begin(std::string_view tool, std::function<void(Decision)> decided) {
    return gate_.decide_later({caller_, "sluice", "tools/call", tool, tools::Risk::kWrite, none_}, std::move(decided));
  }
  Decision decide(std::string_view tool) {
    std::optional<Decision> got;
    begin(tool, [&](Decision decision) { got = std::move(decision); });
    EXPECT_TRUE(run_until([&] { return got.has_value(); }));
    return got.value_or(Decision());
  }
  // How many calls of the tool have passed, as Redis has it.
  std::int64_t counted(std::string_view tool) {
    const std::string value = redis_.value("/tools/" + std::string(tool));
    const std::size_t from = value.find(',');
    return from == std::string::npos ? 0 : std::stoll(value.substr(from + 1)) / policy::kMicro;
  }
  bool comes_back() {
    return run_until([&] { return decide("y").allow; });
  }

  SystemClock clock_;
  SystemEntropy entropy_;
  boost::asio::io_context io_;
  FakeRedis redis_;
  std::shared_ptr<RedisLink> link_ = std::make_shared<RedisLink>(clock_, entropy_, redis_.options(kPatience));
  RedisStore store_{link_};
  RemoteState remote_{io_.get_executor(), clock_, link_, ::testing::TempDir() + "none.db", {.patience = 600ms}};
  PolicyGate gate_{clock_, store_};
  const Caller caller_;
  const Json none_ = Json::object();
};

TEST_F(RemoteStateTest, CountsExactlyAndDecidesFromWithinWhatNeedsNoCounter) {
  bool now = false;
  EXPECT_FALSE(begin("free", [&](Decision decision) { now = decision.allow; })) << "there is nothing to take back";
  EXPECT_TRUE(now);
  int passed = 0, heard = 0;
  for (int i = 0; i < 8; ++i) {
    begin("x", [&](Decision decision) {
      ++heard;
      passed += decision.allow ? 1 : 0;
    });
  }
  EXPECT_EQ(heard, 0) << "later";
  ASSERT_TRUE(run_until([&] { return heard == 8; }));
  EXPECT_EQ(passed, 3);
  EXPECT_EQ(counted("x"), 3);
}

TEST_F(RemoteStateTest, AnAnswerInSingleOctetsIsAnAnswer) {
  redis_.behave(Way::kInOctets);
  EXPECT_TRUE(decide("x").allow);
  EXPECT_EQ(counted("x"), 1);
}

TEST_F(RemoteStateTest, OneThatNeverAnswersDeniesOnceLateAndThenAtOnce) {
  redis_.behave(Way::kNever);
  const Decision first = decide("x");
  EXPECT_FALSE(first.allow);
  EXPECT_EQ(first.rule, "/tools/x/limits/c");
  EXPECT_NE(first.message.find("the counters cannot be used"), std::string::npos) << first.message;
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(decide("x").allow);
  EXPECT_LT(std::chrono::steady_clock::now() - began, kPatience);
  redis_.behave(Way::kWell);
  EXPECT_TRUE(comes_back()) << "it is tried again by itself";
  EXPECT_TRUE(decide("x").allow);
}

TEST_F(RemoteStateTest, WhileItHangsEverythingElseGoesOn) {
  redis_.behave(Way::kNever);
  std::optional<Decision> waits;
  const auto began = std::chrono::steady_clock::now();
  begin("x", [&](Decision decision) { waits = std::move(decision); });
  for (int i = 0; i < 1'000; ++i) {
    bool now = false;
    begin("free", [&](Decision decision) { now = decision.allow; });
    ASSERT_TRUE(now);
    io_.poll();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, kPatience) << "or the test says nothing";
  EXPECT_FALSE(waits);
  ASSERT_TRUE(run_until([&] { return waits.has_value(); }));
  EXPECT_FALSE(waits->allow);
}

TEST_F(RemoteStateTest, OneThatClosesInTheMiddleDeniesAndNothingIsMadeOfHalfAnAnswer) {
  ASSERT_TRUE(decide("y").allow);
  redis_.behave(Way::kHalf);
  EXPECT_FALSE(decide("x").allow);
  EXPECT_EQ(counted("x"), 0);
  redis_.behave(Way::kUnwilling);
  EXPECT_FALSE(decide("x").allow);
  redis_.behave(Way::kWell);
  EXPECT_TRUE(comes_back());
  EXPECT_TRUE(decide("x").allow);
  EXPECT_EQ(counted("x"), 1);
}

TEST_F(RemoteStateTest, ALateAnswerIsNeverTakenForTheNextCalls) {
  ASSERT_TRUE(decide("y").allow);
  redis_.late_by(2 * kPatience);
  redis_.behave(Way::kLate);
  EXPECT_FALSE(decide("x").allow);
  redis_.behave(Way::kWell);
  std::this_thread::sleep_for(3 * kPatience);  // the late answer is there by now
  const int before = redis_.connections();
  EXPECT_TRUE(comes_back());
  EXPECT_GE(redis_.connections(), before);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(decide("x").allow) << i;
  EXPECT_FALSE(decide("x").allow);
  EXPECT_EQ(counted("x"), 3);
}

TEST_F(RemoteStateTest, ACallerWhoLeavesMeanwhileHasTakenNothing) {
  redis_.late_by(kPatience / 3);
  redis_.behave(Way::kLate);
  bool heard = false;
  auto withdraw = begin("x", [&](Decision) { heard = true; });
  ASSERT_TRUE(withdraw);
  ASSERT_TRUE(run_until([&] { return redis_.asked() > 4; })) << "behind the greeting the reservation is on its way";
  withdraw();
  redis_.behave(Way::kWell);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(decide("x").allow) << i;
  EXPECT_FALSE(heard);
  EXPECT_FALSE(decide("x").allow);
}

TEST_F(RemoteStateTest, APolicyThatComesMeanwhileDecidesTheNextCallAndNotThisOne) {
  const std::uint64_t before = gate_.policy()->revision();
  std::optional<Decision> got;
  begin("x", [&](Decision decision) { got = std::move(decision); });
  use(R"({"version":"1","default":"deny","tools":{}})");
  ASSERT_NE(gate_.policy()->revision(), before);
  ASSERT_TRUE(run_until([&] { return got.has_value(); }));
  EXPECT_TRUE(got->allow);
  EXPECT_EQ(got->revision, before);
  EXPECT_EQ(decide("x").rule, "(default deny)");
}

TEST_F(RemoteStateTest, AGateThatIsClosedMeanwhileDeniesAndGivesBack) {
  bool closed = false;
  gate_.set_closed([&] { return closed; });
  std::optional<Decision> got;
  begin("x", [&](Decision decision) { got = std::move(decision); });
  closed = true;
  ASSERT_TRUE(run_until([&] { return got.has_value(); }));
  EXPECT_EQ(got->rule, "(gate closed)");
  closed = false;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(decide("x").allow) << i;
  EXPECT_FALSE(decide("x").allow);
}

TEST_F(RemoteStateTest, WhatDidNotRunIsGivenBackBeforeTheNextCallIsCounted) {
  for (int i = 0; i < 3; ++i) {
    Decision decision = decide("x");
    ASSERT_TRUE(decision.allow);
    gate_.give_back(decision.reserved);
    EXPECT_TRUE(decision.reserved.parts.empty());
  }
  EXPECT_EQ(decide("x").allow, true);
  EXPECT_EQ(counted("x"), 1);
}

TEST_F(RemoteStateTest, TheEndGivesBackWhatNobodyHeardOf) {
  bool heard = false;
  auto withdraw = begin("x", [&](Decision) { heard = true; });
  while (counted("x") == 0) std::this_thread::yield();
  withdraw();
  remote_.lane.close();
  EXPECT_EQ(counted("x"), 0);
  EXPECT_FALSE(heard);
}

TEST_F(RemoteStateTest, ManyDenialsAreFewQuestionsAndStillShutOut) {
  use(R"({"version":"1","default":"deny","max_denials":{"window":"hour","max":50}})");
  std::optional<WallTime> until;
  for (int i = 0; i < 40; ++i) gate_.count_denial_later(caller_, [&](WallTime at) { until = at; });
  run_until([&] { return io_.poll() == 0 && redis_.asked() >= 8; });
  EXPECT_FALSE(until);
  for (int i = 0; i < 40; ++i) gate_.count_denial_later(caller_, [&](WallTime at) { until = at; });
  EXPECT_TRUE(run_until([&] { return until.has_value(); }));
  EXPECT_LT(redis_.asked(), 40);
}

}  // namespace
}  // namespace sluice::gateway

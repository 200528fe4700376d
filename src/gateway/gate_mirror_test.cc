// What is known of a state elsewhere: how new it is, and what it reads as when it cannot be had.
#include "gateway/gate_mirror.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "gateway/approval_store.h"
#include "gateway/credential.h"
#include "gateway/grants.h"
#include "gateway/remote_state.h"
#include "gateway/test_redis.h"
#include "gateway/test_run.h"

namespace sluice::gateway {
namespace {

using Part = GateRows::Part;

class GateMirrorTest : public ::testing::Test {
 protected:
  GateMirrorTest() { std::filesystem::create_directories(directory_); }
  ~GateMirrorTest() override {
    remote_.reset();
    std::filesystem::remove_all(directory_);
  }
  void SetUp() override {
    if (!redis_.is_there()) GTEST_SKIP() << "redis-server cannot be started";
    remote_.emplace(io_.get_executor(), clock_, std::make_shared<RedisLink>(system_, entropy_, redis_.options()),
                    directory_ + "/home.db");
    grants_.set_mirror(remote_->mirror);
    grants_.set_options({.server = "sluice", .default_token = "the-token", .needs_token = true});
    grants_.set_profiles([this](const std::string&) { return &profile_; });
    clock_.advance(std::chrono::hours(1'000));
  }
  std::string create(const std::string& name) {
    Grant grant;
    grant.name = name;
    grant.server = "sluice";
    const std::string token = make_credential(kGrantPrefix, entropy_);
    grant.hash = credential_hash(token);
    EXPECT_TRUE(others_.create(grant));
    return token;
  }
  template <class Condition>
  bool run_until(Condition condition) {
    return gateway::run_until(io_, std::move(condition));
  }
  void look() {
    bool looked = false;
    remote_->mirror.look([&] { looked = true; });
    EXPECT_TRUE(run_until([&] { return looked; }));
  }
  std::string who(const std::string& token) {
    const auto found = grants_.identify(token);
    return found ? found->caller.grant : "";
  }

  const std::string directory_ = ::testing::TempDir() + "sluice-mirror-" + std::to_string(::getpid());
  SystemClock system_;
  FakeClock clock_;  // of the control thread
  SystemEntropy entropy_;
  boost::asio::io_context io_;
  TestRedis redis_;
  RedisState other_rows_{redis_.link(), directory_ + "/other.db"};
  GrantStore others_{other_rows_}, unused_{other_rows_};
  ApprovalStore approvals_{other_rows_};
  mcp::ServerProfile profile_;
  std::optional<RemoteState> remote_;
  Grants grants_{clock_, unused_};
};

TEST_F(GateMirrorTest, KnowsWhatWasThereAndAfterALookWhatIs) {
  EXPECT_FALSE(remote_->mirror.grants()) << "nothing was read, which is not nothing";
  const std::string one = create("one");
  ASSERT_TRUE(others_.set_admin_hash("", "hash"));
  remote_->mirror.prime();
  EXPECT_EQ(who(one), "one");
  EXPECT_EQ(*remote_->mirror.admin_hash(), "hash");
  const std::string two = create("two");
  EXPECT_EQ(who(two), "") << "nobody waits in identify()";
  look();
  EXPECT_EQ(who(two), "two");
  ASSERT_TRUE(others_.revoke("one", 1));
  EXPECT_TRUE(grants_.must_look(one));
  EXPECT_FALSE(grants_.must_look("the-token"));
  bool looked = false;
  grants_.look(one, [&] { looked = true; });
  EXPECT_TRUE(run_until([&] { return looked; }));
  EXPECT_EQ(who(one), "");
  EXPECT_EQ(who("the-token"), "default");
}

TEST_F(GateMirrorTest, LooksByItselfAndCountsWhatWaitsForAPerson) {
  remote_->mirror.prime();
  const auto before = *remote_->mirror.revision(Part::kApprovals);
  Approval wanted;
  wanted.id = "apr_x";
  wanted.grant = "bot";
  wanted.digest = "d";
  wanted.expires_ms = unix_ms(clock_.wall()) + 1'000;
  ASSERT_TRUE(approvals_.ask(wanted, unix_ms(clock_.wall())));
  EXPECT_EQ(*remote_->mirror.count_waiting(unix_ms(clock_.wall())), 0u);
  remote_->mirror.start();
  EXPECT_TRUE(run_until([&] { return *remote_->mirror.revision(Part::kApprovals) != before; }));
  EXPECT_EQ(*remote_->mirror.count_waiting(unix_ms(clock_.wall())), 1u);
  EXPECT_EQ(*remote_->mirror.count_waiting(wanted.expires_ms), 0u);
}

TEST_F(GateMirrorTest, WhatIsOlderThanASecondIsNotUsed) {
  const std::string one = create("one");
  remote_->mirror.prime();
  clock_.advance(GateMirror::kMostAge - std::chrono::milliseconds(1));
  EXPECT_EQ(who(one), "one");
  clock_.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(who(one), "");
  EXPECT_NE(grants_.unusable(), "");
  EXPECT_FALSE(remote_->mirror.revision(Part::kPins));
  EXPECT_FALSE(remote_->mirror.admin_hash());
  EXPECT_FALSE(remote_->mirror.count_waiting(0));
  EXPECT_EQ(who("the-token"), "default");
  look();
  EXPECT_EQ(who(one), "one");
}

// Nobody's session ends because this process was stopped, or its disk was slow.
TEST_F(GateMirrorTest, AfterAStandstillItIsLookedAgainBeforeAnythingEnds) {
  const std::string one = create("one");
  remote_->mirror.prime();
  remote_->mirror.start();
  clock_.advance(std::chrono::seconds(3));
  EXPECT_EQ(who(one), "one");
  ASSERT_TRUE(others_.revoke("one", 1));
  EXPECT_TRUE(run_until([&] { return who(one).empty(); }));
  EXPECT_EQ(grants_.unusable(), "") << "revoked, and that is known";
}

TEST_F(GateMirrorTest, ALookThatBeganBeforeTheQuestionIsNoAnswerToIt) {
  remote_->mirror.prime();
  std::string heard, one;
  remote_->mirror.look([&] { heard += "first "; });
  remote_->mirror.look([&] { heard += who(one) + " "; });
  one = create("one");
  remote_->mirror.look([&] { heard += who(one); });
  EXPECT_EQ(heard, "");
  EXPECT_TRUE(run_until([&] { return heard.ends_with("one one"); })) << heard;
}

TEST_F(GateMirrorTest, A44NobodyWaitsForOneThatIsDownAndItComesBackByItself) {
  const std::string one = create("one");
  remote_->mirror.prime();
  redis_.end();
  look();
  EXPECT_EQ(who(one), "");
  EXPECT_NE(grants_.unusable().find("Redis cannot be used"), std::string::npos) << grants_.unusable();
  bool at_once = false;
  remote_->mirror.look([&] { at_once = true; });
  EXPECT_TRUE(at_once);
}

TEST_F(GateMirrorTest, OfTokensThatNobodyHasOnlySomeAreLookedFor) {
  remote_->mirror.prime();
  std::size_t looks = 0;
  for (int i = 0; i < 100; ++i) looks += grants_.may_be_new(make_credential(kGrantPrefix, entropy_)) ? 1 : 0;
  EXPECT_EQ(looks, Grants::kMostLooks);
  EXPECT_FALSE(grants_.may_be_new("anything"));
  EXPECT_FALSE(grants_.may_be_new(std::nullopt));
  clock_.advance(std::chrono::milliseconds(250));
  EXPECT_TRUE(grants_.may_be_new(make_credential(kGrantPrefix, entropy_)));
}

}  // namespace
}  // namespace sluice::gateway

// Who may act, in Redis: what several processes do at once, and what is denied when Redis is not what it was. What the
// rows mean is tested over every place (test_rows.h).
#include "gateway/redis_state.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/approval_store.h"
#include "gateway/grant_store.h"
#include "gateway/pin_store.h"
#include "gateway/test_redis.h"

namespace sluice::gateway {
namespace {

using State = ApprovalStore::State;

class RedisStateTest : public ::testing::Test {
 protected:
  RedisStateTest() { std::filesystem::create_directories(directory_); }
  ~RedisStateTest() override { std::filesystem::remove_all(directory_); }
  void SetUp() override {
    if (!redis_.is_there()) GTEST_SKIP() << "redis-server cannot be started";
  }

  std::string home(const std::string& name) const { return directory_ + "/" + name + ".db"; }
  // A process of that home.
  RedisState open(const std::string& name = "home") { return RedisState(redis_.link(redis_.options()), home(name)); }
  static Approval wanted(const std::string& digest, const std::string& grant = "bot") {
    Approval approval;
    approval.id = "apr_" + grant + digest;
    approval.grant = grant;
    approval.digest = digest;
    approval.arguments = R"({"secret":"value"})";
    approval.expires_ms = 1'000;
    return approval;
  }
  // So many calls, each with a digest that is its number.
  static void approve(GateRows& rows, int many) {
    ApprovalStore store(rows);
    for (int i = 0; i < many; ++i) {
      ASSERT_TRUE(store.ask(wanted(std::to_string(i)), 0));
      ASSERT_TRUE(store.decide("apr_bot" + std::to_string(i), true, "admin", 1));
    }
  }
  static Result<PinStore::Checked> check(GateRows& rows, const std::string& text) {
    const std::vector<PinStore::Seen> tools{{"a", text}};
    return PinStore(rows).check("files", "cmd", tools, PinStore::First::kAccept, 1);
  }
  // What every one of so many processes counts, together.
  int together(int processes, const std::function<int(int)>& work) {
    int result[2];
    EXPECT_EQ(::pipe(result), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < processes; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const int count = work(i);
        ::_exit(::write(result[1], &count, sizeof count) == sizeof count ? 0 : 1);
      }
      children.push_back(child);
    }
    int total = 0;
    for (const pid_t child : children) {
      int count = 0;
      EXPECT_EQ(::read(result[0], &count, sizeof count), static_cast<ssize_t>(sizeof count));
      total += count;
      ::waitpid(child, nullptr, 0);
    }
    ::close(result[0]);
    ::close(result[1]);
    return total;
  }

  TestRedis redis_;
  const std::string directory_ = ::testing::TempDir() + "sluice-redis-state-" + std::to_string(::getpid());
};

TEST_F(RedisStateTest, A38OfTwoProcessesOneUsesAnApproval) {
  constexpr int kMany = 16;
  RedisState state = open();
  approve(state, kMany);
  const int used = together(3, [&](int process) {
    RedisState own = open("home" + std::to_string(process));
    int count = 0;
    for (int i = 0; i < kMany; ++i) {
      const auto got = ApprovalStore(own).use("apr_bot" + std::to_string(i), 2);
      if (!got) return -1'000;
      count += *got ? 1 : 0;
    }
    return count;
  });
  EXPECT_EQ(used, kMany);
}

TEST_F(RedisStateTest, A38AnApprovalIsUsedOnceThoughConnectionsBreakMeanwhile) {
  constexpr int kMany = 16;
  RedisState state = open();
  approve(state, kMany);
  const int used = together(3, [&](int process) {
    if (process == 0) {
      for (int i = 0; i < 40; ++i) (void)redis_.answer("client kill type normal");
      return 0;
    }
    RedisState own = open("home" + std::to_string(process));
    int count = 0;
    for (int i = 0; i < kMany; ++i) {
      // Nobody knows whether what was asked before the break happened: whoever asks again learns it.
      auto got = ApprovalStore(own).use("apr_bot" + std::to_string(i), 2);
      for (int tries = 0; !got && tries < 1'000; ++tries) {
        redis_.clock().advance(std::chrono::hours(1));
        got = ApprovalStore(own).use("apr_bot" + std::to_string(i), 2);
      }
      if (!got) return 1'000;
      count += *got ? 1 : 0;
    }
    return count;
  });
  EXPECT_LE(used, kMany);
  redis_.clock().advance(std::chrono::hours(1));
  ApprovalStore store(state);
  for (int i = 0; i < kMany; ++i) {
    auto found = store.find("apr_bot" + std::to_string(i));
    if (!found) {
      redis_.clock().advance(std::chrono::hours(1));
      found = store.find("apr_bot" + std::to_string(i));
    }
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->status, "used");
  }
}

TEST_F(RedisStateTest, SixteenOfAGrantAnd256InAllWaitWhoeverAsks) {
  const int of_one_grant = together(4, [&](int process) {
    RedisState own = open("home" + std::to_string(process));
    int pending = 0;
    for (int i = 0; i < 8; ++i) {
      const auto asked = ApprovalStore(own).ask(wanted(std::to_string(process) + "-" + std::to_string(i)), 0);
      if (!asked) return -1'000;
      pending += asked->state == State::kPending ? 1 : 0;
    }
    return pending;
  });
  EXPECT_EQ(of_one_grant, static_cast<int>(ApprovalStore::kMostOfGrant));
  const int of_all = together(4, [&](int process) {
    RedisState own = open("home" + std::to_string(process));
    int pending = 0;
    for (int i = 0; i < 80; ++i) {
      const auto asked = ApprovalStore(own).ask(wanted("x", "g" + std::to_string(i * 4 + process)), 0);
      if (!asked) return -1'000;
      pending += asked->state == State::kPending ? 1 : 0;
    }
    return pending;
  });
  EXPECT_EQ(of_one_grant + of_all, static_cast<int>(ApprovalStore::kMost));
}

TEST_F(RedisStateTest, IdenticalCallsOfSeveralProcessesAreOne) {
  const int fresh = together(4, [&](int process) {
    RedisState own = open("home" + std::to_string(process));
    int count = 0;
    for (int i = 0; i < 12; ++i) {
      Approval approval = wanted(std::to_string(i));
      approval.id += "-" + std::to_string(process);
      const auto asked = ApprovalStore(own).ask(approval, 0);
      count += asked && asked->is_new ? 1 : 0;
    }
    return count;
  });
  EXPECT_EQ(fresh, 12);
}

TEST_F(RedisStateTest, ChangesOfSeveralProcessesAreAllThere) {
  const int made = together(4, [&](int process) {
    RedisState own = open("home" + std::to_string(process));
    GrantStore grants(own);
    int count = 0;
    for (int i = 0; i < 10; ++i) {
      Grant grant;
      grant.name = "g" + std::to_string(i);  // of each, one process makes it
      count += grants.create(grant) ? 1 : 0;
    }
    return count;
  });
  EXPECT_EQ(made, 10);
  RedisState state = open();
  EXPECT_EQ(state.grants()->size(), 10u);
  EXPECT_EQ(*state.revision(GateRows::Part::kGrants), 10);
}

TEST_F(RedisStateTest, WhatHasEndedIsForgottenByItselfAndKeepsNoValues) {
  RedisState state = open();
  ApprovalStore store(state);
  ASSERT_TRUE(store.ask(wanted("d"), 0));
  ASSERT_TRUE(store.decide("apr_botd", true, "admin", 1));
  ASSERT_TRUE(*store.use("apr_botd", 2));
  EXPECT_EQ(redis_.answer("hlen sluice:gate:approvals"), "0\n");
  EXPECT_EQ(redis_.answer("hlen sluice:gate:arguments"), "0\n");
  EXPECT_EQ(redis_.answer("hlen sluice:gate:standing"), "0\n");
  EXPECT_EQ(redis_.answer("hlen sluice:gate:live"), "0\n");
  EXPECT_EQ(redis_.answer("get sluice:gate:ended:apr_botd").find("secret"), std::string::npos);
  EXPECT_NE(redis_.answer("ttl sluice:gate:ended:apr_botd"), "-1\n");
}

TEST_F(RedisStateTest, A39AnEmptiedRedisIsNoFirstContactForWhoKnewIt) {
  {
    RedisState state = open();
    ASSERT_TRUE(check(state, "1")->first);
    ASSERT_TRUE(redis_.command("flushall"));
    const auto lost = check(state, "2");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, Code::kUnavailable);
  }
  RedisState next = open();  // the home's next process
  const auto refused = check(next, "2");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("was emptied or replaced"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(next.grants());
  EXPECT_FALSE(next.admin_hash()) << "or anybody could make a new credential";
  EXPECT_FALSE(ApprovalStore(next).ask(wanted("d"), 0));
  StateMemory memory(home("home"));
  ASSERT_EQ(memory.places()->size(), 1u);
  EXPECT_TRUE(*memory.forget(memory.places()->front()));
  RedisState adopted = open();
  EXPECT_TRUE(check(adopted, "2")->first);
}

TEST_F(RedisStateTest, A44OneThatHasGoneBackRevivesNothing) {
  RedisState state = open();
  GrantStore grants(state);
  ASSERT_TRUE(grants.create({.name = "bot"}));
  ASSERT_TRUE(redis_.answer("copy sluice:gate:grants old") == "1\n");
  ASSERT_TRUE(grants.revoke("bot", 1));
  // As a snapshot, or a replica that lagged, would have it.
  ASSERT_EQ(redis_.answer("copy old sluice:gate:grants replace"), "1\n");
  ASSERT_EQ(redis_.answer("hincrby sluice:gate version -1"), "1\n");
  EXPECT_NE(state.grants().error().message.find("gone back"), std::string::npos);
  RedisState next = open();
  EXPECT_FALSE(next.grants()) << "the home remembers it";
  EXPECT_FALSE(GrantStore(next).create({.name = "other"}));
  RedisState elsewhere = open("elsewhere");
  ASSERT_TRUE(GrantStore(elsewhere).create({.name = "third"}));
  ASSERT_TRUE(GrantStore(elsewhere).create({.name = "fourth"}));
  EXPECT_FALSE(state.grants()) << "others' changes do not make it what it was";
  EXPECT_FALSE(next.grants());
  EXPECT_FALSE(open().grants());
  StateMemory memory(home("home"));
  EXPECT_TRUE(*memory.forget(memory.places()->front()));
  EXPECT_FALSE(state.grants()) << "a process that runs is started anew";
  EXPECT_EQ(memory.places()->size(), 0u) << "and takes nothing back of what a person said";
  EXPECT_EQ(open().grants()->size(), 3u);
}

TEST_F(RedisStateTest, A44WhatOneProcessHasSeenGoBackIsRefusedByTheOthersOfItsHome) {
  RedisState state = open(), other = open();
  ASSERT_TRUE(GrantStore(state).create({.name = "bot"}));
  ASSERT_TRUE(other.grants());
  ASSERT_EQ(redis_.answer("hincrby sluice:gate version -1"), "0\n");
  EXPECT_FALSE(state.grants());
  RedisState elsewhere = open("elsewhere");
  ASSERT_TRUE(GrantStore(elsewhere).create({.name = "third"}));
  ASSERT_TRUE(GrantStore(elsewhere).create({.name = "fourth"}));
  EXPECT_FALSE(other.grants());
}

TEST_F(RedisStateTest, A44AReplicaIsNotReadFrom) {
  RedisState state = open();
  ASSERT_TRUE(GrantStore(state).create({.name = "bot"}));
  ASSERT_TRUE(redis_.command("replicaof 127.0.0.1 1"));
  const auto read = state.grants();
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("replica"), std::string::npos) << read.error().message;
}

TEST_F(RedisStateTest, A44OneThatHasLostItsReplicasIsNotReadFromWhereItMustHaveThem) {
  RedisState state = open();
  ASSERT_TRUE(GrantStore(state).create({.name = "bot"}));
  ASSERT_TRUE(redis_.command("config set min-replicas-to-write 1"));
  EXPECT_FALSE(state.grants());
  ASSERT_TRUE(redis_.command("config set min-replicas-to-write 0"));
  redis_.clock().advance(std::chrono::seconds(2));
  EXPECT_EQ(state.grants()->size(), 1u);
}

TEST_F(RedisStateTest, WhereOnlyNothingCanBeWrittenReadingGoesOnAtOnce) {
  RedisState state = open();
  GrantStore grants(state);
  ASSERT_TRUE(grants.create({.name = "bot"}));
  ASSERT_TRUE(redis_.command("config set maxmemory 1"));
  const Status full = grants.create({.name = "other"});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kUnavailable);
  EXPECT_NE(full.error().message.find("OOM"), std::string::npos) << full.error().message;
  EXPECT_EQ(grants.load()->size(), 1u);
}

TEST_F(RedisStateTest, A39PinsThatAreLostAreNotNone) {
  RedisState state = open();
  ASSERT_TRUE(check(state, "1"));
  ASSERT_EQ(redis_.answer("--raw eval \"return redis.call('del', redis.call('keys', 'sluice:gate:pins:*')[1])\" 0"),
            "1\n");
  EXPECT_NE(check(state, "1").error().message.find("has lost pins"), std::string::npos);
}

TEST_F(RedisStateTest, A39AServerThatCouldNotBeFoundAgainIsRefusedAndNotNewForEver) {
  RedisState state = open();
  const std::vector<PinStore::Seen> tools{{"a", "1"}};
  for (int i = 0; i < 2; ++i) {
    const auto checked = PinStore(state).check("files", "cmd \xff", tools, PinStore::First::kAccept, 1);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::kRefused);
  }
}

TEST_F(RedisStateTest, ARowThatCannotBeTrueIsAnErrorAndNeverEmpty) {
  RedisState state = open();
  ASSERT_TRUE(GrantStore(state).create({.name = "bot"}));
  for (const char* row : {"x", "[]", "{}", R"({"name":"bot"})", ""}) {
    (void)redis_.answer(std::string("hset sluice:gate:grants bot '") + row + "'");
    const auto read = state.grants();
    ASSERT_FALSE(read) << row;
    EXPECT_EQ(read.error().code, Code::kIo);
  }
}

TEST_F(RedisStateTest, A44WhileItIsDownNothingIsReadAndNothingChanged) {
  RedisState state = open();
  GrantStore grants(state);
  ASSERT_TRUE(grants.create({.name = "bot"}));
  redis_.end();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(grants.load().error().code, Code::kUnavailable);
    EXPECT_EQ(grants.revoke("bot", 1).error().code, Code::kUnavailable);
    EXPECT_FALSE(ApprovalStore(state).use("apr", 1));
    EXPECT_FALSE(check(state, "1"));
  }
}

TEST_F(RedisStateTest, AVersionThatAnotherProcessOfTheHomeSawCounts) {
  RedisState one = open(), two = open();
  ASSERT_TRUE(GrantStore(one).create({.name = "bot"}));
  ASSERT_TRUE(GrantStore(two).create({.name = "other"}));
  StateMemory memory(home("home"));
  const std::string place = memory.places()->front();
  const auto known = *memory.find(place);
  EXPECT_EQ(known->version, 2);
  ASSERT_TRUE(memory.remember(place, {known->mark, 1}));
  EXPECT_EQ((*memory.find(place))->version, 2) << "an older one is nothing new";
  ASSERT_TRUE(memory.remember(place, {"another", 9}));
  EXPECT_EQ((*memory.find(place))->mark, known->mark) << "another mark is a person's affair";
}

}  // namespace
}  // namespace sluice::gateway

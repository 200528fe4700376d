// Counters in SQLite: what the memory store's tests say, and restarts, processes, damage and full disks.
#include "gateway/policy_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice::gateway {
namespace {

using policy::LimitReached;
using policy::LimitUse;
using policy::Reservation;

class PolicyStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static LimitUse use(policy::Micro max, std::string key = "key", bool sliding = false) {
    return {std::move(key), policy::Window::kMinute, sliding, max * policy::kMicro, policy::kMicro};
  }
  static bool take(PolicyStore& store, const LimitUse& one, std::int64_t second = 60, Reservation* kept = nullptr) {
    auto got = store.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(second)));
    if (!got) ADD_FAILURE() << got.error().message;
    if (!got || !std::holds_alternative<Reservation>(*got)) return false;
    if (kept) *kept = std::get<Reservation>(*got);
    return true;
  }

  const std::string directory_ = ::testing::TempDir() + "sluice-policy-store-" + std::to_string(::getpid());
  const std::string path_ = directory_ + "/state.db";
};

TEST_F(PolicyStoreTest, RemembersAcrossARestart) {
  for (int i = 0; i < 3; ++i) {
    PolicyStore store(path_);
    EXPECT_TRUE(take(store, use(3)));
    EXPECT_TRUE(store.sync());
  }
  PolicyStore store(path_);
  EXPECT_FALSE(take(store, use(3)));
  EXPECT_FALSE(take(store, use(3), 0)) << "a clock that stepped back";
  EXPECT_TRUE(take(store, use(3), 120));
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(PolicyStoreTest, AnotherConnectionOfTheProcessKeepsItsLocksWhenOneMoreIsOpened) {
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();  // before anything is open: SQLite does not survive a fork
  if (child == 0) {
    // A process that comes and goes must not take itself for the last one, and the log away.
    char octet = 0;
    bool good = ::read(go[0], &octet, 1) == 1;
    {
      PolicyStore other(path_);
      const LimitUse one = use(9);
      good = good && other.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(60))).has_value();
    }
    ::_exit(good ? 0 : 1);
  }
  PolicyStore store(path_);
  EXPECT_TRUE(take(store, use(9)));
  PolicyStore second(path_);
  EXPECT_TRUE(take(second, use(9)));
  ASSERT_EQ(::write(go[1], "!", 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::close(go[0]);
  ::close(go[1]);
  EXPECT_TRUE(std::filesystem::exists(path_ + "-wal"));
  for (int i = 3; i < 9; ++i) EXPECT_TRUE(take(i % 2 ? store : second, use(9))) << i;
  EXPECT_FALSE(take(store, use(9)));
  EXPECT_FALSE(take(second, use(9)));
}

TEST_F(PolicyStoreTest, SlidingWindowsKeepTheirParts) {
  for (int i = 0; i < 5; ++i) {
    PolicyStore store(path_);
    EXPECT_TRUE(take(store, use(5, "key", true), 1'000 + 10 * i));
  }
  PolicyStore store(path_);
  EXPECT_FALSE(take(store, use(5, "key", true), 1'060));
  EXPECT_TRUE(take(store, use(5, "key", true), 1'061));
  EXPECT_FALSE(take(store, use(5, "key", true), 1'070));
}

TEST_F(PolicyStoreTest, AllOrNothingAndGivenBackOnce) {
  PolicyStore store(path_);
  const std::vector<LimitUse> both{use(2, "one"), use(1, "two")};
  auto first = store.reserve(both, WallTime(std::chrono::seconds(60)));
  ASSERT_TRUE(first && std::holds_alternative<Reservation>(*first));
  auto second = store.reserve(both, WallTime(std::chrono::seconds(60)));
  EXPECT_EQ(std::get<LimitReached>(*second).use, 1u);
  Reservation taken = std::get<Reservation>(*first);
  EXPECT_TRUE(store.give_back(taken));
  EXPECT_TRUE(store.give_back(taken)) << "it is empty";
  EXPECT_TRUE(take(store, use(2, "one")));
  EXPECT_TRUE(take(store, use(2, "one")));
  EXPECT_FALSE(take(store, use(2, "one")));
}

TEST_F(PolicyStoreTest, AdmitsExactlyMaxOfManyThreads) {
  PolicyStore one(path_), other(path_);
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) admitted += take(i % 2 == 0 ? one : other, use(70));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 70);
}

TEST_F(PolicyStoreTest, A19A22AdmitsExactlyMaxOfManyProcessesEvenOfOnesThatAreKilled) {
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      PolicyStore store(path_, std::chrono::seconds(20));
      int admitted = 0;
      for (int k = 0; k < 40; ++k) admitted += take(store, use(50));
      ::_exit(admitted);  // without closing anything
    }
    children.push_back(child);
  }
  int admitted = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    admitted += WEXITSTATUS(status);
  }
  EXPECT_EQ(admitted, 50);
}

TEST_F(PolicyStoreTest, A44ADamagedStoreIsAnErrorAndNeverReadsAsZero) {
  std::ofstream(path_) << "this is no database, and never was one, however long it is made";
  PolicyStore store(path_);
  const LimitUse one = use(3);
  EXPECT_FALSE(store.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(60))));
  std::filesystem::remove(path_);
  EXPECT_TRUE(take(store, one)) << "repaired";
}

TEST_F(PolicyStoreTest, AStoreThatCannotBeReachedIsAnError) {
  PolicyStore nowhere("/nonexistent/state.db");
  const LimitUse one = use(3);
  EXPECT_FALSE(nowhere.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(60))));
  std::filesystem::create_symlink(directory_ + "/elsewhere", directory_ + "/link.db");
  PolicyStore link(directory_ + "/link.db");
  EXPECT_FALSE(link.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(60)))) << "no link is followed";
}

TEST_F(PolicyStoreTest, ALockedStoreIsAnErrorAfterItsPatience) {
  PolicyStore store(path_, std::chrono::milliseconds(20));
  EXPECT_TRUE(take(store, use(3)));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const LimitUse one = use(3);
  EXPECT_FALSE(store.reserve(std::span(&one, 1), WallTime(std::chrono::seconds(60))));
  sqlite3_close(other);
  EXPECT_TRUE(take(store, use(3)));
}

}  // namespace
}  // namespace sluice::gateway

// Counters in Redis: those of Debian's redis-server, started here; without one the tests that need it are skipped.
#include "gateway/redis_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

namespace sluice::gateway {
namespace {

using policy::LimitReached;
using policy::LimitUse;
using policy::Reservation;

class RedisStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_);
    for (int tries = 0; tries < 5; ++tries) {
      port_ = static_cast<std::uint16_t>(20'000 + (::getpid() + 7'919 * tries) % 12'000);
      if (start()) return;
    }
    GTEST_SKIP() << "redis-server cannot be started";
  }
  void TearDown() override {
    end();
    std::filesystem::remove_all(directory_);
  }

  bool start(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"redis-server", "--port",    std::to_string(port_), "--bind",      "127.0.0.1",
                                   "--save",       "",          "--appendonly",        "no",          "--dir",
                                   directory_,     "--logfile", directory_ + "/log",   "--daemonize", "no"};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 500; ++i) {
      RedisStore probe(clock_, entropy_, options());
      const Status usable = probe.check();
      if (usable || usable.error().code == Code::kRefused) return true;
      int status = 0;
      if (::waitpid(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return false;
      }
      ::usleep(20'000);
    }
    return false;
  }
  void end() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  RedisStore::Options options(std::string url = "") {
    RedisStore::Options out;
    out.address = *parse_redis_address(url.empty() ? "redis://127.0.0.1:" + std::to_string(port_) + "/3" : url);
    return out;
  }
  static LimitUse use(policy::Micro max, std::string key = "key", bool sliding = false, policy::Micro amount = 1) {
    return {std::move(key), policy::Window::kMinute, sliding, max * policy::kMicro, amount * policy::kMicro};
  }
  static WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }
  static bool take(RedisStore& store, const LimitUse& one, std::int64_t second = 60, Reservation* kept = nullptr) {
    auto got = store.reserve(std::span(&one, 1), at(second));
    if (!got) ADD_FAILURE() << got.error().message;
    if (!got || !std::holds_alternative<Reservation>(*got)) return false;
    if (kept) *kept = std::get<Reservation>(*got);
    return true;
  }

  FakeClock clock_;
  SystemEntropy entropy_;
  std::uint16_t port_ = 0;
  pid_t child_ = -1;
  const std::string directory_ = ::testing::TempDir() + "sluice-redis-" + std::to_string(::getpid());
};

TEST(RedisAddress, IsReadAndPasswordsAreRefused) {
  const auto one = parse_redis_address("redis://bob@redis.test:7000/5");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->host, "redis.test");
  EXPECT_EQ(one->user, "bob");
  EXPECT_EQ(one->port, 7000);
  EXPECT_EQ(one->database, 5u);
  EXPECT_EQ(parse_redis_address("redis://[::1]")->port, 6379);
  EXPECT_EQ(parse_redis_address("redis://h/")->database, 0u);
  for (const char* url : {"redis://user:secret@h", "redis://:secret@h", "rediss://h", "http://h", "redis://",
                          "redis://h:x", "redis://h/x", "redis://h/1/2", ""}) {
    const auto refused = parse_redis_address(url);
    ASSERT_FALSE(refused) << url;
    EXPECT_EQ(refused.error().message.find("secret"), std::string::npos);
  }
}

TEST_F(RedisStoreTest, CountsWindowsAsTheOtherStoresDo) {
  RedisStore store(clock_, entropy_, options());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take(store, use(3)));
  EXPECT_FALSE(take(store, use(3)));
  EXPECT_FALSE(take(store, use(3), 0)) << "a clock that stepped back";
  EXPECT_TRUE(take(store, use(3), 120));
  EXPECT_TRUE(take(store, use(2, "slides", true), 60));
  EXPECT_TRUE(take(store, use(2, "slides", true), 119));
  EXPECT_FALSE(take(store, use(2, "slides", true), 120));
  EXPECT_TRUE(take(store, use(2, "slides", true), 122));
  auto got = store.reserve(std::vector{use(3, "a"), use(1, "b"), use(0, "never")}, at(60));
  ASSERT_TRUE(got);
  EXPECT_EQ(std::get<LimitReached>(*got).use, 2u);
  EXPECT_TRUE(take(store, use(1, "b"))) << "all or none";
}

TEST_F(RedisStoreTest, LargeAmountsAreExact) {
  RedisStore store(clock_, entropy_, options());
  const policy::Micro most = 1'000'000'000'000;
  LimitUse large = use(most, "large", false, most - 1);
  EXPECT_TRUE(take(store, large));
  LimitUse least = use(most, "large");
  least.amount = policy::kMicro + 1;
  EXPECT_FALSE(take(store, least));
  least.amount = policy::kMicro;
  EXPECT_TRUE(take(store, least));
  least.amount = 1;
  EXPECT_FALSE(take(store, least));
}

TEST_F(RedisStoreTest, WhatIsGivenBackIsGivenBackOnceAndAtMostMax) {
  RedisStore store(clock_, entropy_, options());
  Reservation kept;
  ASSERT_TRUE(take(store, use(1), 60, &kept));
  Reservation again = kept;
  EXPECT_TRUE(store.give_back(kept));
  EXPECT_TRUE(kept.parts.empty());
  EXPECT_TRUE(take(store, use(1), 60, &kept));
  EXPECT_TRUE(store.give_back(again));
  EXPECT_FALSE(take(store, use(1))) << "at most `max` in a window";
}

TEST_F(RedisStoreTest, A19ThreadsAndProcessesAdmitExactlyMax) {
  constexpr int kMax = 100, kEach = 50;
  int result[2];
  ASSERT_EQ(::pipe(result), 0);
  const auto work = [&](int each) {
    RedisStore store(clock_, entropy_, options());
    int admitted = 0;
    for (int i = 0; i < each; ++i) {
      const std::vector<LimitUse> uses{use(kMax, "one"), use(1'000, "two"), use(kMax, "three", true)};
      const auto got = store.reserve(uses, at(60));
      if (!got) return -1'000;
      admitted += std::holds_alternative<Reservation>(*got) ? 1 : 0;
    }
    return admitted;
  };
  pid_t children[2];
  for (pid_t& child : children) {
    child = ::fork();
    if (child == 0) {
      const int admitted = work(kEach);
      ::_exit(::write(result[1], &admitted, sizeof admitted) == sizeof admitted ? 0 : 1);
    }
  }
  std::atomic<int> total{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { total += work(kEach); });
  for (std::thread& thread : threads) thread.join();
  for (const pid_t child : children) {
    int admitted = 0;
    ASSERT_EQ(::read(result[0], &admitted, sizeof admitted), static_cast<ssize_t>(sizeof admitted));
    total += admitted;
    ::waitpid(child, nullptr, 0);
  }
  EXPECT_EQ(total, kMax);
}

TEST_F(RedisStoreTest, A44WhileItIsDownNothingIsCountedAndNothingIsAdmitted) {
  RedisStore store(clock_, entropy_, options());
  ASSERT_TRUE(take(store, use(3)));
  end();
  const LimitUse one = use(3);
  for (int i = 0; i < 3; ++i) {
    const auto got = store.reserve(std::span(&one, 1), at(60));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kUnavailable);
  }
  Reservation none;
  EXPECT_TRUE(store.give_back(none));
}

TEST_F(RedisStoreTest, CountersThatAreLostDoNotBeginAgain) {
  RedisStore store(clock_, entropy_, options());
  ASSERT_TRUE(take(store, use(1)));
  end();
  ASSERT_TRUE(start());  // and keeps nothing; the probe of start() has made it another one's
  clock_.advance(std::chrono::seconds(2));
  const LimitUse one = use(1);
  for (int i = 0; i < 3; ++i) {
    const auto got = store.reserve(std::span(&one, 1), at(60));
    ASSERT_FALSE(got);
    clock_.advance(std::chrono::seconds(2));
  }
  RedisStore anew(clock_, entropy_, options());
  EXPECT_TRUE(take(anew, use(1)));
}

TEST_F(RedisStoreTest, OneThatThrowsKeysAwayIsRefused) {
  end();
  ASSERT_TRUE(start({"--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"}));
  RedisStore store(clock_, entropy_, options());
  const Status usable = store.check();
  ASSERT_FALSE(usable);
  EXPECT_EQ(usable.error().code, Code::kRefused);
  const LimitUse one = use(1);
  EXPECT_FALSE(store.reserve(std::span(&one, 1), at(60)));
}

TEST_F(RedisStoreTest, ACounterThatCannotBeTrueIsAnErrorAndNeverZero) {
  RedisStore store(clock_, entropy_, options());
  ASSERT_TRUE(take(store, use(3)));
  for (const char* value :
       {"x", "1,2", "1,-2,0;", "1,1,0;1,1,0;", "2,1,0;1,1,0;", "1,99999999999999999999,0;", "1,1,0;x", "1,1,0"}) {
    const std::string command =
        "redis-cli -p " + std::to_string(port_) + " -n 3 set sluice:counter:key '" + value + "' > /dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT(concurrency-mt-unsafe)
    const LimitUse one = use(3);
    const auto got = store.reserve(std::span(&one, 1), at(60));
    ASSERT_FALSE(got) << value;
    EXPECT_EQ(got.error().code, Code::kIo);
  }
}

TEST_F(RedisStoreTest, APasswordIsAskedForAndAWrongOneIsNotShown) {
  end();
  ASSERT_TRUE(start({"--requirepass", "right-password"}));
  const auto with = [&](std::string password) {
    auto chosen = options();
    chosen.password = [password] { return Result<Secret>(Secret(password)); };
    return chosen;
  };
  RedisStore right(clock_, entropy_, with("right-password"));
  EXPECT_TRUE(right.check());
  RedisStore wrong(clock_, entropy_, with("wrong-password"));
  const Status usable = wrong.check();
  ASSERT_FALSE(usable);
  EXPECT_EQ(usable.error().message.find("wrong-password"), std::string::npos);
  RedisStore none(clock_, entropy_, options());
  EXPECT_FALSE(none.check());
}

}  // namespace
}  // namespace sluice::gateway

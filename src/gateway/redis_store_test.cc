// Counters in Redis: those of Debian's redis-server, started here; without one the tests that need it are skipped.
#include "gateway/redis_store.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "gateway/test_redis.h"

namespace sluice::gateway {
namespace {

using policy::LimitReached;
using policy::LimitUse;
using policy::Reservation;

class RedisStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!redis_.is_there()) GTEST_SKIP() << "redis-server cannot be started";
  }
  RedisStore make() { return RedisStore(redis_.link()); }

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

  TestRedis redis_;
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
  RedisStore store = make();
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
  RedisStore store = make();
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
  RedisStore store = make();
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
    RedisStore store = make();
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
  RedisStore store = make();
  ASSERT_TRUE(take(store, use(3)));
  redis_.end();
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
  RedisStore store = make();
  ASSERT_TRUE(take(store, use(1)));
  redis_.end();
  ASSERT_TRUE(redis_.start());  // and keeps nothing; the probe of start() has made it another one's
  redis_.clock().advance(std::chrono::seconds(2));
  const LimitUse one = use(1);
  for (int i = 0; i < 3; ++i) {
    const auto got = store.reserve(std::span(&one, 1), at(60));
    ASSERT_FALSE(got);
    redis_.clock().advance(std::chrono::seconds(2));
  }
  RedisStore anew = make();
  EXPECT_TRUE(take(anew, use(1)));
}

TEST_F(RedisStoreTest, OneThatThrowsKeysAwayIsRefused) {
  redis_.end();
  ASSERT_TRUE(redis_.start({"--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"}));
  RedisStore store = make();
  const Status usable = redis_.link()->check();
  ASSERT_FALSE(usable);
  EXPECT_EQ(usable.error().code, Code::kRefused);
  const LimitUse one = use(1);
  EXPECT_FALSE(store.reserve(std::span(&one, 1), at(60)));
}

TEST_F(RedisStoreTest, ACounterThatCannotBeTrueIsAnErrorAndNeverZero) {
  RedisStore store = make();
  ASSERT_TRUE(take(store, use(3)));
  for (const char* value :
       {"x", "1,2", "1,-2,0;", "1,1,0;1,1,0;", "2,1,0;1,1,0;", "1,99999999999999999999,0;", "1,1,0;x", "1,1,0"}) {
    ASSERT_TRUE(redis_.command(std::string("set sluice:counter:key '") + value + "'"));
    const LimitUse one = use(3);
    const auto got = store.reserve(std::span(&one, 1), at(60));
    ASSERT_FALSE(got) << value;
    EXPECT_EQ(got.error().code, Code::kIo);
  }
}

TEST_F(RedisStoreTest, APasswordIsAskedForAndAWrongOneIsNotShown) {
  redis_.end();
  ASSERT_TRUE(redis_.start({"--requirepass", "right-password"}));
  const auto with = [&](std::string password) {
    auto chosen = redis_.options();
    chosen.password = [password] { return Result<Secret>(Secret(password)); };
    return redis_.link(chosen);
  };
  EXPECT_TRUE(with("right-password")->check());
  const Status usable = with("wrong-password")->check();
  ASSERT_FALSE(usable);
  EXPECT_EQ(usable.error().message.find("wrong-password"), std::string::npos);
  EXPECT_FALSE(redis_.link()->check());
  redis_.end();
  ASSERT_TRUE(redis_.start({"--rename-command", "AUTH", ""}));  // it says what it was sent
  const Status unknown = with("right-password")->check();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kRefused);
  EXPECT_EQ(unknown.error().message.find("right"), std::string::npos) << unknown.error().message;
}

TEST(RedisLinkTest, A44WhoeverSendsAnOctetNowAndThenIsNotWaitedForWithoutEnd) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  std::thread slow([listener] {
    const int peer = ::accept(listener, nullptr, nullptr);
    for (int i = 0; i < 400 && ::send(peer, "+", 1, MSG_NOSIGNAL) == 1; ++i) ::usleep(25'000);
    ::close(peer);
  });
  SystemClock clock;
  SystemEntropy entropy;
  RedisLink::Options options;
  options.address = *parse_redis_address("redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  options.patience = std::chrono::milliseconds(100);
  RedisLink link(clock, entropy, options);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_NE(link.check().error().message.find("too slowly"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  slow.join();
  ::close(listener);
}

TEST_F(RedisStoreTest, WhatRedisSaysIsShownShortAndWithoutControlCharacters) {
  const auto link = redis_.link();
  const auto turn = link->take_turn();
  ASSERT_TRUE(link->connect());
  const auto reply =
      link->ask({"EVAL", "return redis.error_reply(ARGV[1])", "0", "ERR \x1b[2J" + std::string(1'000, 'x')});
  ASSERT_FALSE(reply);
  const std::string& text = reply.error().message;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("\\u001b[2Jxxx"), std::string::npos) << text;
  EXPECT_LT(text.size(), 300u);
}

}  // namespace
}  // namespace sluice::gateway

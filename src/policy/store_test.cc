// Counters: windows at their edges, clocks that step, and exactly `max` calls whatever the threads do. gate.md 4, A15,
// A19-A23.
#include <atomic>
#include <set>
#include <thread>

#include "policy/memory_store.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

using std::chrono::seconds;

WallTime at(std::int64_t second) { return WallTime(seconds(second)); }

LimitUse use(Micro max, Window window = Window::kMinute, bool sliding = false, Micro amount = 1) {
  return {"key", window, sliding, max * kMicro, amount * kMicro};
}

class Store {
 public:
  bool take(const LimitUse& one, WallTime now) {
    auto got = *store.reserve(std::span(&one, 1), now);
    if (auto* reservation = std::get_if<Reservation>(&got)) {
      last = std::move(*reservation);
      return true;
    }
    reached = std::get<LimitReached>(got);
    return false;
  }
  MemoryStore store;
  Reservation last;
  LimitReached reached;
};

TEST(CalendarWindow, BeginsAnewAtTheEdgeAndNotBefore) {
  for (const auto& [window, length] :
       {std::pair{Window::kMinute, 60}, {Window::kHour, 3'600}, {Window::kDay, 86'400}}) {
    Store store;
    const std::int64_t edge = std::int64_t{20'000} * 86'400;
    EXPECT_TRUE(store.take(use(2, window), at(edge - length)));
    EXPECT_TRUE(store.take(use(2, window), at(edge - 1)));
    EXPECT_FALSE(store.take(use(2, window), at(edge) - Duration(1)));
    EXPECT_EQ(store.reached.again, at(edge));
    EXPECT_EQ(store.reached.used, 2 * kMicro);
    EXPECT_TRUE(store.take(use(2, window), at(edge)));
    EXPECT_TRUE(store.take(use(2, window), at(edge + length - 1)));
    EXPECT_FALSE(store.take(use(2, window), at(edge + length - 1)));
  }
}

TEST(SlidingWindow, A21H15AdmitsNoMoreThanMaxInAnyStretch) {
  for (const auto& [window, length] :
       {std::pair{Window::kMinute, 60}, {Window::kHour, 3'600}, {Window::kDay, 86'400}}) {
    Store store;
    const int part = length / 60;
    std::vector<std::int64_t> admitted;
    for (std::int64_t second = 1'000'000; second < 1'000'000 + 5 * length; second += std::max(1, part / 3)) {
      if (store.take(use(7, window, true), at(second))) admitted.push_back(second);
    }
    EXPECT_GE(admitted.size(), 7u * 4);
    for (std::size_t i = 7; i < admitted.size(); ++i) EXPECT_GE(admitted[i] - admitted[i - 7], length);
  }
}

TEST(SlidingWindow, SaysWhenThereIsRoomAndThenThereIs) {
  Store store;
  EXPECT_TRUE(store.take(use(2, Window::kMinute, true), at(1'000)));
  EXPECT_TRUE(store.take(use(2, Window::kMinute, true), at(1'030)));
  EXPECT_FALSE(store.take(use(2, Window::kMinute, true), at(1'059)));
  EXPECT_EQ(store.reached.again, at(1'061));
  EXPECT_FALSE(store.take(use(2, Window::kMinute, true), at(1'060)));
  EXPECT_TRUE(store.take(use(2, Window::kMinute, true), at(1'061)));
}

TEST(Clocks, A20ABackwardStepRefillsNothing) {
  for (const bool sliding : {false, true}) {
    Store store;
    EXPECT_TRUE(store.take(use(1, Window::kMinute, sliding), at(120'000)));
    EXPECT_FALSE(store.take(use(1, Window::kMinute, sliding), at(119'000)));
    EXPECT_FALSE(store.take(use(1, Window::kMinute, sliding), at(-5)));
    EXPECT_TRUE(store.take(use(1, Window::kMinute, sliding), at(120'061)));
  }
}

TEST(Amounts, A15H14AddUpInMillionthsAndNeverOverflow) {
  Store store;
  LimitUse tenth = use(1);
  tenth.amount = kMicro / 10;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(store.take(tenth, at(60))) << i;
  EXPECT_FALSE(store.take(tenth, at(60)));
  LimitUse large = use(10);
  large.key = "large";
  large.amount = INT64_MAX;
  EXPECT_FALSE(store.take(large, at(60)));
  EXPECT_EQ(store.reached.again, at(120));
  LimitUse none = use(0);
  none.key = "none";
  EXPECT_FALSE(store.take(none, at(60)));
}

TEST(Reservation, IsAllOrNothing) {
  MemoryStore store;
  std::vector<LimitUse> uses{use(5), use(1)};
  uses[1].key = "other";
  EXPECT_TRUE(std::holds_alternative<Reservation>(*store.reserve(uses, at(60))));
  const auto refused = *store.reserve(uses, at(60));
  EXPECT_EQ(std::get<LimitReached>(refused).use, 1u);
  uses.pop_back();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(std::holds_alternative<Reservation>(*store.reserve(uses, at(60)))) << i;
  EXPECT_FALSE(std::holds_alternative<Reservation>(*store.reserve(uses, at(60))));
}

TEST(GiveBack, A22A23H14GoesToItsOwnWindowOnceAndAtMostMaxTimes) {
  Store store;
  EXPECT_TRUE(store.take(use(2), at(60)));
  Reservation copy = store.last;
  EXPECT_TRUE(store.store.give_back(store.last));
  EXPECT_TRUE(store.last.parts.empty());
  EXPECT_TRUE(store.store.give_back(store.last)) << "nothing is in it any more";
  EXPECT_TRUE(store.take(use(2), at(60)));
  EXPECT_TRUE(store.store.give_back(store.last));
  EXPECT_TRUE(store.take(use(2), at(60)));
  EXPECT_TRUE(store.store.give_back(store.last)) << "the third of this window is not given back";
  EXPECT_TRUE(store.take(use(2), at(60)));
  EXPECT_FALSE(store.take(use(2), at(60)));
  EXPECT_TRUE(store.take(use(1), at(120)));
  EXPECT_TRUE(store.store.give_back(copy)) << "of a window that is over";
  EXPECT_FALSE(store.take(use(1), at(120)));
}

TEST(Keys, A47DoNotCollide) {
  Limit limit;
  limit.counter = "c";
  Limit other = limit;
  other.counter = "1:c";
  std::set<std::string> keys;
  for (const Limit& one : {limit, other}) {
    for (const char* entry : {"/tools/a.b", "/tools/a", "/tools/_global", "/all_tools"}) {
      for (const char* server : {"s", "s1", ""}) {
        for (const char* grant : {"g", "1:g", ""}) keys.insert(limit_key(Scope::kGrant, grant, server, entry, one));
      }
    }
  }
  EXPECT_EQ(keys.size(), 2u * 4 * 3 * 3);
  EXPECT_EQ(limit_key(Scope::kServer, "a", "s", "e", limit), limit_key(Scope::kServer, "b", "s", "e", limit));
  EXPECT_EQ(limit_key(Scope::kAll, "a", "s", "e", limit), limit_key(Scope::kAll, "b", "t", "e", limit));
}

TEST(MemoryStore, A19AdmitsExactlyMaxOfManyThreads) {
  MemoryStore store;
  std::vector<LimitUse> uses{use(100), use(1'000'000)};
  uses[1].key = "other";
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) admitted += std::holds_alternative<Reservation>(*store.reserve(uses, at(60)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 100);
}

TEST(MemoryStore, ForgetsCountersWhoseWindowIsOver) {
  MemoryStore store;
  for (int i = 0; i < 5'000; ++i) {
    LimitUse one = use(1);
    one.key = std::to_string(i);
    EXPECT_TRUE(store.reserve(std::span(&one, 1), at(60 * (i / 100))));
  }
  EXPECT_LT(store.keys(), 1'500u);
}

}  // namespace
}  // namespace sluice::policy

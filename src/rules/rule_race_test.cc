// Rules change while workers match: meant for ThreadSanitizer, and true without it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

constexpr std::size_t kWorkers = 3;
constexpr int kChanges = 300;

// Version N of the one rule: status and body tell the same number, or the rule was torn.
RuleStore::Update version(int n) {
  RuleStore::Update update;
  update.description = std::to_string(n);
  update.matcher = spec(R"({"urlPattern":"/items/[0-9]+$"})").matcher;
  Handler handler;
  handler.type = HandlerType::kMock;
  handler.status = 200 + n;
  handler.body = std::to_string(200 + n);
  update.handler = handler;
  return update;
}

// As proxy::Worker does it: a book of its own, another when the generation says that there is one.
struct Matcher {
  RuleStore& rules;
  std::size_t worker;
  std::uint64_t seen = 0, hits = 0;
  int newest = 0;
  RuleBookPtr book = nullptr;

  void match() {
    if (const std::uint64_t generation = rules.generation(); generation != seen) {
      seen = generation;
      book = rules.book();
    }
    const Request request{.target = "/items/42"};
    const RuleBook::Plan plan = book->match(request.subject());
    ASSERT_NE(plan.stopped, nullptr);
    const RuleSpec& spec = plan.stopped->spec;
    const int status = spec.handler.status.value_or(0);
    EXPECT_EQ(std::to_string(status), spec.handler.body);
    EXPECT_EQ(std::to_string(status - 200), spec.description);
    EXPECT_GE(status, newest) << "never an older book than before";
    newest = status;
    plan.count_hits(worker);
    ++hits;
    EXPECT_TRUE(book->may_answer("example.com"));
  }
};

TEST(RuleRace, WorkersMatchWholeRulesWhileTheyChange) {
  Store store;
  store.add(spec("{}"));
  ASSERT_TRUE(store.rules.update("rule_1", version(0)));
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::size_t> warm{0};
  std::vector<std::thread> threads;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      Matcher matcher{store.rules, worker};
      for (matcher.match(), ++warm; !done; matcher.match()) {
      }
      matcher.match();
      EXPECT_EQ(matcher.newest, 200 + kChanges) << "who asks after the last change sees it";
      hits += matcher.hits;
    });
  }
  // Another caller: rules come and go behind the first, some are refused, all are listed and tried.
  std::thread other([&] {
    const Request request{.target = "/items/42"};
    while (!done) {
      const RulePtr added = store.add(spec(R"({"pathPattern":"^/items"})"));
      EXPECT_NE(store.refusal(spec(R"({"urlPattern":"("})")), "");
      const Json trial = store.rules.book()->test(request.subject(), {});
      EXPECT_EQ(trial["effectiveWinner"]["ruleId"], "rule_1");
      EXPECT_LE(store.rules.list().size(), 2u);
      EXPECT_TRUE(store.rules.remove(added->id()));
      EXPECT_EQ(store.rules.find(added->id()), nullptr);
    }
  });
  while (warm < kWorkers) std::this_thread::yield();
  for (int n = 1; n <= kChanges; ++n) EXPECT_TRUE(store.rules.update("rule_1", version(n)));
  done = true;
  for (std::thread& thread : threads) thread.join();
  other.join();
  EXPECT_EQ(store.rules.find("rule_1")->hits->sum(), hits) << "no hit is lost when a rule is replaced";
  EXPECT_EQ(store.rules.list().size(), 1u);
}

// A plan outlives its book: an exchange may carry it out long after the rule is gone.
TEST(RuleRace, APlanKeepsItsRulesWhenTheyAreRemoved) {
  Store store;
  for (int i = 0; i < 50; ++i) {
    const RulePtr rule = store.add(spec("{}", R"({"type":"mock","status":201,"body":"made"})"));
    std::optional<RuleBook::Plan> plan = store.plan({});
    std::thread removes([&, id = rule->id()] { EXPECT_TRUE(store.rules.remove(id)); });
    EXPECT_EQ(plan->handler()->body, "made");
    plan->count_hits(0);
    removes.join();
    EXPECT_EQ(plan->handler()->status, 201);
    EXPECT_FALSE(store.matches({}));
  }
}

}  // namespace
}  // namespace sluice::rules

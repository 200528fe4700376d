#include "rules/rule_store.h"

#include <gtest/gtest.h>

#include <map>
#include <span>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

std::string order(const RuleStore& rules) {
  std::string all;
  for (const auto& rule : rules.list()) all += rule->id() + " ";
  return all;
}

TEST(RuleStore, NumbersRulesAndNeverReusesANumber) {
  Store store;
  EXPECT_EQ(store.add(spec("{}"))->id(), "rule_1");
  EXPECT_EQ(store.add(spec("{}"))->id(), "rule_2");
  ASSERT_TRUE(store.rules.remove("rule_2"));
  EXPECT_NE(store.refusal(spec(R"({"urlPattern":"("})")), "");
  EXPECT_EQ(store.add(spec("{}"))->id(), "rule_3");
  EXPECT_EQ(order(store.rules), "rule_1 rule_3 ");
  EXPECT_EQ(store.rules.find("rule_2"), nullptr);
  EXPECT_EQ(store.rules.find("rule_3")->created_ms, 1'700'000'000'000);
}

TEST(RuleStore, ARefusedChangeChangesNothing) {
  Store store;
  store.add(spec(R"({"hostname":"example.com"})", R"({"type":"mock"})"));
  const auto book = store.rules.book();
  const auto generation = store.rules.generation();
  EXPECT_NE(store.refusal(spec(R"j({"pathPattern":"(?=x)"})j")), "");
  RuleStore::Update update;
  update.description = "new";
  update.matcher = spec(R"({"urlPattern":"["})").matcher;
  const auto refused = store.rules.update("rule_1", update);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "matcher.urlPattern: a character class is not closed: ']' is missing");
  EXPECT_EQ(store.rules.book(), book);
  EXPECT_EQ(store.rules.generation(), generation);
  EXPECT_EQ(store.rules.find("rule_1")->spec.description, "");
  EXPECT_TRUE(store.matches({}));
}

TEST(RuleStore, UpdatesReplaceWhatIsGivenAndKeepPlaceHitsAndBirth) {
  Store store;
  store.add(spec(R"({"method":"GET"})"));
  store.add(spec("{}"));
  store.plan({}).count_hits(0);
  store.clock.advance(std::chrono::seconds(5));
  const auto before = store.rules.generation();
  RuleStore::Update update;
  update.handler = spec("{}", R"({"type":"drop"})").handler;
  const auto changed = store.rules.update("rule_1", update);
  ASSERT_TRUE(changed);
  EXPECT_EQ((*changed)->spec.matcher.method, "GET");
  EXPECT_EQ((*changed)->created_ms, 1'700'000'000'000);
  EXPECT_EQ((*changed)->hits->sum(), 1U);
  EXPECT_GT(store.rules.generation(), before);
  EXPECT_EQ(order(store.rules), "rule_1 rule_2 ");
  EXPECT_EQ(store.plan({}).action(), HandlerType::kDrop);
  RuleStore::Update off;
  off.enabled = false;
  ASSERT_TRUE(store.rules.update("rule_1", off));
  EXPECT_EQ(store.plan({}).stopped->id(), "rule_2");
}

// Keeps rules as a database would, until it is told to fail.
struct FakeArchive final : RuleArchive {
  std::map<std::int64_t, SavedRule> rows;
  std::int64_t next = 1;
  bool full = false;
  Status change(std::span<SavedRule> save, std::span<const std::int64_t> remove) override {
    if (full) return fail(Code::kIo, "the disk is full: make room");
    for (SavedRule& rule : save) {
      if (rule.row == 0) rule.row = next++;
      rows[rule.row] = rule;
    }
    for (const std::int64_t row : remove) rows.erase(row);
    return {};
  }
  Result<std::vector<SavedRule>> load(std::vector<std::string>&) override {
    std::vector<SavedRule> all;
    for (const auto& [row, rule] : rows) all.push_back(rule);
    return all;
  }
};

struct SavingStore : Store {
  FakeArchive archive;
  SavingStore() {
    std::vector<std::string> problems;
    EXPECT_TRUE(rules.restore(archive, problems));
    EXPECT_TRUE(problems.empty());
  }
  std::string saved() const {
    std::string all;
    for (const auto& [row, rule] : archive.rows) all += "rule_" + std::to_string(rule.number) + " ";
    return all;
  }
};

RuleSpec kept(std::string_view matcher = "{}") {
  RuleSpec made = spec(matcher);
  made.persist = true;
  return made;
}

TEST(RuleStore, SavesWhatPersistsAndForgetsWhatDoesNotAnyMore) {
  SavingStore store;
  store.add(kept());
  store.add(spec("{}"));
  store.add(kept());
  EXPECT_EQ(store.saved(), "rule_1 rule_3 ");
  RuleStore::Update update;
  update.persist = false;
  ASSERT_TRUE(store.rules.update("rule_1", update));
  update.persist = true;
  ASSERT_TRUE(store.rules.update("rule_2", update));
  EXPECT_EQ(store.saved(), "rule_3 rule_2 ");
  ASSERT_TRUE(store.rules.remove("rule_3"));
  EXPECT_EQ(store.saved(), "rule_2 ");
  std::vector<std::string> problems;
  RuleStore again(store.clock);
  ASSERT_EQ(again.restore(store.archive, problems), 1U);
  EXPECT_EQ(order(again), "rule_2 ");
  EXPECT_EQ((*again.add(spec("{}")))->id(), "rule_3");
}

TEST(RuleStore, AChangeThatCannotBeSavedIsNone) {
  SavingStore store;
  store.add(kept());
  store.add(spec("{}"));
  store.archive.full = true;
  const auto generation = store.rules.generation();
  EXPECT_EQ(store.refusal(kept()), "the disk is full: make room");
  EXPECT_FALSE(store.rules.import({spec("{}"), kept()}, true));
  EXPECT_FALSE(store.rules.remove("rule_1"));
  RuleStore::Update update;
  update.enabled = false;
  EXPECT_FALSE(store.rules.update("rule_1", update));
  update.persist = true;
  EXPECT_FALSE(store.rules.update("rule_2", update));
  EXPECT_EQ(store.rules.generation(), generation);
  EXPECT_EQ(order(store.rules), "rule_1 rule_2 ");
  EXPECT_TRUE(store.rules.find("rule_1")->spec.enabled);
  EXPECT_FALSE(store.rules.find("rule_2")->spec.persist);
  store.archive.full = false;
  EXPECT_EQ(store.add(spec("{}"))->id(), "rule_3");
}

TEST(RuleStore, WithoutAnArchiveNothingPersists) {
  Store store;
  EXPECT_EQ(store.refusal(kept()), "there is no place to save rules: leave persist out");
  EXPECT_TRUE(store.rules.list().empty());
}

TEST(RuleStore, ImportsAllOrNone) {
  SavingStore store;
  store.add(kept());
  const auto refused = store.rules.import({spec("{}"), spec(R"({"urlPattern":"("})")}, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.substr(0, 30), "rules[1]: matcher.urlPattern: ");
  EXPECT_EQ(order(store.rules), "rule_1 ");
  const auto more = store.rules.import({spec("{}"), kept()}, false);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->removed, 0U);
  EXPECT_EQ(order(store.rules), "rule_1 rule_2 rule_3 ");
  EXPECT_EQ(store.saved(), "rule_1 rule_3 ");
  const auto other = store.rules.import({spec("{}")}, true);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->removed, 3U);
  EXPECT_EQ(order(store.rules), "rule_4 ");
  EXPECT_EQ(store.saved(), "");
}

TEST(RuleStore, UnknownRulesAreNamed) {
  Store store;
  const auto updated = store.rules.update("rule_9", {});
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Code::kNotFound);
  EXPECT_EQ(updated.error().message, "Rule 'rule_9' not found");
  EXPECT_EQ(store.rules.remove("x").error().message, "Rule 'x' not found");
}

TEST(RuleStore, RefusesWhatCouldNotWork) {
  Store store;
  const auto refused = [&](std::string_view matcher, std::string_view handler) {
    const std::string why = store.refusal(spec(matcher, handler));
    EXPECT_NE(why, "") << matcher << handler;
    return why;
  };
  constexpr std::string_view kPass = R"({"type":"passthrough"})";
  EXPECT_EQ(refused(R"({"hostname":"*.example.com"})", kPass),
            "matcher.hostname is one exact name; for *.example.com use hostPattern");
  refused(R"({"hostname":"example.com:443"})", kPass);
  refused(R"({"hostname":"https://example.com"})", kPass);
  refused(R"({"hostname":"exa mple"})", kPass);
  refused(R"({"hostname":"."})", kPass);
  EXPECT_NE(refused(R"({"hostname":"bücher.example"})", kPass).find("xn--"), std::string::npos);
  refused(R"({"hostPattern":"a.*.com"})", kPass);
  refused(R"({"hostPattern":"*."})", kPass);
  refused(R"({"hostPattern":"*example.com"})", kPass);
  EXPECT_EQ(refused(R"({"hostname":"a.example.com","hostPattern":"*.other.com"})", kPass),
            "matcher.hostname and matcher.hostPattern exclude each other: no host is both");
  refused(R"({"hostname":"a.example.com","hostPattern":"example.com"})", kPass);
  refused(R"({"protocol":"websocket","bodyIncludes":"x"})", kPass);
  refused(R"({"method":"GET POST"})", kPass);
  refused(R"({"headers":{"a b":"c"}})", kPass);
  refused("{}", R"({"type":"forward"})");
  EXPECT_EQ(refused("{}", R"({"type":"forward","forwardTo":"b.example/path"})"),
            "handler.forwardTo: a path is not allowed: the request keeps its own path and query");
  EXPECT_NE(refused("{}", R"({"type":"mock","status":101})").find("1xx"), std::string::npos);
  refused("{}", R"({"type":"mock","status":600})");
  refused("{}", R"({"type":"mock","status":0})");
  EXPECT_EQ(refused("{}", "{\"type\":\"mock\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}"),
            "handler.headers.a holds a line break or NUL: no header value can");
  refused("{}", R"({"type":"mock","headers":{"a:":"b"}})");
  refused("{}", R"({"type":"passthrough","transformRequest":{"updateHeaders":{"a":"\n"}}})");
  refused("{}", R"({"type":"passthrough","transformRequest":{"updateHeaders":{"Content-Length":"5"}}})");
  refused("{}", R"({"type":"passthrough","transformResponse":{"updateHeaders":{"transfer-encoding":null}}})");
  refused("{}", R"({"type":"passthrough","transformRequest":{"replaceMethod":"CONNECT"}})");
  refused("{}", R"({"type":"passthrough","transformRequest":{"replaceMethod":"GET /x"}})");
  refused("{}", R"({"type":"passthrough","transformResponse":{"replaceStatus":100}})");
  RuleSpec mock = spec("{}", R"({"type":"mock"})");
  mock.on_match = OnMatch::kContinue;
  EXPECT_NE(store.refusal(mock), "");
  RuleSpec nan = spec("{}");
  nan.priority = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(store.refusal(nan), "");
  EXPECT_TRUE(store.rules.list().empty());
}

}  // namespace
}  // namespace sluice::rules

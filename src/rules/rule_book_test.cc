#include "rules/rule_book.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

bool matches(std::string_view matcher, const Request& request) {
  Store store;
  store.add(spec(matcher));
  return store.matches(request);
}

TEST(Matcher, EmptyMatchesEverything) {
  EXPECT_TRUE(matches("{}", {}));
  EXPECT_TRUE(matches(R"({"method":"","urlPattern":"","hostname":null,"bodyIncludes":""})", {}));
}

TEST(Matcher, AnyMethodInAnyCase) {
  EXPECT_TRUE(matches(R"({"method":"post"})", {.method = "POST"}));
  EXPECT_TRUE(matches(R"({"method":"PROPFIND"})", {.method = "PROPFIND"}));
  EXPECT_FALSE(matches(R"({"method":"PROPFIND","urlPattern":"zzz"})", {.method = "PROPFIND", .target = "/y"}));
  EXPECT_FALSE(matches(R"({"method":"GET"})", {.method = "POST"}));
}

TEST(Matcher, UrlPatternSeesTheAbsoluteUrlAndThePath) {
  EXPECT_TRUE(matches(R"({"urlPattern":"^https://example\\.com/a\\?b=1$"})", {.target = "/a?b=1"}));
  EXPECT_TRUE(matches(R"({"urlPattern":"^/a\\?b"})", {.target = "/a?b=1"}));
  EXPECT_TRUE(matches(R"({"method":"GET","urlPattern":"^/a"})", {.target = "/a"}));
  EXPECT_TRUE(matches(R"({"urlPattern":"example\\.com:8443/"})", {.port = 8443}));
  EXPECT_FALSE(matches(R"({"urlPattern":":443"})", {.port = 443}));
  EXPECT_TRUE(matches(R"({"urlPattern":"^http://\\[::1\\]:8080/x$"})",
                      {.scheme = "http", .host = "::1", .target = "/x", .port = 8080}));
  EXPECT_TRUE(matches(R"({"urlPattern":"^https://example.com$"})", {.method = "OPTIONS", .target = "*"}));
  EXPECT_FALSE(matches(R"({"urlPattern":"^/b"})", {.target = "/a/b"}));
}

TEST(Matcher, SeesOctetsThatAreNotUtf8AsReplacement) {
  EXPECT_TRUE(matches(R"({"urlPattern":"/a.b$"})", {.target = "/a\xff"
                                                              "b"}));
  EXPECT_TRUE(matches(R"({"pathPattern":"^/a\\uFFFDb$"})", {.target = "/a\xff"
                                                                      "b"}));
}

TEST(Matcher, HostnameIsExactInAnyCase) {
  EXPECT_TRUE(matches(R"({"hostname":"Example.COM"})", {}));
  EXPECT_TRUE(matches(R"({"hostname":"example.com."})", {}));
  EXPECT_TRUE(matches(R"({"hostname":"example.com"})", {.host = "example.com."}));
  EXPECT_FALSE(matches(R"({"hostname":"example.com"})", {.host = "www.example.com"}));
  EXPECT_TRUE(matches(R"({"hostname":"[::1]"})", {.host = "::1"}));
}

TEST(Matcher, HostPatternGoesByLabels) {
  EXPECT_TRUE(matches(R"({"hostPattern":"*.example.com"})", {.host = "a.b.example.com"}));
  EXPECT_TRUE(matches(R"({"hostPattern":"*.Example.com"})", {.host = "example.com"}));
  EXPECT_FALSE(matches(R"({"hostPattern":"*.example.com"})", {.host = "notexample.com"}));
  EXPECT_FALSE(matches(R"({"hostPattern":"*.example.com"})", {.host = "example.com.evil"}));
  EXPECT_TRUE(matches(R"({"hostPattern":"example.com"})", {.host = "example.com"}));
  EXPECT_FALSE(matches(R"({"hostPattern":"example.com"})", {.host = "a.example.com"}));
  EXPECT_TRUE(matches(R"({"hostPattern":"*"})", {.host = "whatever"}));
  EXPECT_TRUE(matches(R"({"hostname":"a.example.com","hostPattern":"*.example.com"})", {.host = "a.example.com"}));
  EXPECT_FALSE(matches(R"({"hostname":"a.example.com","hostPattern":"*.example.com"})", {.host = "b.example.com"}));
}

TEST(Matcher, PathPatternSeesPathAndQueryOnly) {
  EXPECT_TRUE(matches(R"({"pathPattern":"^/a\\?q=1$"})", {.target = "/a?q=1"}));
  EXPECT_FALSE(matches(R"({"pathPattern":"example"})", {.target = "/a"}));
  EXPECT_TRUE(matches(R"({"pathPattern":"^/a$"})", {.target = "http://example.com/a"}));
  EXPECT_FALSE(matches(R"({"urlPattern":"/a","pathPattern":"/b"})", {.target = "/a"}));
  EXPECT_TRUE(matches(R"({"urlPattern":"/a","pathPattern":"/b"})", {.target = "/a/b"}));
}

TEST(Matcher, HeadersComparesEachValueAndTheJoined) {
  const Request request = Request().header("X-A", "1").header("x-a", "2").header("Other", "");
  EXPECT_TRUE(matches(R"({"headers":{"x-A":"1"}})", request));
  EXPECT_TRUE(matches(R"({"headers":{"x-a":"2"}})", request));
  EXPECT_TRUE(matches(R"({"headers":{"x-a":"1, 2"}})", request));
  EXPECT_FALSE(matches(R"({"headers":{"x-a":"3"}})", request));
  EXPECT_FALSE(matches(R"({"headers":{"x-a":"1","x-b":"1"}})", request));
  EXPECT_TRUE(matches(R"({"headers":{"other":""}})", request));
  EXPECT_FALSE(matches(R"({"headers":{"absent":""}})", request));
}

TEST(Matcher, BodyIncludesAsksForTheBodyOnlyWhereItDecides) {
  Store store;
  store.add(spec(R"({"hostname":"example.com","bodyIncludes":"needle"})"));
  EXPECT_FALSE(store.plan({.host = "other.com", .body = std::nullopt}).needs_body);
  EXPECT_TRUE(store.plan({.body = std::nullopt}).needs_body);
  EXPECT_TRUE(store.matches({.body = "a needle here"}));
  EXPECT_FALSE(store.matches({.body = "hay"}));
  EXPECT_FALSE(store.plan({.body = ""}).needs_body);
}

TEST(Matcher, ABodyConditionBehindADecisionIsNotAsked) {
  Store store;
  store.add(spec("{}", R"({"type":"drop"})"));
  store.add(spec(R"({"bodyIncludes":"x"})"));
  const auto plan = store.plan({.body = std::nullopt});
  EXPECT_FALSE(plan.needs_body);
  EXPECT_EQ(plan.action(), HandlerType::kDrop);
}

TEST(RuleBook, SmallestPriorityFirstThenInsertion) {
  Store store;
  const auto add = [&](double priority) {
    RuleSpec made = spec("{}");
    made.priority = priority;
    return store.add(std::move(made))->id();
  };
  const auto late = add(100);
  const auto later = add(100);
  EXPECT_EQ(store.plan({}).stopped->id(), late);
  const auto first = add(-0.5);
  EXPECT_EQ(store.plan({}).stopped->id(), first);
  std::vector<std::string> order;
  for (const auto& rule : store.rules.list()) order.push_back(rule->id());
  EXPECT_EQ(order, (std::vector<std::string>{first, late, later}));
}

TEST(RuleBook, ContinueRulesApplyAndTheSearchGoesOn) {
  Store store;
  RuleSpec global = spec("{}", R"({"type":"passthrough","transformRequest":{"updateHeaders":{"a":"1"}}})");
  global.on_match = OnMatch::kContinue;
  store.add(global);
  EXPECT_EQ(store.plan({}).action(), HandlerType::kPassthrough);
  EXPECT_EQ(store.plan({}).handler(), nullptr);
  store.add(spec("{}", R"({"type":"mock"})"));
  global.priority = 1000;
  store.add(global);
  const auto plan = store.plan({});
  ASSERT_EQ(plan.applied.size(), 2U);
  EXPECT_EQ(plan.stopped, plan.applied[1]);
  EXPECT_EQ(plan.action(), HandlerType::kMock);
  EXPECT_TRUE(plan.edits_request_head());
  EXPECT_FALSE(plan.edits_request_body());
  plan.count_hits(3);
  plan.count_hits(11);
  EXPECT_EQ(store.rules.find("rule_1")->hits->sum(), 2U);
  EXPECT_EQ(store.rules.find("rule_3")->hits->sum(), 0U);
}

TEST(RuleBook, DisabledRulesDoNothing) {
  Store store;
  RuleSpec off = spec("{}", R"({"type":"drop"})");
  off.enabled = false;
  store.add(off);
  EXPECT_TRUE(store.rules.book()->empty());
  EXPECT_FALSE(store.matches({}));
  EXPECT_FALSE(store.rules.book()->may_answer("example.com"));
}

TEST(RuleBook, SaysWhichHostsItMayAnswerFor) {
  const auto may = [](std::string_view matcher, std::string_view handler, std::string_view host) {
    Store store;
    store.add(spec(matcher, handler));
    return store.rules.book()->may_answer(host);
  };
  constexpr std::string_view kMock = R"({"type":"mock"})";
  constexpr std::string_view kForward = R"({"type":"forward","forwardTo":"b.example"})";
  EXPECT_FALSE(may("{}", R"({"type":"passthrough"})", "a.example"));
  EXPECT_TRUE(may("{}", kMock, "a.example"));
  EXPECT_TRUE(may("{}", R"({"type":"drop"})", "a.example"));
  EXPECT_TRUE(may(R"({"hostname":"A.example"})", kForward, "a.example"));
  EXPECT_FALSE(may(R"({"hostname":"a.example"})", kForward, "b.example"));
  EXPECT_TRUE(may(R"({"hostPattern":"*.example"})", kMock, "a.example"));
  EXPECT_FALSE(may(R"({"hostPattern":"*.example"})", kMock, "example.org"));
  EXPECT_TRUE(may(R"({"urlPattern":"a\\.example/x"})", kMock, "other.example"));  // ?u=a.example/x
  EXPECT_TRUE(may(R"({"urlPattern":"^/x"})", kMock, "other.example"));
  EXPECT_TRUE(may(R"({"urlPattern":"^https://a\\.example/"})", kMock, "a.example"));
  EXPECT_FALSE(may(R"({"urlPattern":"^https://a\\.example/"})", kMock, "b.example"));
  EXPECT_TRUE(may(R"({"urlPattern":"^https?://a\\.example/"})", kMock, "a.example"));
}

TEST(RuleBook, KeepsAPlanAliveWhenTheRulesChange) {
  Store store;
  store.add(spec("{}", R"({"type":"mock","body":"kept"})"));
  const auto plan = store.plan({});
  ASSERT_TRUE(store.rules.remove("rule_1"));
  EXPECT_EQ(plan.handler()->body, "kept");
}

// The automaton must say exactly what each rule says alone.
TEST(RuleBook, ManyPatternsMatchAsEachDoesAlone) {
  std::vector<std::string> matchers;
  for (int i = 0; i < 60; ++i) {
    const std::string n = std::to_string(i);
    matchers.push_back(R"({"urlPattern":"/item/)" + n + R"($"})");
    matchers.push_back(R"({"urlPattern":"^/item/)" + n + R"("})");
    matchers.push_back(R"({"pathPattern":"^/item/.*)" + n + R"(","method":"POST"})");
    matchers.push_back(R"({"urlPattern":"\\bitem\\b","pathPattern":")" + n + R"("})");
    matchers.push_back(R"({"hostname":"h)" + n + R"(.example","urlPattern":"item"})");
    matchers.push_back(R"({"hostPattern":"*.example","urlPattern":")" + n + R"($"})");
  }
  Store all;
  for (const auto& matcher : matchers) {
    RuleSpec made = spec(matcher);
    made.on_match = OnMatch::kContinue;
    all.add(made);
  }
  for (const char* target : {"/item/7", "/item/17?x=/item/3", "/", "/x/item/59"}) {
    for (const char* host : {"h7.example", "other.org"}) {
      for (const char* method : {"GET", "POST"}) {
        const Request request{.method = method, .host = host, .target = target};
        std::vector<std::string> together, alone;
        for (const auto& rule : all.plan(request).applied) together.push_back(rule->id());
        for (std::size_t i = 0; i < matchers.size(); ++i) {
          if (matches(matchers[i], request)) alone.push_back("rule_" + std::to_string(i + 1));
        }
        EXPECT_EQ(together, alone) << method << " " << host << target;
      }
    }
  }
}

// A book takes over what has not changed of the one before it: it must say what a book made anew says.
TEST(RuleBook, SaysAfterAnyChangesWhatABookMadeAnewSays) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto any_spec = [&] {
    const std::string n = std::to_string(below(12));
    const std::vector<std::string> conditions{
        R"({"urlPattern":"/item/)" + n + R"($"})", R"({"pathPattern":"^/item/.*)" + n + R"("})",
        R"({"hostname":"h)" + n + R"(.example","urlPattern":"item"})",
        R"({"hostPattern":"*.example","pathPattern":")" + n + R"($"})", R"({"method":"GET"})"};
    RuleSpec made = spec(conditions[static_cast<std::size_t>(below(5))]);
    made.on_match = OnMatch::kContinue;
    made.priority = below(4);
    return made;
  };
  const auto ids = [](const RuleBook& book, const Request& request) {
    std::string all;
    for (const auto& rule : book.match(request.subject()).applied) all += rule->id() + " ";
    return all;
  };
  Store store;
  for (int change = 0; change < 500; ++change) {
    const auto rules = store.rules.list();
    const std::string id =
        rules.empty() ? "" : rules[static_cast<std::size_t>(below(static_cast<int>(rules.size())))]->id();
    RuleStore::Update update;
    switch (rules.size() > 150 ? 0 : below(5)) {
      case 0:
        if (!id.empty()) ASSERT_TRUE(store.rules.remove(id));
        break;
      case 1:
        update.enabled = below(2) == 0;
        if (!id.empty()) ASSERT_TRUE(store.rules.update(id, update));
        break;
      case 2:
        update.priority = below(4);
        update.matcher = any_spec().matcher;
        if (!id.empty()) ASSERT_TRUE(store.rules.update(id, update));
        break;
      default:
        store.add(any_spec());
    }
    const std::string n = std::to_string(below(12));
    const Request request{.host = below(2) ? "h" + n + ".example" : "other.org", .target = "/item/" + n};
    std::vector<RulePtr> now = store.rules.list();
    std::sort(now.begin(), now.end(), [](const auto& a, const auto& b) { return a->number < b->number; });
    const auto anew = RuleBook::compile(std::move(now));
    ASSERT_TRUE(anew);
    ASSERT_EQ(ids(*store.rules.book(), request), ids(**anew, request)) << "after change " << change;
  }
}

TEST(RuleBook, HoldsTenThousandUrlPatterns) {
  std::vector<RulePtr> rules;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    auto rule = std::make_shared<Rule>();
    rule->number = i + 1;
    rule->spec.matcher.url_pattern =
        R"(^https?://host)" + std::to_string(i) + R"(\.example\.com/api/v\d+/users/[0-9a-f]+)";
    rules.push_back(rule);
  }
  const auto book = RuleBook::compile(rules);
  ASSERT_TRUE(book) << book.error().message;
  const Request request{.host = "host9999.example.com", .target = "/api/v2/users/abc"};
  EXPECT_EQ((*book)->match(request.subject()).stopped->number, 10'000U);
  EXPECT_EQ((*book)->match(Request{.target = "/nothing"}.subject()).stopped, nullptr);
}

TEST(RuleBook, NamesTheRuleThatCannotBeCompiled) {
  auto rule = std::make_shared<Rule>();
  rule->number = 7;
  rule->spec.matcher.url_pattern = "(";
  const auto book = RuleBook::compile({rule});
  ASSERT_FALSE(book);
  EXPECT_EQ(book.error().message, "rule_7: matcher.urlPattern: a group is not closed: ')' is missing");
}

TEST(RuleBook, RefusesMoreThanItsLimits) {
  const auto refused = [](const RuleSpec& spec, std::size_t count) {
    auto rule = std::make_shared<Rule>();
    rule->spec = spec;
    const auto book = RuleBook::compile(std::vector<RulePtr>(count, rule));
    return !book && book.error().code == Code::kTooLarge;
  };
  RuleSpec made;
  EXPECT_TRUE(refused(made, kMaxRules + 1));
  made.matcher.url_pattern = "a{900}";
  EXPECT_TRUE(refused(made, 1200));
  made.matcher.url_pattern = "";
  made.description = std::string(1 << 20, 'x');
  EXPECT_TRUE(refused(made, 257));
  EXPECT_FALSE(refused(made, 255));
}

}  // namespace
}  // namespace sluice::rules

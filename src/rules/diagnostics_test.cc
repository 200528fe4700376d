#include "rules/diagnostics.h"

#include <gtest/gtest.h>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

TEST(Diagnostics, HasTheContractsShape) {
  Store store;
  RuleSpec made =
      spec(R"({"method":"POST","hostname":"Example.com","headers":{"X-A":"1","X-B":"2"}})", R"({"type":"mock"})");
  made.description = "d";
  store.add(made);
  const Request request = Request{.method = "get", .target = "/p?q"}.header("x-a", "1").header("X-B", "3");
  EXPECT_EQ(
      dump_json(store.rules.book()->test(request.subject(), {})),
      R"({"request":{"method":"GET","url":"https://example.com/p?q","hostname":"example.com","path":"/p?q",)"
      R"("headers":{"x-a":"1","x-b":"3"},"body":""},"includeDisabled":true,"evaluatedCount":1,"totalRules":1,"results":[)"
      R"({"ruleId":"rule_1","enabled":true,"priority":100,"description":"d","matched":false,"eligible":false,"checks":{)"
      R"("method":{"applies":true,"passed":false,"expected":"POST","actual":"GET","reason":"HTTP method mismatch"},)"
      R"("urlPattern":{"applies":false,"passed":true},)"
      R"("hostname":{"applies":true,"passed":true,"expected":"example.com","actual":"example.com"},)"
      R"("pathPattern":{"applies":false,"passed":true},)"
      R"("headers":{"applies":true,"passed":false,"expected":{"x-a":"1","x-b":"2"},"actual":{"x-a":"1","x-b":"3"},)"
      R"("reason":"Required headers missing or mismatched","mismatch":[{"header":"x-b","expected":"2","actual":"3"}]},)"
      R"("bodyIncludes":{"applies":false,"passed":true}}}],"matchedCount":0,"effectiveMatchCount":0,)"
      R"("effectiveWinner":null})");
}

TEST(Diagnostics, GivesTheContractsReasons) {
  Store store;
  store.add(spec(R"({"urlPattern":"zzz","hostname":"other.org","pathPattern":"yyy","headers":{"a":"b"},)"
                 R"("bodyIncludes":"needle","hostPattern":"*.org"})"));
  Request request;
  request.body = std::string(199, 'x') + "éé";
  const Json result = store.rules.book()->test(request.subject(), {});
  const Json& checks = result["results"][0]["checks"];
  EXPECT_EQ(checks["urlPattern"]["reason"], "URL does not match regex");
  EXPECT_EQ(checks["hostname"]["reason"], "Hostname mismatch");
  EXPECT_EQ(checks["pathPattern"]["reason"], "Path does not match regex");
  EXPECT_EQ(checks["headers"]["mismatch"][0]["actual"], Json());
  EXPECT_EQ(checks["bodyIncludes"]["reason"], "Body does not include required substring");
  EXPECT_EQ(checks["bodyIncludes"]["actual"], std::string(199, 'x') + "é...");
  EXPECT_EQ(checks["hostPattern"]["reason"], "Hostname mismatch");
}

TEST(Diagnostics, CountsAndTheWinnerAreWhatLiveMatchingDoes) {
  Store store;
  RuleSpec off = spec("{}", R"({"type":"drop"})");
  off.enabled = false;
  store.add(off);
  RuleSpec global = spec("{}");
  global.on_match = OnMatch::kContinue;
  store.add(global);
  store.add(spec(R"({"method":"GET"})", R"({"type":"mock"})"));
  store.add(spec("{}"));
  const Request request;
  const auto book = store.rules.book();
  const Json all = book->test(request.subject(), {});
  EXPECT_EQ(all["evaluatedCount"], 4);
  EXPECT_EQ(all["matchedCount"], 4);
  EXPECT_EQ(all["effectiveMatchCount"], 3);
  EXPECT_EQ(dump_json(all["effectiveWinner"]),
            R"({"ruleId":"rule_3","priority":100,"description":"","handlerType":"mock"})");
  EXPECT_EQ(book->match(request.subject()).stopped->id(), "rule_3");
  EXPECT_EQ(all["results"][1]["on_match"], "continue");
  const Json few = book->test(request.subject(), {.include_disabled = false, .limit_rules = 1});
  EXPECT_EQ(few["evaluatedCount"], 1);
  EXPECT_EQ(few["totalRules"], 4);
  EXPECT_EQ(few["results"][0]["ruleId"], "rule_2");
  EXPECT_EQ(few["effectiveWinner"]["ruleId"], "rule_3");
  EXPECT_EQ(book->test(request.subject(), {.limit_rules = 0})["evaluatedCount"], 0);
}

TEST(Diagnostics, TheGivenUrlIsTheOneTested) {
  Store store;
  store.add(spec(R"({"urlPattern":"^http://given/$"})"));
  const Request request;
  auto subject = request.subject();
  subject.url = "http://given/";
  const Json result = store.rules.book()->test(subject, {});
  EXPECT_EQ(result["request"]["url"], "http://given/");
  EXPECT_EQ(result["matchedCount"], 1);
}

}  // namespace
}  // namespace sluice::rules

#include "policy/result_filter.h"

#include <gtest/gtest.h>

#include "policy/engine.h"
#include "policy/explain.h"

namespace sluice::policy {
namespace {

std::string masked(std::string_view path, std::string_view text) {
  ResultRules rules;
  rules.redact.push_back({std::string(path), ""});
  auto compiled = CompiledResult::compile(rules, "/tools/t");
  EXPECT_TRUE(compiled) << path;
  ResultFilter filter;
  filter.add(*compiled);
  Json value = *parse_json(text);
  filter.redact(value);
  std::string out = dump_json(value);
  const std::string mark = "\"" + std::string(kRedactedByPolicy) + "\"";
  for (std::size_t at; (at = out.find(mark)) != std::string::npos;) out.replace(at, mark.size(), "X");
  return out;
}

TEST(JsonPath, PointsAtWhatItSays) {
  const struct {
    std::string_view path, text, result;
  } rows[] = {
      {"$.a", R"({"a":1,"b":{"a":2}})", R"({"a":X,"b":{"a":2}})"},
      {"$..a", R"({"a":1,"b":[{"a":2},{"c":{"a":[3]}}]})", R"({"a":X,"b":[{"a":X},{"c":{"a":X}}]})"},
      {"$..a", R"({"a":{"a":1}})", R"({"a":X})"},
      {"$..a.b", R"({"a":{"b":1,"a":{"b":2,"c":3}}})", R"({"a":{"b":X,"a":{"b":X,"c":3}}})"},
      {"$['a.b']", R"({"a.b":1,"a":{"b":2}})", R"({"a.b":X,"a":{"b":2}})"},
      {"$[\"a'b\"].c", R"({"a'b":{"c":1}})", R"({"a'b":{"c":X}})"},
      {"$.list[1].x", R"({"list":[{"x":1},{"x":2}]})", R"({"list":[{"x":1},{"x":X}]})"},
      {"$.list[*].x", R"({"list":[{"x":1},{"x":2},3]})", R"({"list":[{"x":X},{"x":X},3]})"},
      {"$.a.*", R"({"a":{"b":1,"c":2},"d":3})", R"({"a":{"b":X,"c":X},"d":3})"},
      {"$..[0]", R"({"a":[1,[2,3]]})", R"({"a":[X,[X,3]]})"},
      {"$..['a']", R"({"b":{"a":1}})", R"({"b":{"a":X}})"},
      {"$.none", R"({"a":1})", R"({"a":1})"},
      {"$.a[7]", R"({"a":[1]})", R"({"a":[1]})"},
  };
  for (const auto& row : rows) EXPECT_EQ(masked(row.path, row.text), row.result) << row.path;
}

TEST(JsonPath, WhatItDoesNotKnowIsRefused) {
  for (const std::string_view path :
       {"", "a", "$", "$.", "$..", "$a", "$.a b", "$[", "$[]", "$[-1]", "$[1:2]", "$[?(@.a)]", "$['a", "$['a'",
        "$['a\\'b']", "$.a[", "$...a", "$[99999999999999999999]", "$.a]"}) {
    EXPECT_FALSE(JsonPath::parse(path)) << path;
  }
}

TEST(JsonPath, ManyDescentsIntoADeepValueEndSoon) {
  std::string deep = "1";
  for (int i = 0; i < 60; ++i) deep = "{\"a\":" + deep + ",\"b\":0}";
  std::string path = "$";
  for (int i = 0; i < 30; ++i) path += "..a";
  EXPECT_NE(masked(path, deep).find('X'), std::string::npos);
}

ResultFilter filter_of(ResultRules rules) {
  ResultFilter filter;
  filter.add(*CompiledResult::compile(rules, "/tools/t"));
  return filter;
}

TEST(ResultFilter, PatternsSeeTextsNamesAndNumbers) {
  ResultRules rules;
  rules.redact.push_back({"", "sk_live_[A-Za-z0-9]+"});
  rules.redact.push_back({"", "41{12}"});
  Json value = *parse_json(
      R"({"a":"x sk_live_A1 y sk_live_B2","sk_live_key":1,"sk_live_kez":2,"n":4111111111111,"l":["sk_live_C3",true,null]})");
  EXPECT_EQ(filter_of(rules).redact(value), 6u);
  const std::string text = dump_json(value);
  EXPECT_EQ(text.find("sk_live"), std::string::npos) << text;
  EXPECT_EQ(text.find("4111"), std::string::npos);
  EXPECT_EQ(value["a"], "x [redacted by policy] y [redacted by policy]");
  EXPECT_EQ(value.size(), 5u) << "two names that look alike stay two";
}

TEST(ResultFilter, BlocksSeeTextsNamesNumbersAndTheWhole) {
  ResultRules rules;
  rules.block.push_back({Operator::kContains, "BEGIN PRIVATE KEY", "key in answer"});
  rules.block.push_back({Operator::kRegex, "^9{4}$", ""});
  rules.block.push_back({Operator::kContains, "\"role\":\"admin\"", ""});
  const ResultFilter filter = filter_of(rules);
  EXPECT_FALSE(filter.blocked(Json{{"a", "b"}, {"n", 99990}}));
  EXPECT_EQ(filter.blocked(Json{{"a", Json::array({"-----BEGIN PRIVATE KEY-----\n"})}})->message, "key in answer");
  EXPECT_EQ(filter.blocked(Json{{"BEGIN PRIVATE KEY", 1}})->rule, "/tools/t/result/block/0");
  EXPECT_EQ(filter.blocked(Json{{"n", 9999}})->rule, "/tools/t/result/block/1");
  EXPECT_EQ(filter.blocked(Json{{"u", {{"role", "admin"}}}})->rule, "/tools/t/result/block/2");
  EXPECT_EQ(filter.blocked_text("a BEGIN PRIVATE KEY")->message, "key in answer");
}

TEST(ResultFilter, EveryEntryThatAppliesCountsAndOthersDoNot) {
  Parsed parsed = parse_policy(R"({"version":"1","default":"allow","tools":{
    "a":{"result":{"redact":[{"path":"$.one"}],"max_bytes":500}},
    "*":{"result":{"redact":[{"path":"$.two"}],"max_bytes":200}},
    "risk:write":{"result":{"redact":[{"path":"$.three"}]}},
    "b":{"result":{"raw":true}}}})");
  ASSERT_TRUE(parsed.document);
  EXPECT_TRUE(unenforced(*parsed.document).empty());
  const auto engine = *Engine::compile(*std::move(parsed.document));
  const auto run = [&](const std::shared_ptr<const ResultFilter>& filter) {
    Json value = {{"one", 1}, {"two", 2}, {"three", 3}};
    filter->redact(value);
    std::string left;
    for (const auto& [name, member] : value.items()) left += member.is_number() ? name + " " : "";
    return left;
  };
  EXPECT_EQ(run(engine->results_of("a", RiskClass::kRead)), "three ");
  EXPECT_EQ(run(engine->results_of("a", RiskClass::kWrite)), "");
  EXPECT_EQ(run(engine->results_of("b", RiskClass::kRead)), "one three ");
  EXPECT_EQ(run(engine->results_of_others()), "") << "a resource must not be a way round";
  EXPECT_EQ(engine->results_of("a", RiskClass::kRead)->max_bytes()->bytes, 200u);
  EXPECT_EQ(engine->results_of("a", RiskClass::kRead)->max_bytes()->rule, "/tools/*/result/max_bytes");
}

TEST(ResultFilter, PatternsThatAreEverywhereAndPathsThatAreNoneAreErrors) {
  for (const char* rule : {R"({"pattern":"a*"})", R"({"pattern":"("})", R"({"path":"$"})", R"({"path":"$[?(1)]"})"}) {
    const Parsed parsed = parse_policy(
        std::string(R"({"version":"1","default":"deny","tools":{"t":{"result":{"redact":[)") + rule + "]}}}}");
    EXPECT_FALSE(parsed.document) << rule;
    ASSERT_EQ(parsed.errors.size(), 1u) << rule;
    EXPECT_TRUE(parsed.errors[0].path.starts_with("/tools/t/result/redact/0")) << parsed.errors[0].path;
  }
}

}  // namespace
}  // namespace sluice::policy

#include "policy/learn.h"

#include <algorithm>

#include "policy/explain.h"
#include "policy/memory_store.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

struct Calls {
  std::vector<ObservedCall> list;
  std::vector<ToolFields> fields;

  void add(std::string tool, std::string_view arguments, std::optional<RiskClass> risk = RiskClass::kWrite) {
    ObservedCall call{static_cast<std::int64_t>(1'700'000'000'000 + list.size() * 1000),
                      "g",
                      "tools/call",
                      std::move(tool),
                      risk,
                      {},
                      *parse_source(arguments),
                      false};
    for (const Node::Name& name : call.values->names) call.arguments.push_back(name.text);
    list.push_back(std::move(call));
  }
  Learned learned() const { return learn(list, fields); }
  std::string text() const { return dump_source(learned().document); }

  // Every call again, counters at its time: how many do not pass.
  std::size_t refused() const {
    const auto engine = make_engine(text());
    if (!engine) return list.size();
    MemoryStore store;
    std::size_t count = 0;
    for (const ObservedCall& call : list) {
      const Json arguments = to_json(*call.values);
      const Spellings spellings = spellings_of(*call.values, arguments);
      const Decision decision = engine->judge_name(call.tool, call.risk) != NameAnswer::kListed
                                    ? engine->judged_name(call.tool, NameAnswer::kUnlisted)
                                    : engine->decide({.grant = call.grant,
                                                      .tool = call.tool,
                                                      .risk = call.risk,
                                                      .arguments = arguments,
                                                      .spellings = &spellings});
      const auto reserved = store.reserve(decision.uses, WallTime(std::chrono::milliseconds(call.time_ms)));
      const bool allowed =
          decision.verdict == Verdict::kAllow || (decision.verdict == Verdict::kAskPerson && call.approved);
      if (!allowed || !std::holds_alternative<Reservation>(*reserved)) ++count;
    }
    return count;
  }
  bool lets_pass(std::string_view tool, std::string_view arguments) const {
    return decide(*make_engine(text()), tool, arguments, RiskClass::kWrite).verdict == Verdict::kAllow;
  }
};

TEST(Learn, OnlyWhatWasCalledPassesAndAllOfIt) {
  Calls calls;
  for (int i = 0; i < 6; ++i) calls.add("read", R"({"path":"/srv/data/a/)" + std::to_string(i) + R"(.txt"})");
  for (int i = 0; i < 6; ++i)
    calls.add("list", R"({"limit":)" + std::to_string(10 + i) + R"(,"kind":")" + (i % 2 ? "x" : "y") + R"("})");
  calls.add("fetch", R"({"url":"https://api.example.com/v1?token=abc"})");
  calls.add("fetch", R"({"url":"https://api.example.com:8443/v2","retry":true})");
  EXPECT_EQ(calls.refused(), 0u) << calls.text();
  EXPECT_TRUE(calls.lets_pass("read", R"({"path":"/srv/data/a/b/c"})"));
  for (const char* arguments : {R"({"path":"/srv/data/b"})", R"({"path":"/srv/data/a/../b"})", R"({"path":7})", "{}"}) {
    EXPECT_FALSE(calls.lets_pass("read", arguments)) << arguments;
  }
  for (const char* arguments : {R"({"limit":9,"kind":"x"})", R"({"limit":16,"kind":"x"})", R"({"limit":12,"kind":"z"})",
                                R"({"limit":"12","kind":"x"})"}) {
    EXPECT_FALSE(calls.lets_pass("list", arguments)) << arguments;
  }
  EXPECT_TRUE(calls.lets_pass("fetch", R"({"url":"https://api.example.com/v9"})"));
  EXPECT_TRUE(calls.lets_pass("fetch", R"({"url":"https://api.example.com/v9","retry":true})"));
  EXPECT_FALSE(calls.lets_pass("fetch", R"({"url":"https://api.example.com/v9","retry":false})"));
  EXPECT_FALSE(calls.lets_pass("fetch", R"({"url":"https://example.org/"})"));
  EXPECT_FALSE(calls.lets_pass("write", "{}"));
  EXPECT_EQ(calls.text().find("token=abc"), std::string::npos);
}

TEST(Learn, ArgumentsThatTheSchemaKnowsAndNobodyGaveAreDenied) {
  Calls calls;
  calls.fields = {{"t", {"a", "b", "odd name"}}};
  calls.add("t", R"({"a":1})");
  EXPECT_EQ(calls.refused(), 0u);
  EXPECT_TRUE(calls.lets_pass("t", R"({"a":1})"));
  EXPECT_FALSE(calls.lets_pass("t", R"({"a":1,"b":1})"));
  EXPECT_FALSE(calls.lets_pass("t", R"({"a":1,"odd name":1})"));
}

TEST(Learn, SecretsAreNotWrittenDown) {
  Calls calls;
  for (int i = 0; i < 4; ++i) {
    calls.add("login",
              R"({"password":"hunter2","user":{"api_key":"k-1","name":"ann"},"id":"A1b2C3d4E5f6G7h8I9j0K1l2M3"})");
  }
  EXPECT_EQ(calls.refused(), 0u) << calls.text();
  for (const char* secret : {"hunter2", "k-1", "A1b2C3d4E5f6G7h8I9j0K1l2M3"}) {
    EXPECT_EQ(calls.text().find(secret), std::string::npos) << secret;
    for (const std::string& reason : calls.learned().reasons) EXPECT_EQ(reason.find(secret), std::string::npos);
  }
}

TEST(Learn, ValuesOfEveryShapeAreCovered) {
  Calls calls;
  for (const char* arguments :
       {R"({"v":1})", R"({"v":"x"})", R"({"v":null})", R"({"v":[1,"a",{"b":[]}]})", R"({"v":{"a":{"b":1e300}}})", "{}",
        R"({"v":9007199254740993})", R"({"v":true,"w":[[1],[2,3]]})", R"({"v":-0.5,"w":[]})", R"({"u":"/a/b"})",
        R"({"u":"/a/c/d"})", R"({"u":"relative"})", R"({"x":"://"})", R"({"x":"a://b@c/"})",
        R"({"y":"http://[::1]:8080/"})", R"({"y":"http://127.0.0.1/"})", R"({"z":"/only"})", R"({"z":"/other"})",
        R"({"a\"b]":1,"":2})"}) {
    calls.add("t", arguments);
  }
  EXPECT_EQ(calls.refused(), 0u) << calls.text();
}

TEST(Learn, NumbersKeepTheirSpelling) {
  Calls calls;
  for (const char* id : {"9007199254740993", "9007199254740995", "9007199254740997"})
    calls.add("t", R"({"id":)" + std::string(id) + "}");
  EXPECT_EQ(calls.refused(), 0u);
  EXPECT_FALSE(calls.lets_pass("t", R"({"id":9007199254740992})"));
  EXPECT_FALSE(calls.lets_pass("t", R"({"id":9007199254740998})"));
}

TEST(Learn, WhatAPersonLetPassIsAskedAgain) {
  Calls calls;
  calls.add("t", "{}");
  calls.list[0].approved = true;
  const auto engine = make_engine(calls.text());
  EXPECT_EQ(decide(*engine, "t", "{}").verdict, Verdict::kAskPerson);
  EXPECT_EQ(calls.refused(), 0u);
}

TEST(Learn, NamesAloneNarrowNames) {
  Calls calls;
  calls.fields = {{"t", {"a", "b"}}};
  calls.add("t", R"({"a":1})");
  calls.list[0].values.reset();
  EXPECT_TRUE(calls.lets_pass("t", R"({"a":2})"));
  EXPECT_FALSE(calls.lets_pass("t", R"({"b":1})"));
}

TEST(Learn, TheBusiestHourIsTheMost) {
  Calls calls;
  for (int i = 0; i < 3; ++i) calls.add("t", "{}");
  calls.list[2].time_ms += 3'600'000;
  EXPECT_NE(calls.text().find(R"("window":"hour","max":2)"), std::string::npos) << calls.text();
  EXPECT_EQ(calls.refused(), 0u);
}

TEST(Learn, WhatIsLearnedIsWithoutAWarning) {
  Calls calls;
  const KnownTool tools[] = {{"t", RiskClass::kWrite, {"a", "b", "c"}}};
  calls.fields = {{"t", {"a", "b", "c"}}};
  for (int i = 0; i < 4; ++i) calls.add("t", R"({"a":"/x/y)" + std::to_string(i) + R"(","b":["s"]})");
  calls.add("t", R"({"a":"/x/z"})");
  const Parsed parsed = parse_policy(calls.text());
  ASSERT_TRUE(parsed.document);
  EXPECT_TRUE(lint(*parsed.document, tools).empty()) << to_string(lint(*parsed.document, tools).front(), "p");
}

}  // namespace
}  // namespace sluice::policy

#include "replay/compare.h"

#include <gtest/gtest.h>

namespace sluice::replay {
namespace {

Answer answer(std::string content, std::vector<std::pair<std::string, std::string>> fields = {}, int status = 200) {
  Answer made;
  made.status = status;
  for (const auto& [name, value] : fields) made.fields.append(name, value);
  made.size = content.size();
  made.content = std::move(content);
  return made;
}

TEST(Compare, TheSameAnswerIsTheSame) {
  const auto made = compare(answer("a", {{"X", "1"}}), answer("a", {{"x", "1"}}), {});
  EXPECT_TRUE(made.same);
  EXPECT_EQ(comparison_json(made).dump(), R"({"same":true,"body":"same"})");
}

TEST(Compare, NamesWhatDiffersAndNeverItsValue) {
  const auto made = compare(answer("a", {{"Gone", "s3cret"}, {"Kept", "1"}, {"Other", "before"}}),
                            answer("b", {{"Kept", "1"}, {"Other", "after"}, {"New", "t0ken"}}, 404), {});
  EXPECT_FALSE(made.same);
  const std::string json = comparison_json(made).dump();
  EXPECT_EQ(json, R"({"same":false,"status":{"recorded":200,"now":404},"headers":{"added":["new"],)"
                  R"("removed":["gone"],"changed":["other"]},"body":"different"})");
}

TEST(Compare, WhatDiffersByItsNatureDoesNotCountUnlessAsked) {
  const Answer before =
      answer(R"({"id":"0b1c7b7e-6a0e-4c52-9a84-0d2b7a3f2b11","at":"2026-01-01T00:00:00Z","n":1700000000})",
             {{"Date", "a"}, {"X-Request-Id", "1"}});
  const Answer after =
      answer(R"({"id":"9f0c7b7e-6a0e-4c52-9a84-0d2b7a3f2b22","at":"2026-02-02T00:00:00Z","n":1700000009})",
             {{"Date", "b"}, {"X-Request-Id", "2"}});
  const auto made = compare(before, after, {});
  EXPECT_TRUE(made.same);
  EXPECT_EQ(made.json_volatile, 3u);
  EXPECT_EQ(made.volatile_fields, (std::vector<std::string>{"date", "x-request-id"}));
  EXPECT_FALSE(compare(before, after, {.ignore_volatile = false}).same);
}

TEST(Compare, JsonIsComparedByItsMembersNotByItsSpelling) {
  EXPECT_TRUE(compare(answer(R"({"a":1,"b":[1,2]})"), answer("{ \"b\": [1,2], \"a\": 1 }"), {}).same);
  const auto made = compare(answer(R"({"a":1,"b":{"c":2},"gone":1})"), answer(R"({"a":2,"b":{"c":2,"d":3}})"), {});
  EXPECT_FALSE(made.same);
  ASSERT_EQ(made.json_changes, 3u);
  EXPECT_TRUE(compare(answer(R"({"a":1,"b":{"c":2}})"), answer(R"({"a":1,"b":{"c":3}})"), {.ignore = {"/b"}}).same);
  EXPECT_FALSE(compare(answer(R"({"bc":1})"), answer(R"({"bc":2})"), {.ignore = {"/b"}}).same);
}

TEST(Compare, ManyChangesAreCountedAndFewAreListed) {
  std::string before = "[0", after = "[1";
  for (int i = 0; i < 500; ++i) before += ",0", after += ",1";
  const auto made = compare(answer(before + "]"), answer(after + "]"), {});
  EXPECT_EQ(made.json_changes, 501u);
  EXPECT_EQ(made.json.size(), kMostChanges);
}

TEST(Compare, FieldsThatTheCallerNamesDoNotCount) {
  EXPECT_TRUE(
      compare(answer("a", {{"X-Server", "1"}}), answer("a", {{"X-Server", "2"}}), {.ignore = {"x-server"}}).same);
}

TEST(Compare, ContentThatIsNotKnownWholeIsNeitherSameNorDifferent) {
  Answer cut = answer("abc");
  cut.whole = false;
  const auto made = compare(cut, answer("abcdef"), {});
  EXPECT_EQ(made.content, ContentDifference::kUnknown);
  EXPECT_TRUE(made.same);
}

}  // namespace
}  // namespace sluice::replay

#include "gateway/foreign_answer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/entropy.h"
#include "base/json_spelling.h"
#include "gateway/presenter.h"

namespace sluice::gateway {
namespace {

const std::string kMask(policy::kRedactedByPolicy);

policy::ResultFilter paths(const std::vector<std::string>& all) {
  policy::ResultRules rules;
  for (const std::string& path : all) rules.redact.push_back({.path = path, .pattern = ""});
  policy::ResultFilter filter;
  filter.add(*policy::CompiledResult::compile(rules, "/tools/t"));
  return filter;
}

struct Foreign : testing::Test {
  // With the paths masked, of a tool with this output schema.
  Json shown(const std::vector<std::string>& masked, std::string_view answer, std::string_view schema = "") {
    const policy::ResultFilter filter = paths(masked);
    const Presenter::View view{nullptr, &filter, false, nullptr};
    Json entry = {{"name", "t"}};
    if (!schema.empty()) entry["outputSchema"] = *parse_json(schema);
    return presenter.foreign_tool(view, entry, *parse_spelled_json(answer));
  }
  std::string text(const Json& answer, std::size_t block = 0) { return answer["content"][block]["text"]; }

  SeededEntropy entropy{3};
  Redactor redactor{entropy};
  Presenter presenter{redactor, McpLimits{}};
};

constexpr const char* kWeather =
    R"({"content":[{"type":"text","text":"{\"temperature\": 33, \"conditions\": \"Light rain\"}"}],)"
    R"("structuredContent":{"temperature":33,"conditions":"Light rain"}})";

TEST_F(Foreign, ATextThatIsTheStructuredContentIsMadeOfTheMaskedOne) {
  const Json answer = shown({"$..temperature"}, kWeather);
  EXPECT_EQ(text(answer), R"({"temperature":"[redacted by policy]","conditions":"Light rain"})");
  EXPECT_EQ(*parse_json(text(answer)), answer["structuredContent"]);
  EXPECT_FALSE(answer.contains("isError"));
}

TEST_F(Foreign, APathFromTheRootReachesTheTextToo) {
  const Json answer = shown({"$.structuredContent.temperature"}, kWeather);
  EXPECT_EQ(*parse_json(text(answer)), answer["structuredContent"]);
  EXPECT_EQ(answer["structuredContent"]["temperature"], kMask);
}

TEST_F(Foreign, WhatNoLongerFitsTheOutputSchemaIsAnErrorOfTextOnly) {
  const Json answer = shown({"$..temperature"}, kWeather,
                            R"({"type":"object","properties":{"temperature":{"type":"number","description":"°C"}}})");
  EXPECT_EQ(answer["isError"], true);
  EXPECT_FALSE(answer.contains("structuredContent"));
  EXPECT_EQ(text(answer), R"({"temperature":"[redacted by policy]","conditions":"Light rain"})");
  EXPECT_NE(text(answer, 1).find("not of the shape"), std::string::npos);
}

TEST_F(Foreign, WhatStillFitsStaysStructured) {
  const Json answer =
      shown({"$..conditions"}, kWeather,
            R"({"type":"object","properties":{"conditions":{"type":"string"}},"required":["temperature"]})");
  EXPECT_EQ(answer["structuredContent"]["conditions"], kMask);
  EXPECT_FALSE(answer.contains("isError"));
}

TEST_F(Foreign, AShapeThatCannotBeJudgedCountsAsLost) {
  const Json answer = shown({"$..conditions"}, kWeather, R"({"type":"object","oneOf":[{}]})");
  EXPECT_EQ(answer["isError"], true);
  EXPECT_FALSE(answer.contains("structuredContent"));
}

TEST_F(Foreign, ATextThatShowsAMaskedValueDoesNotStay) {
  for (const char* said : {R"(hello\n)", R"(It says: hello)", R"({\"other\":\"hello\"})", R"([1,[\"hello\\n\"]])"}) {
    const Json answer = shown({"$..secret"}, R"({"content":[{"type":"text","text":")" + std::string(said) +
                                                 R"("}],"structuredContent":{"secret":"hello\n"}})");
    EXPECT_EQ(text(answer).find("hello"), std::string::npos) << said;
    EXPECT_NE(text(answer).find(kMask), std::string::npos) << said;
  }
}

TEST_F(Foreign, ANumberIsFoundHoweverItIsSpelledAndNotWithinALongerOne) {
  const auto said = [&](const std::string& words) {
    return text(shown({"$..n"}, R"({"content":[{"type":"text","text":")" + words +
                                    R"("}],"structuredContent":{"n":1e2,"yes":true}})"));
  };
  EXPECT_EQ(said("it is 100°C"), kMask);
  EXPECT_EQ(said("it is 1e2"), kMask);
  EXPECT_EQ(said("port 1000"), "port 1000");
  EXPECT_EQ(said("a true word"), "a true word");
}

TEST_F(Foreign, WhatIsInsideAMaskedObjectIsLookedForToo) {
  const Json answer =
      shown({"$..user"}, R"({"content":[{"type":"text","text":"Ada logged in"},{"type":"resource","resource":)"
                         R"({"uri":"a:b","text":"by Ada"}}],"structuredContent":{"user":{"name":["Ada"]}},)"
                         R"("_meta":{"who":"Ada"}})");
  EXPECT_EQ(dump_json(answer).find("Ada"), std::string::npos) << dump_json(answer);
  EXPECT_EQ(answer["content"][1]["type"], "resource");
  EXPECT_EQ(answer["content"][1]["resource"]["uri"], "a:b");
}

TEST_F(Foreign, ATextThatIsJsonIsLookedIntoWithoutStructuredContent) {
  const Json answer = shown({"$..token"}, R"({"content":[{"type":"text","text":"{\"token\":\"t1\",\"n\":1.0}"}]})");
  EXPECT_EQ(text(answer), R"({"token":"[redacted by policy]","n":1.0})");
  EXPECT_FALSE(answer.contains("isError"));
}

TEST_F(Foreign, NothingIsMadeAnewWhereNothingWasMasked) {
  const std::string answer =
      R"({"content":[{"type":"text","text":"{ \"a\": 1.0 }"}],"structuredContent":{"a":1.0},"isError":false})";
  EXPECT_EQ(dump_spelled_json(shown({"$..token"}, answer, R"({"type":"array"})")), answer);
}

TEST_F(Foreign, AttackAValueThatIsNearlyEverywhereCostsLinearTime) {
  const std::size_t size = 1'000'000;
  const Json answer = {{"content", Json::array({{{"type", "text"}, {"text", std::string(2 * size, 'a')}}})},
                       {"structuredContent", {{"secret", std::string(size, 'a') + "b"}}}};
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(text(shown({"$..secret"}, dump_json(answer))), std::string(2 * size, 'a'));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));  // a minute where it is quadratic
}

TEST_F(Foreign, AttackTextsWithoutOctetsAreNotLookedIntoForEachValue) {
  Json values = Json::array(), empties = Json::array();
  for (int i = 0; i < 100'000; ++i) {
    values.push_back("a" + std::to_string(i));
    empties.push_back("");
  }
  const Json answer = {
      {"content", Json::array()}, {"structuredContent", {{"secret", values}}}, {"_meta", {{"x", empties}}}};
  const auto before = std::chrono::steady_clock::now();
  shown({"$..secret"}, dump_json(answer));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST_F(Foreign, WhatABlockSaysOfItselfIsLookedAtToo) {
  const Json answer = shown({"$..ssn", "$..secret"},
                            R"({"content":[{"type":"text","text":"x","_meta":{"ssn2":123456789,"role":"S3CRET",)"
                            R"("data":"S3CRET"}}],"structuredContent":{"ssn":123456789,"secret":"S3CRET"}})");
  EXPECT_EQ(dump_json(answer).find("123456789"), std::string::npos) << dump_json(answer);
  EXPECT_EQ(dump_json(answer).find("S3CRET"), std::string::npos) << dump_json(answer);
}

TEST_F(Foreign, JsonThatIsNotReadAsUsualIsMaskedAllTheSame) {
  const Json twice =
      shown({"$..token"}, R"({"content":[{"type":"text","text":"{\"token\":\"t1\",\"a\":1,\"a\":2}"}]})");
  EXPECT_EQ(text(twice), R"({"token":"[redacted by policy]","a":2})");
  const Json lost = shown({"$..x"}, R"({"content":[{"type":"text","text":"{\"x\":\"t1\",\"x\":\"t2\"}"}]})");
  EXPECT_EQ(text(lost), R"({"x":"[redacted by policy]"})");
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_EQ(text(shown({"$..token"}, R"({"content":[{"type":"text","text":")" + deep + R"("}]})")), kMask);
}

TEST_F(Foreign, ATruthValueThatIsMaskedTakesNothingElseAlong) {
  const Json answer = shown({"$..active"}, R"({"content":[{"type":"text","text":"{\"active\":true,\"ok\":true}"}],)"
                                           R"("structuredContent":{"active":true,"ok":true}})");
  EXPECT_EQ(text(answer), R"({"active":"[redacted by policy]","ok":true})");
}

TEST_F(Foreign, MoreThanCanBeLookedForIsMaskedUnseen) {
  Json many = Json::array();
  for (int i = 0; i < 20'000; ++i) many.push_back("value-" + std::to_string(i));
  Json answer = {{"content", Json::array({{{"type", "text"}, {"text", std::string(100'000, 'x')}}})},
                 {"structuredContent", {{"secrets", many}}}};
  EXPECT_EQ(text(shown({"$..secrets"}, dump_json(answer))), kMask);
}

}  // namespace
}  // namespace sluice::gateway

#include "gateway/presenter.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "gateway/answer_cut.h"
#include "gateway/masking.h"

namespace sluice::gateway {
namespace {

struct Fixture {
  SeededEntropy entropy{3};
  Redactor redactor{entropy};
  McpLimits limits;
  Presenter presenter{redactor, limits};
  tools::Tool plain{.name = "t", .risk = tools::Risk::kRead};

  Json structured(Json result, const Json& arguments = Json::object(), bool mask = true) {
    return presenter.success(plain, arguments, mask ? &redactor : nullptr, std::move(result))["structuredContent"];
  }
};

TEST(Measure, CountsWhatIsWritten) {
  for (const Json& value :
       {Json("a\"\\\n\x01\x1f\x7f"), Json("é€😀"), Json{{"a", 1.5}, {"b", {1, true, nullptr, "x"}}}, Json::object(),
        Json::array(), Json{{"ключ", Json::array({Json::array(), Json::object()})}}}) {
    EXPECT_EQ(json_units(value), utf16_length(dump_json(value))) << dump_json(value);
  }
}

TEST(Presenter, ARecordingsIdIsShownAndNoOtherSessionIdIs) {
  Fixture fixture;
  const Json answer =
      fixture.structured({{"sessionId", "20250101000000_abcdefgh"}, {"other", {{"sessionId", "s3cr3t-value"}}}});
  EXPECT_EQ(answer["sessionId"], "20250101000000_abcdefgh");
  EXPECT_TRUE(is_mask(answer["other"]["sessionId"].get<std::string>()));
}

TEST(Presenter, LongListsLoseWholeItemsAndSayHowToGoOn) {
  Fixture fixture;
  Json rows = Json::array();
  for (int i = 0; i < 1000; ++i) rows.push_back({{"id", i}, {"url", "https://example.com/" + std::string(80, 'x')}});
  const Json answer = fixture.structured({{"total", 5000}, {"offset", 200}, {"showing", 1000}, {"exchanges", rows}});
  const std::size_t kept = answer["exchanges"].size();
  EXPECT_GT(kept, 100u);
  EXPECT_LT(kept, 1000u);
  EXPECT_EQ(answer["truncated"], true);
  EXPECT_EQ(answer["total"], 5000);
  EXPECT_EQ(answer["showing"], kept);
  EXPECT_EQ(answer["next_offset"], 200 + kept);
  EXPECT_LE(utf16_length(dump_json(answer)), 24'000u);
  EXPECT_GT(utf16_length(dump_json(answer)), 20'000u);
}

TEST(Presenter, ALongListWithoutATotalGetsOne) {
  Fixture fixture;
  Json rows = Json::array();
  for (int i = 0; i < 400; ++i) rows.push_back(std::string(100, 'x'));
  const Json answer = fixture.structured({{"things", rows}});
  EXPECT_EQ(answer["total"], 400);
  EXPECT_EQ(answer["next_offset"], answer["things"].size());
}

TEST(Presenter, OneObjectIsCutInsideItsLongestStrings) {
  Fixture fixture;
  const Json answer = fixture.structured(
      {{"exchange", {{"short", "stays"}, {"a", std::string(30'000, 'a')}, {"b/c", std::string(20'000, '"')}}}});
  EXPECT_LE(utf16_length(dump_json(answer)), 24'000u);
  EXPECT_GT(utf16_length(dump_json(answer)), 18'000u);
  EXPECT_EQ(answer["exchange"]["short"], "stays");
  EXPECT_TRUE(answer["exchange"]["a"].get<std::string>().ends_with("a..."));
  EXPECT_TRUE(answer["exchange"]["b/c"].get<std::string>().ends_with("\"..."));
  EXPECT_EQ(answer["cut"], Json::array({"/exchange/a", "/exchange/b~1c"}));
}

TEST(Presenter, ManyLongNamesFitToo) {
  Fixture fixture;
  Json headers = Json::object();
  for (int i = 0; i < 900; ++i) headers["x-" + std::string(250, 'n') + std::to_string(i)] = "v";
  const Json answer = fixture.structured({{"exchange", {{"id", "1"}, {"headers", headers}}}});
  EXPECT_LE(utf16_length(dump_json(answer)), 24'000u);
  EXPECT_EQ(answer["exchange"]["id"], "1");
  EXPECT_EQ(answer["cut"], Json::array({"/exchange/headers"}));
}

TEST(Presenter, AnyTreeFits) {
  Fixture fixture;
  std::mt19937 random(11);
  const std::function<Json(int)> tree = [&](int depth) -> Json {
    switch (random() % (depth > 0 ? 5 : 3)) {
      case 0:
        return random();
      case 1:
        return std::string(random() % 3000, "ab\"\n\x01"[random() % 5]);
      case 2:
        return std::string(random() % 40, 'z') + "😀é\xff";
      case 3: {
        Json array = Json::array();
        for (unsigned i = random() % 60; i > 0; --i) array.push_back(tree(depth - 1));
        return array;
      }
      default: {
        Json object = Json::object();
        for (unsigned i = random() % 30; i > 0; --i) object["k" + std::to_string(random() % 1000)] = tree(depth - 1);
        return object;
      }
    }
  };
  for (int round = 0; round < 30; ++round) {
    Json result = Json::object();
    for (int i = 0; i < 6; ++i) result["m" + std::to_string(i)] = tree(2);
    const Json presented = fixture.presenter.success(fixture.plain, Json::object(), &fixture.redactor, result);
    const auto text = presented["content"][0]["text"].get<std::string>();
    EXPECT_TRUE(is_utf8(text));
    EXPECT_LE(utf16_length(text), 24'000u);
    const auto parsed = parse_json(text);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, presented["structuredContent"]);
  }
}

TEST(Presenter, BadUtf8IsRepairedInValuesAndNames) {
  Fixture fixture;
  const Json answer = fixture.structured({{"a\xff", "b\xc3"}});
  EXPECT_EQ(dump_json(answer), "{\"status\":\"success\",\"a\xEF\xBF\xBD\":\"b\xEF\xBF\xBD\"}");
}

TEST(Presenter, BodiesThatWereAskedForMayBeLonger) {
  Fixture fixture;
  fixture.plain.hints = tools::kIncludesBody;
  const Json result = {{"exchange", {{"body", {{"text", std::string(500'000, 'x')}}}}}};
  EXPECT_TRUE(fixture.structured(result).contains("cut"));
  EXPECT_FALSE(fixture.structured(result, {{"include", {"response_body"}}}).contains("cut"));
  EXPECT_FALSE(fixture.structured(result, {{"limit", 600'000}}).contains("cut"));
}

TEST(Presenter, PointersOfWhatWasLeftOutAreLeftOutToo) {
  Fixture fixture;
  Json rows = Json::array();
  for (int i = 0; i < 500; ++i) {
    rows.push_back(
        {{"headers", {{"authorization", "Bearer " + std::string(300, 'k')}}}, {"note", std::string(200, 'x')}});
  }
  const Json answer = fixture.structured({{"rows", rows}});
  const std::size_t kept = answer["rows"].size();
  ASSERT_LT(kept, 500u);
  for (const Json& pointer : answer["redacted"]) {
    EXPECT_TRUE(answer.contains(nlohmann::ordered_json::json_pointer(pointer.get<std::string>()))) << pointer;
  }
}

TEST(Masking, FindsSecretsWhereTheContractPutsThem) {
  Fixture fixture;
  const Json exchange = {
      {"request",
       {{"url", "https://example.com/?access_token=tok3n"},
        {"path", "/?access_token=tok3n"},
        {"headers",
         {{"authorization", "Bearer tok3n"},
          {"cookie", "sid=tok3n"},
          {"accept", "*/*"},
          {"content-type", "application/x-www-form-urlencoded"}}},
        {"bodyPreview", "user=u&password=tok3n"},
        {"rawHead",
         {{"startLine", "GET /?access_token=tok3n HTTP/1.1"},
          {"headers", Json::array({{{"name", "Authorization"}, {"value", "Basic tok3n"}}})}}}}},
      {"response", {{"headers", {{"set-cookie", "sid=tok3n; HttpOnly"}}}, {"bodyPreview", R"({"api_key":"tok3n"})"}}}};
  const Json masked = fixture.structured({{"exchange", exchange}});
  EXPECT_EQ(dump_json(masked).find("tok3n"), std::string::npos) << dump_json(masked, JsonStyle::kIndented);
  EXPECT_EQ(masked["redacted"].size(), 9u) << masked["redacted"];
  EXPECT_EQ(masked["exchange"]["request"]["headers"]["accept"], "*/*");
  const Json shown = fixture.structured({{"exchange", exchange}}, Json::object(), false);
  EXPECT_EQ(shown["exchange"], exchange);
  EXPECT_FALSE(shown.contains("redacted"));
}

// A tool masks the window of a body that it cuts out; the answer says so all the same.
TEST(Masking, WhatAToolHasMaskedIsListedToo) {
  Fixture fixture;
  const std::string body = R"({"password":")" + fixture.redactor.mask("password", "tok3n") + R"("})";
  const Json answer = fixture.structured({{"exchange", {{"response", {{"body", {{"text", body}}}}}}}});
  EXPECT_EQ(answer["exchange"]["response"]["body"]["text"], body);
  EXPECT_EQ(answer["redacted"], Json::array({"/exchange/response/body/text"}));
}

TEST(Masking, RulesAndTheirDiagnosticsAreMaskedToo) {
  Fixture fixture;
  const Json rule = {
      {"handler",
       {{"type", "passthrough"},
        {"transformRequest", {{"updateHeaders", {{"Authorization", "Bearer tok3n"}, {"x", nullptr}}}}}}},
      {"matcher", {{"headers", {{"X-Api-Key", "tok3n"}}}}},
      {"checks",
       {{"headers",
         {{"expected", {{"authorization", "tok3n"}}},
          {"actual", {{"cookie", "a=tok3n"}}},
          {"mismatch", Json::array({{{"header", "authorization"}, {"expected", "tok3n"}, {"actual", "tok3n"}}})}}}}}};
  const Json masked = fixture.structured({{"rule", rule}});
  EXPECT_EQ(dump_json(masked).find("tok3n"), std::string::npos) << dump_json(masked, JsonStyle::kIndented);
}

TEST(Presenter, ErrorsAreShortMaskedAndWellFormed) {
  Fixture fixture;
  const Json answer =
      fixture.presenter.failure("bad \xff https://u:pw@example.com/ " + std::string(100'000, 'x'), &fixture.redactor);
  const auto text = answer["content"][0]["text"].get<std::string>();
  EXPECT_LT(text.size(), 3'000u);
  EXPECT_TRUE(is_utf8(text));
  EXPECT_EQ(text.find("pw@"), std::string::npos);
  EXPECT_EQ(answer["isError"], true);
}

}  // namespace
}  // namespace sluice::gateway

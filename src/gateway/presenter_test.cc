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
  fixture.plain.hints = tools::kPagesByItem;
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
  fixture.plain.hints = tools::kPagesByItem;
  Json rows = Json::array();
  for (int i = 0; i < 400; ++i) rows.push_back(std::string(100, 'x'));
  const Json answer = fixture.structured({{"things", rows}});
  EXPECT_EQ(answer["total"], 400);
  EXPECT_EQ(answer["next_offset"], answer["things"].size());
}

TEST(Presenter, WhereAListGoesOnIsSaidOnceAndOnlyWhereTheToolGoesOnThere) {
  Fixture fixture;
  Json rows = Json::array();
  for (int i = 0; i < 1'000; ++i) rows.push_back({{"note", std::string(50, '"')}});
  const Json other = fixture.structured({{"offset", 7}, {"rows", rows}}, {{"offset", 7}});
  EXPECT_LT(other["rows"].size(), 1'000u);
  EXPECT_EQ(other["truncated"], true);
  EXPECT_FALSE(other.contains("next_offset")) << "its offset counts something else";
  fixture.plain.hints = tools::kPagesByItem;
  const Json by_argument = fixture.structured({{"rows", rows}}, {{"offset", 40}});
  EXPECT_EQ(by_argument["next_offset"], 40 + by_argument["rows"].size());
  const Json own = fixture.structured({{"rows", rows}, {"nextOffset", 1'040}}, {{"offset", 40}});
  EXPECT_EQ(own["nextOffset"], 40 + own["rows"].size());
  EXPECT_FALSE(own.contains("next_offset"));
  const Json inner = fixture.structured({{"one", {{"rows", rows}}}}, {{"offset", 40}});
  EXPECT_EQ(inner["one"]["truncated"], true);
  EXPECT_FALSE(inner["one"].contains("next_offset")) << "no list of the answer's own";
}

TEST(Presenter, WhatIsSaidOfAnAnswerById) {
  Fixture fixture;
  fixture.plain.hints = tools::kMitmproxy | tools::kById;
  const Json rules = {{"redacted", {{"headers", {{"authorization", "Bearer t0ken"}}}}}, {"b", {{"value", "x"}}}};
  const Json presented = fixture.presenter.success(fixture.plain, Json::object(), &fixture.redactor, rules);
  const Json& answer = presented["structuredContent"];
  EXPECT_EQ(answer.size(), 2u) << answer.dump();
  EXPECT_TRUE(answer["redacted"].is_object()) << "an id like any other";
  EXPECT_EQ(parse_json(presented["content"][0]["text"].get<std::string>()), answer);
  EXPECT_EQ(presented["content"][1]["text"], R"({"redacted":["/redacted/headers/authorization"]})");
  const Json plain = fixture.presenter.success(fixture.plain, Json::object(), nullptr, rules);
  EXPECT_EQ(plain["content"].size(), 1u);
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
  EXPECT_FALSE(fixture.structured(result, {{"full_body", true}}).contains("cut"));
  EXPECT_TRUE(fixture.structured(result, {{"full_body", false}}).contains("cut"));
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

TEST(Masking, WhereAValueIsToBeTakenFromIsNoValue) {
  Fixture fixture;
  const Json from = {{"name", "sid"},
                     {"exchange_id", "0192f0c4-8a7b-7c3d-9e2f-1a2b3c4d5e6f"},
                     {"header", "Set-Cookie"},
                     {"regex", "sid=([^;]*)"}};
  EXPECT_EQ(fixture.structured({{"extract", Json::array({from})}})["extract"][0], from);
  Json more = from;
  more["expected"] = "sid=tok3n";
  const Json masked = fixture.structured({{"extract", Json::array({more})}});
  EXPECT_EQ(dump_json(masked).find("tok3n"), std::string::npos) << "whoever else names an exchange";
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

// --- `result` of a policy (gate.md 7) ---

struct Governed : Fixture {
  policy::ResultFilter filter;
  std::string rule;
  explicit Governed(const policy::ResultRules& rules) {
    filter.add(*policy::CompiledResult::compile(rules, "/tools/t"));
  }
  Presenter::View view(bool observed = false) { return {&redactor, &filter, observed, &rule}; }
  Json present(Json result, bool observed = false) {
    return presenter.success(plain, Json::object(), view(observed), std::move(result));
  }
};

policy::ResultRules redacting(std::string path, std::string pattern = "") {
  policy::ResultRules rules;
  rules.redact.push_back({std::move(path), std::move(pattern)});
  return rules;
}

TEST(PolicyResults, TextAndStructuredContentComeFromOneRedactedValue) {
  Governed fixture(redacting("$..token"));
  const Json answer = fixture.present({{"list", Json::array({{{"token", "abc"}, {"id", 1}}})}});
  EXPECT_EQ(answer["structuredContent"]["list"][0]["token"], "[redacted by policy]");
  EXPECT_EQ(answer["content"][0]["text"], dump_json(answer["structuredContent"]));
  EXPECT_FALSE(answer.contains("isError"));
}

TEST(PolicyResults, WhatNoLongerFitsTheOutputSchemaIsTextOnly) {
  Governed fixture(redacting("$.total"));
  fixture.plain.result = {{"total", "number", ""}};
  const Json answer = fixture.present({{"total", 4}});
  EXPECT_EQ(answer["isError"], true);
  EXPECT_FALSE(answer.contains("structuredContent"));
  EXPECT_EQ(answer["content"][0]["text"], R"({"status":"success","total":"[redacted by policy]"})");
}

TEST(PolicyResults, ABlockedAnswerIsADenialOfTextOnlyAndNamesItsRule) {
  policy::ResultRules rules;
  rules.block.push_back({policy::Operator::kContains, "BEGIN PRIVATE KEY", "key in answer"});
  Governed fixture(rules);
  const Json answer = fixture.present({{"text", "-----BEGIN PRIVATE KEY-----"}});
  EXPECT_EQ(answer, (Json{{"content", Json::array({{{"type", "text"}, {"text", "[POLICY DENIED] key in answer"}}})},
                          {"isError", true}}));
  EXPECT_EQ(fixture.rule, "/tools/t/result/block/0");
  const Json failed = fixture.presenter.failure("Error: BEGIN PRIVATE KEY", fixture.view());
  EXPECT_EQ(failed["content"][0]["text"], "[POLICY DENIED] key in answer");
  const Resource resource{"u", "n", "t", "d", "text/plain", nullptr};
  EXPECT_FALSE(fixture.presenter.resource(resource, fixture.view(), Json{{"a", "BEGIN PRIVATE KEY"}}));
  EXPECT_FALSE(fixture.presenter.resource(resource, fixture.view(), "BEGIN PRIVATE KEY"));
  EXPECT_EQ(fixture.presenter.progress("BEGIN PRIVATE KEY", fixture.view()), "");
}

TEST(PolicyResults, ASecretThatWouldBeCutInHalfIsMaskedFirst) {
  Governed fixture(redacting("", "sk_live_[A-Za-z0-9]{24}"));
  const std::string secret = "sk_live_" + std::string(24, 'q');
  for (std::size_t before = 23'900; before < 24'000; before += 3) {
    const Json answer = fixture.present({{"text", std::string(before, 'x') + secret}});
    EXPECT_EQ(dump_json(answer).find("sk_live"), std::string::npos) << before;
  }
}

TEST(PolicyResults, EveryWayOutIsRedacted) {
  Governed fixture(redacting("", "sk_live_[a-z]+"));
  const Resource resource{"u", "n", "t", "d", "text/plain", nullptr};
  const std::string all = dump_json(fixture.presenter.failure("no sk_live_abc", fixture.view())) +
                          dump_json(*fixture.presenter.resource(resource, fixture.view(), "sk_live_abc")) +
                          dump_json(*fixture.presenter.resource(resource, fixture.view(), Json{{"a", "sk_live_abc"}})) +
                          fixture.presenter.progress("at sk_live_abc", fixture.view());
  EXPECT_EQ(all.find("sk_live"), std::string::npos) << all;
}

TEST(PolicyResults, LongAnswersAreCutToMaxBytesOrWithheld) {
  policy::ResultRules rules;
  rules.max_bytes = 2'000;
  Governed fixture(rules);
  Json rows = Json::array();
  for (int i = 0; i < 200; ++i) rows.push_back({{"id", i}, {"text", "длинный текст"}});
  const Json answer = fixture.present({{"rows", rows}});
  EXPECT_LE(answer["content"][0]["text"].get<std::string>().size(), 2'000u);
  EXPECT_EQ(answer["structuredContent"]["truncated"], true);
  rules.max_bytes = 10;
  Governed tiny(rules);
  EXPECT_NE(dump_json(tiny.present({{"rows", rows}})).find("[POLICY DENIED]"), std::string::npos);
  EXPECT_EQ(tiny.rule, "/tools/t/result/max_bytes");
}

TEST(PolicyResults, MonitorModeOnlyLooks) {
  policy::ResultRules rules = redacting("$.a");
  rules.block.push_back({policy::Operator::kContains, "x", ""});
  Governed fixture(rules);
  EXPECT_EQ(fixture.present({{"a", "x"}}, true)["structuredContent"]["a"], "x");
  EXPECT_EQ(fixture.rule, "/tools/t/result/block/0");
}

TEST(PolicyResults, EveryToolsOutputSchemaCanBeCompared) {
  for (const tools::Tool& tool : tools::all_tools()) {
    EXPECT_TRUE(policy::Shape::compile(tools::output_schema(tool))) << tool.name;
  }
}

}  // namespace
}  // namespace sluice::gateway

#include "analysis/trace.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "analysis/flow_view_test_support.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr const char* kHtmlFields = "Content-Type: text/html; charset=utf-8\r\n";

// "response json /data/token", with "<percent" and the like behind it.
std::vector<std::string> places(Flows& flows, const std::string& value) {
  const Tracer tracer(value);
  std::vector<std::string> found;
  flows.each([&](const FlowView& flow) {
    for (const TracedPlace& each : tracer.look_at(flow).places) {
      std::string line = fmt::format("{} {} {}", each.message == flow::Direction::kRequest ? "request" : "response",
                                     to_string(each.place.kind), each.place.label());
      for (const std::string_view encoding : each.encodings) line += fmt::format(" <{}", encoding);
      if (!each.inside.empty()) line += " in " + each.inside;
      if (each.word) line += " word";
      found.push_back(std::move(line));
    }
  });
  return found;
}
using Lines = std::vector<std::string>;

TEST(Trace, AValueIsFollowedFromTheAnswerThatGaveItToEveryLaterUse) {
  Flows flows;
  flows.add({.method = "POST",
             .target = "/login",
             .response_fields = std::string(kJsonFields) + "Set-Cookie: t=token-value-1; HttpOnly\r\n",
             .response_body = R"({"data":{"list":[{"access_token":"token-value-1"}]}})"});
  flows.add({.target = "/u/token-value-1?t=token-value-1",
             .request_fields =
                 "Authorization: Bearer token-value-1\r\nCookie: a=b; t=token-value-1\r\nX-T: token-value-1\r\n"});
  flows.add({.method = "POST", .request_fields = kFormFields, .request_body = "a=1&csrf=token-value-1"});
  EXPECT_EQ(places(flows, "token-value-1"),
            (Lines{"response cookie t", "response json /data/list/0/access_token", "request path 1", "request query t",
                   "request header Authorization", "request cookie t", "request header X-T", "request form csrf"}));
}

TEST(Trace, HtmlIsReadByAttributesHiddenFieldsAndTexts) {
  Flows flows;
  flows.add({.response_fields = kHtmlFields,
             .response_body =
                 "<meta name=csrf content=token-value-1><form><input type=hidden name=_t value='token-value-1'>"
                 "</form><a href='/x?k=token-value-1'>go</a><p id=say>Code: token-value-1.</p>"
                 "<script>var t = 'token-value-1';</script>"});
  EXPECT_EQ(places(flows, "token-value-1"),
            (Lines{"response html meta[name=\"csrf\"]", "response html input[name=\"_t\"]", "response html a in k",
                   "response html p[id=\"say\"] word", "response html script word"}));
  bool hidden = false;
  flows.each([&](const FlowView& flow) {
    for (const TracedPlace& each : Tracer("token-value-1").look_at(flow).places) hidden |= each.place.hidden;
  });
  EXPECT_TRUE(hidden);
}

TEST(Trace, EncodingsAreNamedOutermostFirst) {
  const std::string value = "a+b/c&d=\"e\"";
  Flows flows;
  flows.add({.target = "/?v=a%2Bb%2Fc%26d%3D%22e%22",
             .request_fields = "Cookie: c=" + base64_encode(value) + "\r\nX-P: " + "YStiL2MmZD0iZSI%3D" + "\r\n",
             .response_fields = kJsonFields,
             .response_body = R"({"v":"a+b\/c&d=\"e\"","inner":"{\"w\":\"a+b/c&d=\\\"e\\\"\"}"})"});
  flows.add({.request_fields = "Authorization: Basic " + base64_encode("user:" + value) + "\r\n",
             .response_fields = kHtmlFields,
             .response_body = "<input name=v value=\"a+b/c&amp;d=&quot;e&quot;\">"});
  EXPECT_EQ(places(flows, value),
            (Lines{"request query v <percent", "request cookie c <base64", "request header X-P <percent <base64",
                   "response json /v <json", "response json /inner <json in /w", "request header Authorization <base64",
                   "response html input[name=\"v\"] <html"}));
}

TEST(Trace, ASecretIsNotFoundOutPieceByPiece) {
  Flows flows;
  flows.add({.request_fields = "Authorization: Bearer abcdefgh-ijklmnop\r\nCookie: s=abcdefgh.ijklmnop\r\n",
             .response_fields = kJsonFields,
             .response_body = R"({"password":"abcdefghijklmnop","n":"abcdefgh ijklmnop"})"});
  flows.add({.response_fields = kHtmlFields, .response_body = "<p>abcdefgh-ijklmnop abcdefgh.ijklmnop abcdefgh_x</p>"});
  EXPECT_EQ(places(flows, "abcdefgh"), Lines());
  EXPECT_EQ(places(flows, "ijklmnop"), Lines());
}

TEST(Trace, ValuesBelowEightOctetsAreNotLookedFor) {
  Flows flows;
  flows.add({.target = "/1234567?a=1234567"});
  EXPECT_EQ(places(flows, "1234567"), Lines());
  flows.add({.target = "/12345678"});
  EXPECT_EQ(places(flows, "12345678"), Lines{"request path 0"});
}

TEST(Trace, ClaimsOfATokenAndNumbersAreValues) {
  Flows flows;
  flows.add({.request_fields = "Authorization: Bearer " + base64url_encode(R"({"alg":"none"})") + "." +
                               base64url_encode(R"({"sub":"user-id-77"})") + ".x\r\n",
             .response_fields = kJsonFields,
             .response_body = R"({"id":1234567890})"});
  EXPECT_EQ(places(flows, "user-id-77"), Lines{"request header Authorization <jwt <json in /sub"});
  EXPECT_EQ(places(flows, "1234567890"), Lines{"response json /id"});
}

TEST(Trace, HostileTextsCostLittle) {
  Flows flows;
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "[";
  flows.add({.target = "/?a=" + std::string(60'000, '%') + "token-value-1",
             .request_fields = "X-A: " + std::string(50'000, '=') + "token-value-1\r\n",
             .response_fields = kJsonFields,
             .response_body = deep + "\"token-value-1\""});
  std::string many = "<p>";
  for (int i = 0; i < 20'000; ++i) many += "xtoken-value-1";
  flows.add({.response_fields = kHtmlFields, .response_body = many});
  EXPECT_LE(places(flows, "token-value-1").size(), 2u);
}

TEST(Trace, APlaceLeadsBackToItsValue) {
  Flows flows;
  flows.add({.target = "/a/b%20c?q=x+y",
             .request_fields = "Authorization: Bearer token-value-1\r\nCookie: s=1\r\n",
             .response_fields = std::string(kHtmlFields) + "Set-Cookie: t=2; Path=/\r\n",
             .response_body = "<input name=csrf value='a&amp;b'>"});
  flows.add({.response_fields = kJsonFields, .response_body = R"({"a/b":[{"c":"deep"}]})"});
  std::vector<std::string> got;
  flows.each([&](const FlowView& flow) {
    using enum PlaceKind;
    const std::tuple<flow::Direction, PlaceKind, const char*> asked[] = {
        {flow::Direction::kRequest, kPath, "1"},          {flow::Direction::kRequest, kQuery, "q"},
        {flow::Direction::kRequest, kCookie, "s"},        {flow::Direction::kRequest, kHeader, "authorization"},
        {flow::Direction::kResponse, kCookie, "t"},       {flow::Direction::kResponse, kHtml, "input[name=\"csrf\"]"},
        {flow::Direction::kResponse, kJson, "/a~1b/0/c"}, {flow::Direction::kResponse, kJson, "/nope"}};
    for (const auto& [message, kind, label] : asked) {
      if (const auto value = value_at(flow, message, kind, label)) got.push_back(*value);
    }
  });
  EXPECT_EQ(got, (Lines{"b c", "x y", "1", "token-value-1", "2", "a&b", "deep"}));
}

TEST(Trace, MoreThanAHundredPlacesOfAFlowAreCut) {
  std::string body = "[\"token-value-1\"";
  for (int i = 0; i < 200; ++i) body += ",\"token-value-1\"";
  Flows flows;
  flows.add({.response_fields = kJsonFields, .response_body = body + "]"});
  flows.each([&](const FlowView& flow) {
    const TracedFlow found = Tracer("token-value-1").look_at(flow);
    EXPECT_TRUE(found.cut);
    EXPECT_EQ(found.places.size(), kMostPlacesOfFlow);
  });
}

}  // namespace
}  // namespace sluice::analysis

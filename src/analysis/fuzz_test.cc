#include <gtest/gtest.h>

#include "analysis/fuzz_judge.h"
#include "analysis/fuzz_point.h"

namespace sluice::analysis {
namespace {

using std::chrono::milliseconds;

FuzzPayload text(std::string value) { return {std::move(value), std::nullopt, false, FuzzPayload::Proof::kNone, ""}; }

FuzzedRequest request(std::string target, std::string content = "") {
  FuzzedRequest made;
  made.target = std::move(target);
  made.fields.append("Host", "a");
  made.fields.append("Cookie", "a=1; sid=x");
  made.content = std::move(content);
  return made;
}
std::string put(FuzzedRequest made, const FuzzPoint& point, const FuzzPayload& payload) {
  const Status status = put_payload(made, point, payload);
  EXPECT_TRUE(status) << status.error().message;
  return point.location == FuzzLocation::kHeader || point.location == FuzzLocation::kCookie
             ? std::string(
                   made.fields.find(point.location == FuzzLocation::kCookie ? "cookie" : point.name).value_or(""))
         : made.content.empty() ? made.target
                                : made.content;
}

TEST(FuzzPoint, EachPlaceGetsThePayloadAndTheRestStays) {
  EXPECT_EQ(put(request("/p?a=1&b=&a=3&c"), {FuzzLocation::kQuery, "a", ""}, text("'&x")),
            "/p?a=%27%26x&b=&a=%27%26x&c");
  EXPECT_EQ(put(request("/p"), {FuzzLocation::kQuery, "new", ""}, text("v")), "/p?new=v");
  EXPECT_EQ(put(request("/users/42/x?q=1"), {FuzzLocation::kPath, "42", ""}, text("../a")), "/users/..%2Fa/x?q=1");
  EXPECT_EQ(put(request("/users/42/x"), {FuzzLocation::kPath, "2", ""}, text("y")), "/users/42/y");
  EXPECT_EQ(put(request("/p"), {FuzzLocation::kCookie, "sid", ""}, text("a;b")), "a=1; sid=a%3Bb");
  EXPECT_EQ(put(request("/p"), {FuzzLocation::kHeader, "X-A", ""}, text("v'")), "v'");
  FuzzedRequest form = request("/p", "a=1&b=2");
  form.fields.append("Content-Type", "Application/x-www-form-urlencoded; charset=utf-8");
  EXPECT_EQ(put(form, {FuzzLocation::kForm, "b", ""}, text("x y")), "a=1&b=x%20y");
  EXPECT_EQ(put(request("/p", R"({"a":{"b":[1,2]},"c":3})"), {FuzzLocation::kJson, "", "/a/b/1"}, text("\"")),
            R"({"a":{"b":[1,"\""]},"c":3})");
  EXPECT_EQ(put(request("/p", R"({"a":1})"), {FuzzLocation::kJson, "n", ""},
                FuzzPayload{"", Json::array(), false, FuzzPayload::Proof::kNone, ""}),
            R"({"a":1,"n":[]})");
}

TEST(FuzzPoint, APayloadThatIsEncodedIsNotEncodedAgain) {
  FuzzPayload payload = text("..%2fx");
  payload.is_encoded = true;
  EXPECT_EQ(put(request("/p?f=1"), {FuzzLocation::kQuery, "f", ""}, payload), "/p?f=..%2fx");
}

TEST(FuzzPoint, APlaceThatIsNotThereIsSaid) {
  FuzzedRequest made = request("/users/42");
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kPath, "nope", ""}, text("x")));
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kPath, "9", ""}, text("x")));
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kHeader, "X-A", ""}, text("a\r\nb: 1")));
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kHeader, "X A", ""}, text("a")));
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kQuery, "", ""}, text("x"))) << "no name";
  for (const char* type : {"multipart/form-data; boundary=B", "application/json", "text/plain"}) {
    FuzzedRequest other = request("/p", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B--\r\n");
    other.fields.append("Content-Type", type);
    const Status put = put_payload(other, {FuzzLocation::kForm, "a", ""}, text("x"));
    ASSERT_FALSE(put) << type;
    EXPECT_NE(put.error().message.find("x-www-form-urlencoded"), std::string::npos) << put.error().message;
  }
  made.content = "no json";
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kJson, "a", ""}, text("x")));
  made.content = "[1]";
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kJson, "a", ""}, text("x")));
  EXPECT_FALSE(put_payload(made, {FuzzLocation::kJson, "", "/3"}, text("x")));
}

TEST(FuzzPayloads, NoneCanChangeDataAndEachClassHasSome) {
  for (const char* name : {"sqli", "xss", "path_traversal", "command_injection", "ssti", "open_redirect",
                           "header_injection", "type_confusion", "boundary"}) {
    const auto kind = find_fuzz_class(name);
    ASSERT_TRUE(kind) << name;
    const auto payloads = fuzz_payloads(*kind, "slc12345678");
    EXPECT_GE(payloads.size(), 5u) << name;
    for (const FuzzPayload& payload : payloads) {
      for (const char* verb :
           {"DROP", "DELETE", "INSERT", "UPDATE", "ALTER", "TRUNCATE", "rm ", "wget", "curl", "> "}) {
        EXPECT_EQ(payload.text.find(verb), std::string::npos) << payload.text;
      }
    }
  }
  EXPECT_FALSE(find_fuzz_class("nope"));
}

FuzzAnswer answer(int status, std::string content, milliseconds time = milliseconds(10)) {
  FuzzAnswer made;
  made.status = status;
  made.size = content.size();
  made.text = std::move(content);
  made.time = time;
  made.fields.append("Content-Type", "text/html");
  return made;
}
FuzzBaseline baseline(int status = 200, const std::string& content = std::string(200, 'a')) {
  FuzzBaseline made;
  for (int i = 0; i < 3; ++i) made.add(answer(status, content));
  return made;
}
std::vector<std::string> kinds(const FuzzBaseline& base, const FuzzPayload& payload, const FuzzAnswer& got) {
  std::vector<std::string> list;
  for (const FuzzFinding& finding : judge(base, payload, got)) list.push_back(finding.kind);
  return list;
}
using Kinds = std::vector<std::string>;

TEST(FuzzJudge, WhatIsAsTheBaselineIsNoFinding) {
  EXPECT_EQ(kinds(baseline(), text("'"), answer(200, std::string(210, 'a'))), Kinds{});
  // W7: a captured 404 makes no anomaly of every 404.
  EXPECT_EQ(kinds(baseline(404), text("'"), answer(404, std::string(200, 'a'))), Kinds{});
}

TEST(FuzzJudge, StatusLengthTimeAndErrorsAreFindings) {
  EXPECT_EQ(kinds(baseline(), text("'"), answer(500, std::string(200, 'a'))), Kinds{"server_error"});
  EXPECT_EQ(kinds(baseline(), text("'"), answer(403, std::string(200, 'a'))), Kinds{"status"});
  EXPECT_EQ(kinds(baseline(), text("'"), answer(200, std::string(300, 'a'))), Kinds{"length"});
  EXPECT_EQ(kinds(baseline(), text("'"), answer(200, std::string(200, 'a'), milliseconds(1'500))), Kinds{"time"});
  EXPECT_EQ(kinds(baseline(), text("'"), answer(200, "sqlite3.OperationalError: x" + std::string(180, 'a'))),
            Kinds{"error_signature"});
}

TEST(FuzzJudge, ASizeThatVariesByItselfIsNoFinding) {
  FuzzBaseline base;
  for (const std::size_t size : {100u, 300u, 200u}) base.add(answer(200, std::string(size, 'a')));
  EXPECT_EQ(kinds(base, text("'"), answer(200, std::string(500, 'a'))), Kinds{});
}

TEST(FuzzJudge, AReflectionNamesItsContext) {
  const std::string payload = "<svg onload=1>";
  const auto findings =
      judge(baseline(), text(payload), answer(200, "<p>you said " + payload + "</p>" + std::string(170, 'a')));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, "reflection");
  EXPECT_NE(findings[0].message.find("HTML text"), std::string::npos) << findings[0].message;
  const auto script =
      judge(baseline(), text("'-alert(1)-'"), answer(200, "<script>var a = ''-alert(1)-'';" + std::string(170, 'a')));
  EXPECT_NE(script.at(0).message.find("a script"), std::string::npos);
}

TEST(FuzzJudge, ProofIsWhatOnlyAPayloadThatWorkedMakes) {
  FuzzPayload sum = text("slc{{191*7}}slc");
  sum.proof = FuzzPayload::Proof::kText;
  sum.expects = "slc1337slc";
  EXPECT_EQ(kinds(baseline(), sum, answer(200, "slc1337slc" + std::string(190, 'a'))), Kinds{"proof"});
  EXPECT_EQ(kinds(baseline(200, "slc1337slc" + std::string(190, 'a')), sum,
                  answer(200, "slc1337slc" + std::string(190, 'a'))),
            Kinds{});
  FuzzPayload redirect = text("//m.example/");
  redirect.proof = FuzzPayload::Proof::kLocation;
  redirect.expects = "m.example";
  for (const auto& [location, proven] :
       std::vector<std::pair<std::string, bool>>{{"https://m.example/", true},
                                                 {"//m.example/x", true},
                                                 {"/\\m.example", true},
                                                 {"https://a@m.example/", true},
                                                 {"/login?next=//m.example/", false},
                                                 {"https://a.example/?u=m.example", false},
                                                 {"/m.example/", false}}) {
    FuzzAnswer got = answer(200, std::string(200, 'a'));
    got.fields.append("Location", location);
    EXPECT_EQ(kinds(baseline(), redirect, got), proven ? Kinds{"proof"} : Kinds{}) << location;
  }
  FuzzPayload sleep = text("' AND SLEEP(3)-- -");
  sleep.proof = FuzzPayload::Proof::kDelay;
  EXPECT_EQ(kinds(baseline(), sleep, answer(200, std::string(200, 'a'), milliseconds(3'050))), Kinds{"proof"});
  EXPECT_EQ(kinds(baseline(), sleep, answer(200, std::string(200, 'a'), milliseconds(1'500))), Kinds{});
}

}  // namespace
}  // namespace sluice::analysis

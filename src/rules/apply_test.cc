#include "rules/apply.h"

#include <gtest/gtest.h>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

RuleBook::Plan plan_of(std::string_view handler, OnMatch on_match = OnMatch::kStop) {
  return plan_with(spec("{}", handler), on_match);
}

void add_line(http::FieldList& fields, std::string_view line) {
  const std::size_t colon = line.find(':');
  std::size_t begin = colon + 1;
  while (line[begin] == ' ') ++begin;
  fields.append_raw(line, colon, begin, line.size() - 2 - begin);
}

http::RequestHead request_head() {
  http::RequestHead head;
  head.method = "GET";
  head.target = "/a";
  head.start_line = "GET  /a HTTP/1.1\r\n";
  for (const char* line : {"HOST:   a.example\r\n", "x-A: 1\r\n", "Accept:*/*\r\n", "X-a: 2\r\n", "Cookie: c\r\n"}) {
    add_line(head.fields, line);
  }
  return head;
}

std::string raw(const http::FieldList& fields) {
  std::string all;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    all += fields.raw_line(i).empty() ? "[" + std::string(fields.name(i)) + "=" + std::string(fields.value(i)) + "]"
                                      : std::string(fields.raw_line(i));
  }
  return all;
}

TEST(EditRequest, ReplacesInPlaceAndLeavesTheRestOctetForOctet) {
  auto head = request_head();
  edit_request(plan_of(R"({"type":"passthrough","transformRequest":{"updateHeaders":{"X-A":"new","cookie":null,
      "Added":"yes"}}})"),
               head);
  EXPECT_EQ(raw(head.fields), "HOST:   a.example\r\n[x-A=new]Accept:*/*\r\n[Added=yes]");
  EXPECT_EQ(head.start_line, "GET  /a HTTP/1.1\r\n");
}

TEST(EditRequest, WhatIsAlreadySoKeepsItsOctets) {
  auto head = request_head();
  edit_request(plan_of(R"({"type":"passthrough","transformRequest":{"replaceMethod":"GET",
      "updateHeaders":{"host":"a.example","absent":null}}})"),
               head);
  EXPECT_EQ(raw(head.fields), raw(request_head().fields));
  EXPECT_FALSE(head.start_line.empty());
}

TEST(EditRequest, ReplacesTheMethodAndClearsOnlyTheStartLine) {
  auto head = request_head();
  edit_request(plan_of(R"({"type":"forward","forwardTo":"b","transformRequest":{"replaceMethod":"PUT"}})"), head);
  EXPECT_EQ(head.method, "PUT");
  EXPECT_EQ(head.start_line, "");
  EXPECT_EQ(raw(head.fields), raw(request_head().fields));
}

TEST(EditRequest, AMockIgnoresItsTransforms) {
  const auto plan = plan_of(R"({"type":"mock","transformRequest":{"replaceMethod":"PUT"}})");
  EXPECT_FALSE(plan.edits_request_head());
  auto head = request_head();
  edit_request(plan, head);
  EXPECT_EQ(head.method, "GET");
}

TEST(EditRequest, RulesApplyInTheirOrder) {
  auto plan =
      plan_of(R"({"type":"passthrough","transformRequest":{"updateHeaders":{"v":"1","w":"1"}}})", OnMatch::kContinue);
  const auto second = plan_of(R"({"type":"passthrough","transformRequest":{"updateHeaders":{"v":"2"}}})");
  plan.applied.push_back(second.stopped);
  http::RequestHead head;
  edit_request(plan, head);
  EXPECT_EQ(raw(head.fields), "[v=2][w=1]");
}

http::ResponseHead response_head(int status) {
  http::ResponseHead head;
  head.status = status;
  head.reason = "Odd";
  head.start_line = "HTTP/1.1 " + std::to_string(status) + " Odd\r\n";
  add_line(head.fields, "Content-length: 5\r\n");
  add_line(head.fields, "Set-Cookie: a\r\n");
  add_line(head.fields, "set-cookie: b\r\n");
  return head;
}

TEST(EditResponse, ReplacesTheStatusWithItsStandardPhrase) {
  auto head = response_head(200);
  const auto plan = plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":404}})");
  EXPECT_EQ(edit_response(plan, head), AnswerBody::kKeep);
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not Found");
  EXPECT_EQ(head.start_line, "");
  EXPECT_EQ(raw(head.fields), raw(response_head(200).fields));
}

TEST(EditResponse, TheSameStatusTouchesNothing) {
  auto head = response_head(404);
  edit_response(plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":404}})"), head);
  EXPECT_EQ(head.reason, "Odd");
  EXPECT_FALSE(head.start_line.empty());
}

TEST(EditResponse, AStatusWithoutContentDropsTheBody) {
  auto head = response_head(200);
  EXPECT_EQ(edit_response(plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":204}})"), head),
            AnswerBody::kDrop);
  EXPECT_EQ(raw(head.fields), "Set-Cookie: a\r\nset-cookie: b\r\n");
  head = response_head(200);
  EXPECT_EQ(edit_response(plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":205}})"), head),
            AnswerBody::kDrop);
  EXPECT_EQ(head.fields.find("content-length"), "0");
}

TEST(EditResponse, AnAnswerThatHadNoContentPromisesNone) {
  auto head = response_head(304);  // its Content-Length is that of something that does not come
  EXPECT_EQ(edit_response(plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":200}})"), head),
            AnswerBody::kKeep);
  EXPECT_EQ(head.fields.find("content-length"), "0");
}

// --- mocks ---

MockAnswer mock(std::string_view handler, std::string_view method = "GET") {
  return mock_answer(spec("{}", handler).handler, method);
}

TEST(MockAnswer, SendsTheGivenFieldsAndALength) {
  const auto answer = mock(R"({"type":"mock","body":"hé","headers":{"X-B":"1","content-type":"text/plain"}})");
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.head.reason, "OK");
  EXPECT_EQ(raw(answer.head.fields), "[X-B=1][content-type=text/plain][Content-Length=3]");
  EXPECT_EQ(answer.body, "hé");
  EXPECT_EQ(raw(mock(R"({"type":"mock"})").head.fields), "[Content-Length=0]");
}

TEST(MockAnswer, HeadHasTheLengthWithoutTheBody) {
  const auto answer = mock(R"({"type":"mock","body":"hello"})", "HEAD");
  EXPECT_EQ(answer.head.fields.find("content-length"), "5");
  EXPECT_EQ(answer.body, "");
}

TEST(MockAnswer, StatusesWithoutContentHaveNone) {
  const auto none = mock(R"({"type":"mock","status":204,"body":"x","headers":{"content-length":"1"}})");
  EXPECT_TRUE(none.head.fields.empty());
  EXPECT_EQ(none.body, "");
  const auto unchanged = mock(R"({"type":"mock","status":304,"body":"x","headers":{"content-length":"9"}})");
  EXPECT_EQ(raw(unchanged.head.fields), "[content-length=9]");
  EXPECT_EQ(unchanged.body, "");
  const auto reset = mock(R"({"type":"mock","status":205,"body":"x"})");
  EXPECT_EQ(raw(reset.head.fields), "[Content-Length=0]");
  EXPECT_EQ(reset.body, "");
}

TEST(MockAnswer, NeverLiesAboutItsLength) {
  const auto answer =
      mock(R"({"type":"mock","body":"abc","headers":{"Content-Length":"999","Transfer-Encoding":"chunked","A":"b"}})");
  EXPECT_EQ(raw(answer.head.fields), "[Content-Length=3][A=b]");
}

TEST(MockAnswer, GetsTheEditsOfContinueRules) {
  auto plan = plan_of(R"({"type":"passthrough","transformResponse":{"updateHeaders":{"x-all":"1"},
      "matchReplaceBody":[["b","BB"]]}})",
                      OnMatch::kContinue);
  const auto mock_plan = plan_of(R"({"type":"mock","body":"abc","transformResponse":{"replaceStatus":500}})");
  plan.applied.push_back(mock_plan.stopped);
  plan.stopped = mock_plan.stopped;
  const auto answer = mock_answer(plan, "GET");
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(raw(answer.head.fields), "[Content-Length=4][x-all=1]");
  EXPECT_EQ(answer.body, "aBBc");
  const auto head = mock_answer(plan, "HEAD");
  EXPECT_EQ(head.head.fields.find("content-length"), "4");
  EXPECT_EQ(head.body, "");
}

TEST(EditResponse, AnUpgradeKeepsItsStatus) {
  auto head = response_head(101);
  edit_response(plan_of(R"({"type":"passthrough","transformResponse":{"replaceStatus":404}})"), head);
  EXPECT_EQ(head.status, 101);
  EXPECT_FALSE(head.start_line.empty());
}

// --- forward ---

std::string target(std::string_view text) {
  const auto parsed = parse_forward_target(text);
  if (!parsed) return "refused: " + parsed.error().message;
  return parsed->scheme + "|" + parsed->host + "|" + std::to_string(parsed->port);
}

TEST(ForwardTarget, ReadsHostPortAndScheme) {
  EXPECT_EQ(target("b.example"), "|b.example|0");
  EXPECT_EQ(target("B.example:8080"), "|b.example|8080");
  EXPECT_EQ(target("HTTPS://b.example"), "https|b.example|0");
  EXPECT_EQ(target("http://b.example:1/"), "http|b.example|1");
  EXPECT_EQ(target("http://b.example:2"), "http|b.example|2");
  EXPECT_EQ(target("http://[::1]:8080"), "http|::1|8080");
  EXPECT_EQ(target("[::1]"), "|::1|0");
  EXPECT_EQ(target("::1"), "|::1|0");
  EXPECT_EQ(target("127.0.0.1:80"), "|127.0.0.1|80");
}

TEST(ForwardTarget, RefusesWhatIsNoTarget) {
  for (const char* bad : {"", "http://", "b/path", "http://b/path", "b?x", "ftp://b", "user@b", "http://u:p@b", "b:0",
                          "b:99999", "b:x", "a b", "*.example", "http://b#f", "//b", "b\r\nX: y"}) {
    EXPECT_TRUE(target(bad).starts_with("refused: ")) << bad << " " << target(bad);
  }
}

TEST(ForwardTarget, GivesItsHostToTheRequest) {
  auto head = request_head();
  apply_forward(*parse_forward_target("https://b.example"), "http", head);
  EXPECT_EQ(head.fields.find("host"), "b.example");
  EXPECT_EQ(head.fields.name(0), "HOST");
  apply_forward(*parse_forward_target("b.example:443"), "https", head);
  EXPECT_EQ(head.fields.find("host"), "b.example");
  apply_forward(*parse_forward_target("b.example:443"), "http", head);
  EXPECT_EQ(head.fields.find("host"), "b.example:443");
  apply_forward(*parse_forward_target("[::1]:8080"), "http", head);
  EXPECT_EQ(head.fields.find("host"), "[::1]:8080");
  EXPECT_EQ(head.target, "/a");
  const auto plan = plan_of(R"({"type":"forward","forwardTo":"c:1"})");
  EXPECT_EQ(forward_target(plan)->host, "c");
  EXPECT_FALSE(forward_target(plan_of(R"({"type":"drop"})")));
}

}  // namespace
}  // namespace sluice::rules

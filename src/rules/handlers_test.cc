// What engine.md 6 adds to the contract's rules: handlers, transforms and matchers, and what contradicts itself.
#include <gtest/gtest.h>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

std::string refusal(std::string_view matcher, std::string_view handler) {
  auto program = compile_rule(spec(matcher, handler));
  return program ? "" : program.error().message;
}
std::string refusal(std::string_view handler) { return refusal("{}", handler); }

std::string body_after(std::string_view transform, std::string_view body, std::string_view coding = "") {
  const auto plan =
      plan_with(spec("{}", R"({"type":"passthrough","transformResponse":)" + std::string(transform) + "}"));
  http::FieldList fields;
  if (!coding.empty()) fields.append("Content-Encoding", coding);
  const auto out = edit_response_body(plan, fields, body);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? *out : "";
}

TEST(BodyEdits, AreMadeInTheirOrder) {
  EXPECT_EQ(body_after(R"({"setBody":"new"})", "old"), "new");
  EXPECT_EQ(body_after(R"({"setBody":""})", "old"), "");
  EXPECT_EQ(body_after(R"j({"regexReplaceBody":[["(\\d+)","<$1>"]]})j", "a1b22"), "a<1>b<22>");
  EXPECT_EQ(body_after(R"({"jsonEdits":[{"op":"set","pointer":"/a","value":null},{"op":"remove","pointer":"/b"}]})",
                       R"({"a":1,"b":2})"),
            R"({"a":null})");
  EXPECT_EQ(body_after(R"({"jsonEdits":[{"op":"set","pointer":"/n","value":3}],
                           "regexReplaceBody":[["^.*$","{}"]],
                           "matchReplaceBody":[["new","text"]],
                           "setBody":"new"})",
                       "old"),
            R"({"n":3})");
}

TEST(BodyEdits, SetBodyNeedsNoBodyThatCanBeRead) {
  EXPECT_EQ(body_after(R"({"setBody":"new"})", "\x1f\x8b broken", "identity"), "new");
}

TEST(Rewrites, MakeAnotherUrl) {
  const auto rewritten = [](std::string_view pattern, std::string_view with) -> std::string {
    RuleSpec made = spec("{}", R"({"type":"rewrite","urlPattern":"x"})");
    made.handler.url_pattern = pattern;
    made.handler.replacement = with;
    const auto url = rewritten_url(plan_with(std::move(made)), {"https", "example.com", 443, "/v1/a?b=1"});
    if (!url) return url.error().message;
    return *url ? to_string(**url) : "none";
  };
  EXPECT_EQ(rewritten("/v1/", "/v2/"), "https://example.com/v2/a?b=1");
  EXPECT_EQ(rewritten("^https://example\\.com/(.*)", "http://127.0.0.1:8000/mirror/$1"),
            "http://127.0.0.1:8000/mirror/v1/a?b=1");
  EXPECT_EQ(rewritten("^.*$", "/other"), "https://example.com/other");
  EXPECT_EQ(rewritten("nothing", "x"), "none");
  EXPECT_EQ(rewritten("^https", "ws"), "the rewritten URL must begin with http:// or https://");
  EXPECT_TRUE(rewritten("^.*$", "no url").starts_with("the rewritten URL is none: "));
}

TEST(Messages, AreEditedByDirection) {
  const auto plan = plan_with(spec("{}", R"({"type":"passthrough","transformMessage":
      {"direction":"request","regexReplace":[["p(.)ng","$1"]]}})"));
  EXPECT_EQ(edit_message(plan, true, "ping pong"), "i o");
  EXPECT_EQ(edit_message(plan, true, "other"), std::nullopt);
  EXPECT_EQ(edit_message(plan, false, "ping"), std::nullopt);
}

TEST(Answers, RedirectsNameTheirLocation) {
  const auto plan = plan_with(spec("{}", R"({"type":"redirect","location":"https://elsewhere.test/"})"));
  const auto answer = mock_answer(plan, "GET");
  EXPECT_EQ(answer.head.status, 302);
  EXPECT_EQ(answer.head.fields.find("location"), "https://elsewhere.test/");
  EXPECT_EQ(answer.head.fields.find("content-length"), "0");
  EXPECT_EQ(
      mock_answer(plan_with(spec("{}", R"({"type":"redirect","status":308,"location":"/x"})")), "GET").head.status,
      308);
}

TEST(Answers, FilesAreMocks) {
  const auto plan = plan_with(spec("{}", R"({"type":"file","path":"a/b.json","headers":{"content-type":"x/y"}})"));
  const std::string content = "content";
  const auto answer = mock_answer(plan, "GET", &content);
  EXPECT_EQ(answer.body, "content");
  EXPECT_EQ(answer.head.fields.find("content-type"), "x/y");
  EXPECT_EQ(answer.head.fields.find("content-length"), "7");
}

TEST(AnswerRules, AreAskedWhenThereIsAStatus) {
  Store store;
  RuleSpec other = spec(R"({"hostname":"example.com"})");
  other.priority = 200;
  store.add(other);
  const auto rule = store.add(spec(R"({"statusCode":404,"pathPattern":"^/a"})",
                                   R"({"type":"passthrough","transformResponse":{"replaceStatus":200}})"));
  Request request;
  request.target = "/a";
  auto plan = store.plan(request);
  ASSERT_EQ(plan.applied.size(), 1u) << "the rule with a status waits for the answer";
  EXPECT_FALSE(plan.edits_response_head());
  request.status = 500;
  EXPECT_FALSE(plan.match_answer(request.subject(), 0));
  request.status = 404;
  EXPECT_TRUE(plan.match_answer(request.subject(), 0));
  EXPECT_TRUE(plan.edits_response_head());
  EXPECT_EQ(rule->hits->sum(), 1u);
  request.target = "/b";
  auto elsewhere = store.plan(request);
  EXPECT_FALSE(elsewhere.match_answer(request.subject(), 0));
}

TEST(AnswerRules, KeepAnAnswerFromTheClient) {
  Store store;
  store.add(spec(R"({"hostname":"example.com"})"));
  const auto rule = store.add(spec(R"({"phase":"response","pathPattern":"^/a"})", R"({"type":"abort"})"));
  EXPECT_FALSE(store.rules.book()->may_answer("example.com")) << "it is the origin that answers";
  Request request;
  request.target = "/a";
  auto plan = store.plan(request);
  EXPECT_EQ(plan.answer_block(), nullptr);
  request.status = 204;
  EXPECT_TRUE(plan.match_answer(request.subject(), 0));
  EXPECT_EQ(plan.answer_block(), rule);
}

TEST(Matchers, KnowTheProtocol) {
  Store store;
  store.add(spec(R"({"protocol":"h2"})"));
  Request request;
  EXPECT_FALSE(store.matches(request));
  request.protocol = "h2";
  EXPECT_TRUE(store.matches(request));
}

TEST(Plans, SumUpDelaysAndTakeTheSlowestThrottle) {
  Store store;
  RuleSpec first = spec("{}", R"({"type":"passthrough","delayMs":20,"throttle":{"responseBytesPerSecond":1000}})");
  first.on_match = OnMatch::kContinue;
  store.add(first);
  store.add(spec("{}", R"({"type":"hold","holdOn":"both","timeoutMs":500,"delayMs":30,
                           "throttle":{"requestBytesPerSecond":5,"responseBytesPerSecond":2000}})"));
  const auto plan = store.plan(Request{});
  EXPECT_EQ(plan.delay(), std::chrono::milliseconds(50));
  EXPECT_EQ(plan.throttle().request, 5u);
  EXPECT_EQ(plan.throttle().response, 1000u);
  EXPECT_TRUE(plan.holds(HoldOn::kRequest) && plan.holds(HoldOn::kResponse));
  EXPECT_EQ(plan.hold_time(), std::chrono::milliseconds(500));
}

TEST(Rules, ThatCouldNotWorkAreRefused) {
  EXPECT_EQ(refusal(R"({"type":"redirect"})"), "handler.location is required for redirect");
  EXPECT_EQ(refusal(R"({"type":"redirect","location":"/x","status":200})"),
            "handler.status of a redirect must be from 300 to 399, but not 304");
  EXPECT_TRUE(refusal(R"({"type":"redirect","location":"/a\r\nSet-Cookie: x"})").starts_with("handler.location"));
  EXPECT_EQ(refusal(R"({"type":"rewrite"})"), "handler.urlPattern is required for rewrite");
  EXPECT_TRUE(
      refusal(R"j({"type":"rewrite","urlPattern":"(?=a)","replacement":""})j").starts_with("handler.urlPattern: "));
  EXPECT_EQ(refusal(R"({"type":"mock","location":"/x"})"), "handler.location is for redirect");
  EXPECT_EQ(refusal(R"({"type":"passthrough","timeoutMs":5})"), "handler.timeoutMs is for hold");
  EXPECT_EQ(refusal(R"({"type":"mock","transformMessage":{"regexReplace":[["a","b"]]}})"),
            "handler.transformMessage is for what goes on to a server");
  EXPECT_TRUE(refusal(R"({"type":"passthrough","transformRequest":{"regexReplaceBody":[["(a","b"]]}})")
                  .starts_with("handler.transformRequest.regexReplaceBody: "));
  EXPECT_EQ(refusal(R"({"type":"passthrough","transformRequest":{"jsonEdits":[{"op":"remove","pointer":"a"}]}})"),
            "handler.transformRequest.jsonEdits: a JSON pointer begins with / (RFC 6901)");
  for (const char* bad : {"", "/", "a/", "../x", "/a/../../x", "a//b", "./a", "a/."}) {
    EXPECT_NE(refusal(R"({"type":"file","path":")" + std::string(bad) + R"("})"), "") << bad;
  }
  EXPECT_EQ(refusal(R"({"type":"file","path":"a/b.json"})"), "");
  EXPECT_EQ(refusal(R"({"protocol":"gopher"})", R"({"type":"drop"})"),
            "matcher.protocol must be http/1.1, h2 or websocket");
  const std::string elsewhere = R"({"type":"redirect","location":"/"})";
  EXPECT_TRUE(refusal(R"({"statusCode":404})", elsewhere).starts_with("matcher.statusCode is known when"));
  EXPECT_TRUE(refusal(R"({"phase":"response"})", elsewhere).starts_with("matcher.phase response is known when"));
  EXPECT_EQ(matcher_from_json(*parse_json(R"({"phase":"later"})", JsonLimits{})).error().message,
            "matcher.phase must be response: without it a rule is asked when the request is there");
  EXPECT_TRUE(refusal(R"({"statusCode":404,"bodyIncludes":"x"})", R"({"type":"passthrough"})")
                  .starts_with("matcher.statusCode is asked when"));
}

TEST(Rules, SayOfTheirNewFieldsWhatTheyWereTold) {
  const std::string_view text =
      R"({"type":"hold","holdOn":"both","timeoutMs":500,"delayMs":30,"throttle":{"requestBytesPerSecond":5},)"
      R"("transformRequest":{"setBody":"","regexReplaceBody":[["a","b"]],)"
      R"("jsonEdits":[{"op":"set","pointer":"/a","value":null},{"op":"remove","pointer":"/b"}]},)"
      R"("transformMessage":{"direction":"response","regexReplace":[["a","b"]]}})";
  EXPECT_EQ(dump_json(to_json(spec("{}", text).handler)), text);
  EXPECT_EQ(dump_json(to_json(spec(R"({"protocol":"h2","statusCode":404,"phase":"response"})").matcher)),
            R"({"protocol":"h2","statusCode":404,"phase":"response"})");
}

}  // namespace
}  // namespace sluice::rules

#include "rules/rule_json.h"

#include <gtest/gtest.h>

#include "rules/rules_test_support.h"

namespace sluice::rules {
namespace {

TEST(RuleJson, WritesTheContractsKeysInItsOrder) {
  Store store;
  RuleSpec made = spec(
      R"({"headers":{"X-A":"1"},"method":"GET","urlPattern":"u","hostname":"h","pathPattern":"p","bodyIncludes":"b"})",
      R"({"type":"forward","forwardTo":"b:1","transformRequest":{"matchReplaceBody":[["a","b"]],
           "replaceMethod":"PUT","updateHeaders":{"x":null,"y":"1"}},"transformResponse":{"replaceStatus":201}})");
  made.description = "d";
  EXPECT_EQ(
      dump_json(to_json(*store.add(made))),
      R"({"priority":100,"enabled":true,"description":"d","matcher":{"method":"GET","urlPattern":"u","hostname":"h",)"
      R"("pathPattern":"p","headers":{"X-A":"1"},"bodyIncludes":"b"},"handler":{"type":"forward","forwardTo":"b:1",)"
      R"("transformRequest":{"updateHeaders":{"x":null,"y":"1"},"replaceMethod":"PUT","matchReplaceBody":[["a","b"]]},)"
      R"("transformResponse":{"replaceStatus":201}},"id":"rule_1","hitCount":0,"createdAt":1700000000000})");
  RuleSpec global = spec("{}", R"({"type":"passthrough"})");
  global.priority = 1.5;
  global.on_match = OnMatch::kContinue;
  EXPECT_EQ(dump_json(to_json(*store.add(global))),
            R"({"priority":1.5,"enabled":true,"description":"","matcher":{},"handler":{"type":"passthrough"},)"
            R"("id":"rule_2","hitCount":0,"createdAt":1700000000000,"on_match":"continue"})");
}

TEST(RuleJson, ReadsBackWhatItWrites) {
  const Json handler = json(R"({"type":"mock","status":201,"body":"","headers":{"b":"1","a":"2"}})");
  EXPECT_EQ(to_json(*handler_from_json(handler)), handler);
  EXPECT_EQ(dump_json(to_json(*handler_from_json(handler))), dump_json(handler));
  EXPECT_EQ(handler_from_json(json(R"({"type":"mock","status":201.9})"))->status, 201);
}

std::string matcher_refusal(std::string_view text) {
  const auto parsed = matcher_from_json(json(text));
  return parsed ? "" : parsed.error().message;
}
std::string handler_refusal(std::string_view text) {
  const auto parsed = handler_from_json(json(text));
  return parsed ? "" : parsed.error().message;
}

TEST(RuleJson, UnknownKeysAreRefusedWithTheNearestName) {
  EXPECT_EQ(matcher_refusal(R"({"urlpattern":"x"})"),
            R"(unknown key "urlpattern" in matcher; did you mean "urlPattern"?)");
  EXPECT_EQ(handler_refusal(R"({"type":"mock","header":{}})"),
            R"(unknown key "header" in handler; did you mean "headers"?)");
  EXPECT_EQ(handler_refusal(R"({"type":"mock","transformResponse":{"replaceStatuss":1}})"),
            R"(unknown key "replaceStatuss" in handler.transformResponse; did you mean "replaceStatus"?)");
  EXPECT_NE(handler_refusal(R"({"type":"mock","transformRequest":{"replaceStatus":1}})"), "");
}

TEST(RuleJson, WrongTypesAreNamed) {
  EXPECT_EQ(matcher_refusal("[]"), "matcher must be an object");
  EXPECT_EQ(matcher_refusal(R"({"method":1})"), "matcher.method must be a string");
  EXPECT_EQ(matcher_refusal(R"({"headers":{"a":null}})"), "matcher.headers.a must be a string");
  EXPECT_EQ(handler_refusal("{}"),
            "handler.type is required: passthrough, mock, forward, drop, abort, redirect, file, rewrite or hold");
  EXPECT_EQ(handler_refusal(R"({"type":"bounce"})"),
            "handler.type must be passthrough, mock, forward, drop, abort, redirect, file, rewrite or hold");
  EXPECT_EQ(handler_refusal(R"({"type":"mock","status":"200"})"), "handler.status must be a number");
  EXPECT_NE(handler_refusal(R"({"type":"mock","status":1e99})"), "");
  EXPECT_NE(handler_refusal(R"({"type":"mock","status":-5})"), "");
  EXPECT_NE(handler_refusal(R"({"type":"passthrough","transformRequest":{"matchReplaceBody":[["a"]]}})"), "");
  EXPECT_NE(handler_refusal(R"({"type":"passthrough","transformRequest":{"matchReplaceBody":{"a":"b"}}})"), "");
  EXPECT_EQ(handler_refusal(R"({"type":"passthrough","transformRequest":{"updateHeaders":{"a":1}}})"),
            "handler.transformRequest.updateHeaders.a must be a string or null");
}

}  // namespace
}  // namespace sluice::rules

#include "gateway/relay_rules.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

bool nothing(std::string_view) { return false; }
bool everything(std::string_view) { return true; }

TEST(RelayRules, ANoticeGoesWithTheMethodThatOpensIt) {
  EXPECT_EQ(governing_method("notifications/resources/updated"), "resources/subscribe");
  EXPECT_EQ(governing_method("notifications/message"), "logging/setLevel");
  EXPECT_EQ(governing_method("resources/unsubscribe"), "resources/subscribe");
  EXPECT_EQ(governing_method("odd/method"), "odd/method");
  EXPECT_EQ(governing_method("tools/call"), "tools/call");
}

TEST(RelayRules, WhatIsClosedIsTakenOutOfCapabilitiesAndNothingElse) {
  const Json offered = *parse_json(
      R"({"tools":{"listChanged":true},"resources":{"subscribe":true,"x":1},"prompts":{},"completions":{},"logging":{},)"
      R"("tasks":{},"experimental":{},"extensions":{}})");
  Json closed = offered, open = offered, reading = offered;
  close_server_capabilities(closed, nothing);
  // Tasks are as open as the calls that make them (gate.md 9).
  EXPECT_EQ(dump_json(closed), R"({"tools":{"listChanged":true},"tasks":{}})");
  Json extended = *parse_json(R"({"extensions":{"odd":{},"io.modelcontextprotocol/tasks":{"a":1}}})");
  close_server_capabilities(extended, nothing);
  EXPECT_EQ(dump_json(extended), R"({"extensions":{"io.modelcontextprotocol/tasks":{"a":1}}})");
  close_server_capabilities(open, everything);
  EXPECT_EQ(open, offered);
  close_server_capabilities(reading, [](std::string_view method) { return method == "resources/read"; });
  EXPECT_EQ(dump_json(reading), R"({"tools":{"listChanged":true},"resources":{"x":1},"tasks":{}})");
}

TEST(RelayRules, TasksAreOfferedInEitherErasWay) {
  EXPECT_TRUE(offers_tasks(*parse_json(R"({"tasks":{}})")));
  EXPECT_TRUE(offers_tasks(*parse_json(R"({"extensions":{"io.modelcontextprotocol/tasks":{}}})")));
  EXPECT_FALSE(offers_tasks(*parse_json(R"({"tools":{},"extensions":{}})")));
}

TEST(RelayRules, AClientsCapabilitiesAreClosedInBothEras) {
  Json legacy = *parse_json(R"({"capabilities":{"sampling":{},"elicitation":{},"roots":{},"tasks":{},"odd":1}})");
  close_request("initialize", legacy, nothing);
  EXPECT_EQ(dump_json(legacy), R"({"capabilities":{"odd":1}})");
  Json modern = *parse_json(
      R"({"_meta":{"io.modelcontextprotocol/clientCapabilities":{"sampling":{},"odd":1},"k":1},"name":"t"})");
  close_request("tools/call", modern, nothing);
  EXPECT_EQ(dump_json(modern),
            R"({"_meta":{"io.modelcontextprotocol/clientCapabilities":{"odd":1},"k":1},"name":"t"})");
}

TEST(RelayRules, AListenHearsOnlyOfWhatIsOpen) {
  Json params = *parse_json(
      R"({"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a:b"]}})");
  close_request("subscriptions/listen", params, nothing);
  EXPECT_EQ(dump_json(params), R"({"notifications":{"toolsListChanged":true}})");
}

TEST(RelayRules, AnotherRequestsMetaIsTheConnectionsOwn) {
  const Json params = *parse_json(
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":1,"traceparent":"x"}})");
  EXPECT_TRUE(is_modern_request(params));
  EXPECT_EQ(dump_json(connection_meta(params)), R"({"io.modelcontextprotocol/protocolVersion":"2026-07-28"})");
  EXPECT_TRUE(connection_meta(Json::object()).is_null());
  EXPECT_TRUE(connection_meta(Json{{"_meta", 1}}).is_null());
}

TEST(RelayRules, AnInputThatIsClosedIsFoundWhereverItStands) {
  const Json asks = *parse_json(
      R"({"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create"}}})");
  const auto roots_only = [](std::string_view method) { return method == "roots/list"; };
  EXPECT_EQ(closed_input(asks, roots_only), "elicitation/create");
  EXPECT_FALSE(closed_input(asks, everything));
  EXPECT_EQ(closed_input(*parse_json(R"({"resultType":"input_required","inputRequests":[1]})"), nothing), "");
  EXPECT_FALSE(closed_input(Json{{"content", Json::array()}}, nothing));
  const Json task = *parse_json(
      R"({"taskId":"t","status":"input_required","inputRequests":{"q":{"method":"sampling/createMessage"}}})");
  EXPECT_EQ(closed_input(task_as_result(task), nothing), "sampling/createMessage");
  EXPECT_FALSE(closed_input(task_as_result(Json{{"taskId", "t"}}), nothing));
}

}  // namespace
}  // namespace sluice::gateway

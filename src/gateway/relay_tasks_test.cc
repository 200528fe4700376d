#include "gateway/relay_tasks.h"

#include <gtest/gtest.h>

#include "gateway/test_relay.h"

namespace sluice::gateway {
namespace {

// A client whose call of `t` has made the task T1.
struct Tasks : Relayed {
  void make() {
    list();
    relay->take(
        R"({"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"t","arguments":{},"task":{"ttl":60000}}})");
    relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{"task":{"taskId":"T1","status":"working"}}})");
    ASSERT_TRUE(wait_for_client(1));
    EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"c","result":{"task":{"taskId":"T1","status":"working"}}})");
    client.clear();
    server.clear();
  }
  // The answer to the client's request.
  std::string ask(const std::string& method, const std::string& params) {
    relay->take(R"({"jsonrpc":"2.0","id":"a","method":")" + method + R"(","params":)" + params + "}");
    return wait_for_client(1) ? client[0] : "";
  }
  bool asks_server(const std::string& method, const std::string& params) {
    relay->take(R"({"jsonrpc":"2.0","id":"a","method":")" + method + R"(","params":)" + params + "}");
    return !server.empty() && server.back().find(method) != std::string::npos;
  }
};

TEST_F(Tasks, AnotherOnesTaskDoesNotExist) {
  make();
  for (const char* method : {"tasks/get", "tasks/result", "tasks/cancel", "tasks/update"}) {
    client.clear();
    EXPECT_NE(ask(method, R"({"taskId":"T2"})").find(R"("code":-32602)"), std::string::npos) << method;
  }
  EXPECT_TRUE(server.empty());
}

TEST_F(Tasks, TheListHasOnlyThoseOfThisClient) {
  make();
  ASSERT_TRUE(asks_server("tasks/list", "{}"));
  relay->from_server(R"({"jsonrpc":"2.0","id":3,"result":{"tasks":[{"taskId":"T0"}],"nextCursor":"2"}})");
  ASSERT_EQ(server.size(), 2u) << "a page without any has the next one asked for";
  EXPECT_NE(server[1].find(R"("cursor":"2")"), std::string::npos);
  relay->from_server(R"({"jsonrpc":"2.0","id":4,"result":{"tasks":[{"taskId":"T2"},{"taskId":"T1"}]}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"a","result":{"tasks":[{"taskId":"T1"}]}})");
}

TEST_F(Tasks, WhatThePolicyClosesElsewhereIsOpenForATaskThatWasAllowed) {
  gate.policy.closed = "tasks/result";
  make();
  ASSERT_TRUE(asks_server("tasks/result", R"({"taskId":"T1"})"));
  relay->from_server(R"({"jsonrpc":"2.0","id":3,"result":{"content":[]}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"a","result":{"content":[]}})");
}

TEST_F(Tasks, ATaskOfAToolThatIsHiddenByNowDoesNotExist) {
  make();
  gate.policy.hidden = "t";
  EXPECT_NE(ask("tasks/result", R"({"taskId":"T1"})").find("-32602"), std::string::npos);
  EXPECT_TRUE(server.empty());
  EXPECT_EQ(gate.audit_lines().back()["decision"], "deny");
}

TEST_F(Tasks, ANoticeIsHeardOfOnesOwnTaskAlone) {
  make();
  relay->from_server(
      R"({"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"T2","status":"completed"}})");
  EXPECT_TRUE(client.empty());
  relay->from_server(
      R"({"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"T1","status":"completed"}})");
  ASSERT_EQ(client.size(), 1u);
  EXPECT_NE(client[0].find("T1"), std::string::npos);
}

TEST(RelayTasks, TheModernErasResultSaysWhatItIs) {
  EXPECT_EQ(created_task(*parse_json(R"({"resultType":"task","taskId":"a"})")), "a");
  EXPECT_EQ(created_task(*parse_json(R"({"resultType":"complete","taskId":"a"})")), std::nullopt);
  EXPECT_EQ(created_task(*parse_json(R"({"task":{"taskId":1}})")), std::nullopt);
}

TEST(RelayTasks, TheOldestIsForgottenAndALongIdIsNone) {
  RelayTasks tasks;
  for (std::size_t i = 0; i <= RelayTasks::kMost; ++i) tasks.add(std::to_string(i), {});
  EXPECT_EQ(tasks.find("0"), nullptr);
  EXPECT_NE(tasks.find("1"), nullptr);
  tasks.add(std::string(RelayTasks::kMostId + 1, 'x'), {});
  EXPECT_EQ(tasks.find(std::string(RelayTasks::kMostId + 1, 'x')), nullptr);
  EXPECT_NE(tasks.find("1"), nullptr);
}

TEST(RelayTasks, WhatATaskSaysObeysTheRulesOfItsCall) {
  policy::ResultRules rules;
  rules.redact = {{.path = "$..token", .pattern = ""}, {.path = "", .pattern = "sk_[a-z]+"}};
  RelayTask task;
  task.results.add(*policy::CompiledResult::compile(rules, "/tools/t"));
  UpstreamTool tool;
  tool.entry = *parse_json(R"({"name":"t","outputSchema":{"properties":{"token":{"type":"number"}}}})");
  task.tool = std::make_shared<const UpstreamTool>(std::move(tool));
  SeededEntropy entropy{3};
  Redactor redactor{entropy};
  const Presenter presenter{redactor, McpLimits{}};
  std::string withheld;
  const std::string result = R"({"content":[{"type":"text","text":"{\"token\":7}"}],"structuredContent":{"token":7}})";
  const auto at_the_end = present_task(presenter, task, "tasks/result", *parse_json(result), &withheld);
  ASSERT_TRUE(at_the_end);
  EXPECT_EQ((*at_the_end)["isError"], true);
  EXPECT_EQ(dump_json(*at_the_end).find('7'), std::string::npos);
  const auto modern = present_task(
      presenter, task, "tasks/get",
      *parse_json(R"({"taskId":"a","status":"completed","statusMessage":"sk_abc","result":)" + result + "}"),
      &withheld);
  ASSERT_TRUE(modern);
  EXPECT_EQ(dump_json(*modern).find('7'), std::string::npos) << dump_json(*modern);
  EXPECT_EQ(dump_json(*modern).find("sk_abc"), std::string::npos);
  EXPECT_EQ((*modern)["result"]["isError"], true);
}

}  // namespace
}  // namespace sluice::gateway

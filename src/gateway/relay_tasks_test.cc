#include "gateway/relay_tasks.h"

#include <gtest/gtest.h>

#include "gateway/test_relay.h"

namespace sluice::gateway {
namespace {

const std::string kRelated = "io.modelcontextprotocol/related-task";

// A client whose call of `t` has made a task, which is T1 to the server and `id` to the client.
struct Tasks : Relayed {
  void make() {
    list();
    id = call("t", R"({"task":{"taskId":"T1","status":"working"}})")["result"]["task"]["taskId"];
    client.clear();
    server.clear();
  }
  // The answer to a call of the tool that the server answers so.
  Json call(const std::string& tool, const std::string& result) {
    server.clear();
    relay->take(R"({"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":")" + tool +
                R"(","arguments":{},"task":{"ttl":60000}}})");
    return answered(result);
  }
  // What the client gets when the server answers its newest request so.
  Json answered(const std::string& result) {
    client.clear();
    relay->from_server(R"({"jsonrpc":"2.0","id":)" + dump_json(parse_json(server.back()).value()["id"]) +
                       R"(,"result":)" + result + "}");
    return wait_for_client(1) ? parse_json(client[0]).value() : Json(nullptr);
  }
  std::string named() const { return R"({"taskId":")" + id + R"("})"; }
  Json params_of(const std::string& line) const { return parse_json(line).value()["params"]; }
  // The answer to the client's request.
  std::string ask(const std::string& method, const std::string& params) {
    relay->take(R"({"jsonrpc":"2.0","id":"a","method":")" + method + R"(","params":)" + params + "}");
    return wait_for_client(1) ? client[0] : "";
  }
  bool asks_server(const std::string& method, const std::string& params) {
    relay->take(R"({"jsonrpc":"2.0","id":"a","method":")" + method + R"(","params":)" + params + "}");
    return !server.empty() && server.back().find(method) != std::string::npos;
  }
  // The request of the server's as its client gets it.
  Json asked(const std::string& method, const std::string& params) {
    client.clear();
    relay->from_server(R"({"jsonrpc":"2.0","id":)" + std::to_string(++asked_last) + R"(,"method":")" + method +
                       R"(","params":)" + params + "}");
    return client.empty() ? Json(nullptr) : parse_json(client[0]).value();
  }

  std::string id;
  int asked_last = 0;
};

TEST_F(Tasks, AreKnownToTheClientByAnIdThatTheServerDoesNotKnow) {
  make();
  EXPECT_EQ(id.size(), 22u) << "128 bits";
  const std::string first = id;
  const Json second = call("t", R"({"resultType":"task","taskId":"T2","ttlMs":60000})")["result"];
  EXPECT_NE(second["taskId"], "T2");
  EXPECT_NE(second["taskId"], first);
  ASSERT_TRUE(asks_server("tasks/get", R"({"taskId":")" + first + R"("})"));
  EXPECT_EQ(params_of(server.back()), *parse_json(R"({"taskId":"T1"})"));
  EXPECT_EQ(answered(R"({"taskId":"T1","status":"working"})")["result"]["taskId"], first);
  client.clear();
  EXPECT_NE(ask("tasks/get", R"({"taskId":"T1"})").find("-32602"), std::string::npos) << "the server's id names none";
}

TEST_F(Tasks, AnAnswerForAnotherTaskIsNone) {
  make();
  for (const char* method : {"tasks/get", "tasks/cancel", "tasks/update"}) {
    ASSERT_TRUE(asks_server(method, named()));
    const Json answer = answered(R"({"taskId":"T0","status":"completed"})");
    EXPECT_EQ(answer["error"]["code"], mcp::rpc::kInternalError) << method << dump_json(answer);
    EXPECT_EQ(dump_json(answer).find("T0"), std::string::npos);
  }
  ASSERT_TRUE(asks_server("tasks/result", named()));
  EXPECT_TRUE(answered(R"({"task":{"taskId":"T0"}})").contains("error"));
  ASSERT_TRUE(asks_server("tasks/result", named()));
  EXPECT_EQ(answered(R"({"content":[],"taskId":"any"})")["result"]["taskId"], "any") << "the tool's own member";
}

TEST_F(Tasks, AnIdThatTheServerGivesAgainIsTheNewTasksAlone) {
  make();
  const Json again = call("u", R"({"task":{"taskId":"T1","status":"working"}})")["result"]["task"]["taskId"];
  EXPECT_NE(again, id);
  client.clear();
  server.clear();
  EXPECT_NE(ask("tasks/result", named()).find("-32602"), std::string::npos);
  EXPECT_TRUE(server.empty());
  EXPECT_TRUE(asks_server("tasks/result", R"({"taskId":)" + dump_json(again) + "}"));
}

TEST_F(Tasks, AnAnswerWhoseTaskNobodyCouldNameIsAnError) {
  list();
  const std::string endless = std::string(kMiB, 'x');
  const std::string results[] = {R"({"task":{"taskId":")" + endless + R"("}})", R"({"task":{"taskId":""}})",
                                 R"({"resultType":"task","taskId":7})", R"({"resultType":"task"})",
                                 R"({"resultType":"task","taskId":"a","task":{"taskId":"b"}})"};
  for (const std::string& result : results) {
    const Json answer = call("t", result);
    EXPECT_TRUE(answer.contains("error")) << dump_json(answer).substr(0, 200);
    EXPECT_LT(dump_json(answer).size(), 500u);
  }
  server.clear();
  relay->take(R"({"jsonrpc":"2.0","id":"p","method":"resources/list"})");
  EXPECT_TRUE(answered(R"({"resultType":"task","taskId":"T1"})").contains("error")) << "a list is no task";
}

TEST_F(Tasks, ATaskOfAnotherRequestIsAsOpenAsThat) {
  list();
  ASSERT_TRUE(asks_server("prompts/get", R"({"name":"p"})"));
  id = answered(R"({"resultType":"task","taskId":"T1"})")["result"]["taskId"];
  ASSERT_TRUE(asks_server("tasks/get", named()));
  EXPECT_EQ(params_of(server.back())["taskId"], "T1");
  EXPECT_EQ(answered(R"({"taskId":"T1","result":{"messages":[]}})")["result"]["result"],
            *parse_json(R"({"messages":[]})"));
  gate.policy.closed = "prompts/get";
  client.clear();
  EXPECT_NE(ask("tasks/get", named()).find("error"), std::string::npos);
}

TEST_F(Tasks, WhatIsRelatedToATaskSaysSoUnderTheIdOfWhoReadsIt) {
  make();
  const auto related = [](const std::string& to) {
    return R"({"_meta":{")" + kRelated + R"(":{"taskId":")" + to + R"("},"k":1}})";
  };
  ASSERT_TRUE(asks_server("tasks/result", named()));
  EXPECT_EQ(answered(related("T1"))["result"]["_meta"][kRelated]["taskId"], id);
  const Json asks = asked("elicitation/create", related("T1"));
  EXPECT_EQ(asks["params"]["_meta"][kRelated]["taskId"], id);
  server.clear();
  relay->take(R"({"jsonrpc":"2.0","id":)" + dump_json(asks["id"]) + R"(,"result":)" + related(id) + "}");
  EXPECT_EQ(parse_json(server.at(0)).value()["result"]["_meta"][kRelated]["taskId"], "T1");
  // Tasks that are not this client's are left out, whoever names them.
  EXPECT_EQ(asked("sampling/createMessage", related("T0"))["params"]["_meta"], *parse_json(R"({"k":1})"));
  client.clear();
  relay->from_server(R"({"jsonrpc":"2.0","method":"notifications/message","params":)" + related("T0") + "}");
  EXPECT_EQ(params_of(client.at(0))["_meta"], *parse_json(R"({"k":1})"));
  for (const std::string& other : {std::string("T0"), std::string("T1")}) {
    ASSERT_TRUE(asks_server("prompts/get", related(other)));
    EXPECT_EQ(params_of(server.back())["_meta"], *parse_json(R"({"k":1})")) << other;
    (void)answered("{}");
  }
}

TEST_F(Tasks, WhoListensForTasksHearsOfOnesOwn) {
  make();
  relay->take(R"({"jsonrpc":"2.0","id":"w","method":"subscriptions/listen","params":{"notifications":{"taskIds":[")" +
              id + R"(","T1","T0"]}}})");
  EXPECT_EQ(params_of(server.back())["notifications"]["taskIds"], *parse_json(R"(["T1"])"));
  client.clear();
  relay->from_server(
      R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"taskIds":["T1","T0"]}}})");
  EXPECT_EQ(params_of(client.at(0))["notifications"]["taskIds"], Json::array({id}));
}

TEST_F(Tasks, WhatTheClientMakesForTheServerIsItsOwnAndAllThatTheServerMayName) {
  list();
  const Json asks = asked("sampling/createMessage", R"({"task":{}})");
  relay->take(R"({"jsonrpc":"2.0","id":)" + dump_json(asks["id"]) + R"(,"result":{"task":{"taskId":"C1"}}})");
  EXPECT_EQ(asked("tasks/result", R"({"taskId":"C1"})")["params"]["taskId"], "C1");
  server.clear();
  EXPECT_EQ(asked("tasks/result", R"({"taskId":"C2"})"), nullptr) << "another server's";
  EXPECT_NE(server.at(0).find("-32602"), std::string::npos);
  const Json lists = asked("tasks/list", "{}");
  server.clear();
  relay->take(R"({"jsonrpc":"2.0","id":)" + dump_json(lists["id"]) +
              R"(,"result":{"tasks":[{"taskId":"C2"},{"taskId":"C1"}]}})");
  EXPECT_EQ(parse_json(server.at(0)).value()["result"], *parse_json(R"({"tasks":[{"taskId":"C1"}]})"));
  server.clear();
  for (const char* one : {"C1", "C2"}) {
    relay->take(R"({"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":")" + std::string(one) +
                R"("}})");
  }
  ASSERT_EQ(server.size(), 1u);
  EXPECT_NE(server[0].find("C1"), std::string::npos);
}

TEST_F(Tasks, OfASessionThatTheServerHasForgottenThereAreNone) {
  make();
  relay->session_lost();
  EXPECT_FALSE(relay->has_task(id));
}

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
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"a","result":{"tasks":[{"taskId":")" + id + R"("}]}})");
}

TEST_F(Tasks, WhatThePolicyClosesElsewhereIsOpenForATaskThatWasAllowed) {
  gate.policy.closed = "tasks/result";
  make();
  ASSERT_TRUE(asks_server("tasks/result", named()));
  relay->from_server(R"({"jsonrpc":"2.0","id":3,"result":{"content":[]}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"a","result":{"content":[]}})");
}

TEST_F(Tasks, ATaskOfAToolThatIsHiddenByNowDoesNotExist) {
  make();
  gate.policy.hidden = "t";
  EXPECT_NE(ask("tasks/result", named()).find("-32602"), std::string::npos);
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
  EXPECT_NE(client[0].find(id), std::string::npos);
  EXPECT_EQ(client[0].find("T1"), std::string::npos);
}

TEST(RelayTasks, TheModernErasResultSaysWhatItIs) {
  EXPECT_TRUE(is_task_result(*parse_json(R"({"resultType":"task","taskId":"a"})")));
  EXPECT_FALSE(is_task_result(*parse_json(R"({"resultType":"complete","taskId":"a"})")));
  EXPECT_FALSE(is_task_result(*parse_json(R"({"task":{"taskId":1}})")));
}

TEST(RelayTasks, TheOldestAreForgottenWhereThereAreTooManyOrTheirIdsAreTooLong) {
  SeededEntropy entropy{3};
  FakeClock clock;
  RelayTasks tasks(entropy, clock);
  std::vector<std::string> shown;
  const auto add = [&](const std::string& id) {
    Json result{{"task", {{"taskId", id}}}};
    const Status added = tasks.add({}, result);
    if (added) shown.push_back(result["task"]["taskId"]);
    return added.has_value();
  };
  for (std::size_t i = 0; i <= RelayTasks::kMost; ++i) EXPECT_TRUE(add(std::to_string(i)));
  EXPECT_EQ(tasks.find(shown[0]), nullptr);
  EXPECT_NE(tasks.find(shown[1]), nullptr);
  EXPECT_FALSE(add(std::string(RelayTasks::kMostId + 1, 'x')));
  EXPECT_NE(tasks.find(shown[1]), nullptr);
  for (char c = 0; c < 120; ++c) EXPECT_TRUE(add(std::string(RelayTasks::kMostId - 1, 'x') + c));
  EXPECT_NE(tasks.find(shown[900]), nullptr) << "1,000 are few octets";
  for (int i = 0; i < 256; ++i) EXPECT_TRUE(add(std::string(RelayTasks::kMostId - 3, 'y') + std::to_string(100 + i)));
  EXPECT_EQ(tasks.find(shown[1'000]), nullptr);
  EXPECT_NE(tasks.find(shown.back()), nullptr);
}

TEST(RelayTasks, AreOverSomeTimeAfterTheirTimeToLive) {
  SeededEntropy entropy{3};
  FakeClock clock;
  RelayTasks tasks(entropy, clock);
  Json result = *parse_json(R"({"task":{"taskId":"T1","ttl":60000}})");
  ASSERT_TRUE(tasks.add({}, result));
  const std::string id = result["task"]["taskId"];
  clock.advance(std::chrono::seconds(100));
  ASSERT_TRUE(tasks.find(id));
  Json state = *parse_json(R"({"taskId":"T1","ttlMs":100000})");
  EXPECT_TRUE(tasks.show(*tasks.find(id), "tasks/get", state));
  clock.advance(std::chrono::seconds(30));
  EXPECT_TRUE(tasks.find(id)) << "what was said last counts";
  EXPECT_TRUE(tasks.of_server(*parse_json(R"({"taskId":"T1"})")));
  clock.advance(std::chrono::seconds(40));
  EXPECT_FALSE(tasks.find(id));
  EXPECT_FALSE(tasks.of_server(*parse_json(R"({"taskId":"T1"})")));
  for (const char* ttl : {"null", "\"long\"", "1e300"}) {
    Json endless = *parse_json(R"({"task":{"taskId":"T2","ttl":)" + std::string(ttl) + "}}");
    ASSERT_TRUE(tasks.add({}, endless)) << ttl;
    clock.advance(std::chrono::hours(24 * 300));
    EXPECT_TRUE(tasks.find(endless["task"]["taskId"].get<std::string>())) << ttl;
  }
  Json over = *parse_json(R"({"task":{"taskId":"T3","ttl":-5}})");
  ASSERT_TRUE(tasks.add({}, over));
  clock.advance(RelayTasks::kGrace + std::chrono::seconds(1));
  EXPECT_FALSE(tasks.find(over["task"]["taskId"].get<std::string>()));
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

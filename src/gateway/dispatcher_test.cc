#include "gateway/dispatcher.h"

#include "gateway/test_gate.h"

namespace sluice::gateway {
namespace {

TEST(Dispatcher, AnswersWithTextAndStructureFromOneValue) {
  TestGate gate;
  const auto answer = gate.call_tool("echo", {{"text", "hello"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(text_of(answer), R"({"status":"success","text":"hello","grant":"default"})");
  EXPECT_EQ(dump_json((*answer)["structuredContent"]), text_of(answer));
  EXPECT_FALSE(answer->contains("isError"));
}

TEST(Dispatcher, SlowToolsRunElsewhereAndAnswerOnTheControlThread) {
  TestGate gate;
  EXPECT_EQ(text_of(gate.call_tool("slow_echo", {{"text", "x"}})),
            R"({"status":"success","text":"x","grant":"default"})");
}

TEST(Dispatcher, AnUnknownToolIsNotFoundAndItsNameIsCut) {
  TestGate gate;
  EXPECT_EQ(gate.call_tool("nope").error().message, "Tool nope not found");
  const auto answer = gate.call_tool(std::string(100'000, 'x'));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kNotFound);
  EXPECT_LT(answer.error().message.size(), 300u);
  EXPECT_EQ(gate.audit_lines().size(), 1u) << "only the start";
}

TEST(Dispatcher, AHiddenToolIsUnlistedAndAnsweredAsUnknown) {
  TestGate gate;
  gate.policy.hidden = "echo";
  const std::string hidden = gate.call_tool("echo").error().message;
  EXPECT_EQ(hidden, "Tool echo not found");
  const auto list = gate.call(mcp::ListTools{});
  for (const Json& tool : (*list)["tools"]) EXPECT_NE(tool["name"], "echo");
  EXPECT_EQ(traces().runs, 0);
}

TEST(Dispatcher, AFailureHasIsErrorAndNoStructure) {
  TestGate gate;
  const auto answer = gate.call_tool("failing");
  ASSERT_TRUE(answer);
  EXPECT_EQ(text_of(answer), R"({"status":"error","error":"Error: no."})");
  EXPECT_EQ((*answer)["isError"], true);
  EXPECT_FALSE(answer->contains("structuredContent"));
}

TEST(Dispatcher, RefusedArgumentsArePlainText) {
  TestGate gate;
  const auto answer = gate.call_tool("echo", {{"txt", "x"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(text_of(answer),
            "MCP error -32602: Input validation error: Invalid arguments for tool echo: unknown argument \"txt\", did "
            "you mean \"text\"?");
  EXPECT_EQ((*answer)["isError"], true);
  EXPECT_EQ(traces().runs, 0);
}

TEST(Dispatcher, AnExceptionBecomesAnInternalErrorWithoutItsWords) {
  TestGate gate;
  const auto answer = gate.call_tool("throwing");
  EXPECT_EQ(text_of(answer), R"({"status":"error","error":"Error: internal error"})");
  EXPECT_EQ(gate.bugs, 1);
  EXPECT_EQ(text_of(gate.call_tool("echo", {{"text", "on"}})), R"({"status":"success","text":"on","grant":"default"})");
}

TEST(Dispatcher, DecisionIsWrittenBeforeAndOutcomeAfter) {
  TestGate gate;
  gate.call_tool("slow_echo", {{"text", "a secret value"}}, {"robot", "s1", false});
  const auto lines = gate.audit_lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1]["type"], "decision");
  EXPECT_EQ(lines[1]["grant"], "robot");
  EXPECT_EQ(lines[1]["tool"], "slow_echo");
  EXPECT_EQ(lines[1]["method"], "tools/call");
  EXPECT_EQ(lines[1]["decision"], "allow");
  EXPECT_EQ(lines[1]["policy_revision"], 7);
  EXPECT_EQ(lines[1]["arguments"], Json::array({"show_secrets", "text"}));
  EXPECT_EQ(lines[2]["type"], "outcome");
  EXPECT_EQ(lines[2]["id"], lines[1]["id"]);
  EXPECT_EQ(lines[2]["status"], "ok");
  EXPECT_EQ(gate.disk.content(gate.audit->path())->find("a secret value"), std::string::npos);
}

TEST(Dispatcher, ADeniedCallDoesNotRunAndIsWrittenDown) {
  TestGate gate;
  gate.policy.denied = "echo";
  const auto answer = gate.call_tool("echo");
  EXPECT_EQ(text_of(answer), "[POLICY DENIED] not today");
  EXPECT_EQ((*answer)["isError"], true);
  EXPECT_FALSE(answer->contains("structuredContent"));
  EXPECT_EQ(traces().runs, 0);
  const auto lines = gate.audit_lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["decision"], "deny");
  EXPECT_EQ(lines[1]["rule"], "/tools/x/deny_if/0");
}

TEST(Dispatcher, WithoutALogThereIsNoCall) {
  TestGate gate;
  gate.disk.set_capacity(gate.disk.stored());
  const auto answer = gate.call_tool("echo");
  EXPECT_TRUE(text_of(answer).starts_with("[POLICY DENIED] the audit log cannot be written, so nothing may run"));
  EXPECT_EQ(gate.policy.given_back, 1);
  EXPECT_EQ(traces().runs, 0);
  const auto read = gate.call(mcp::ReadResource{"proxy://status", {}});
  EXPECT_EQ(read.error().code, Code::kRefused);
  gate.disk.heal();
  gate.disk.set_capacity(std::nullopt);
  EXPECT_TRUE(gate.call_tool("echo")->contains("structuredContent"));
  for (const Json& line : gate.audit_lines()) EXPECT_TRUE(line.contains("type")) << "no torn line stays";
}

TEST(Dispatcher, AClosedMethodIsNotOfferedAndIsWrittenDown) {
  TestGate gate;
  gate.policy.closed = "resources/read";
  using Record = Dispatcher::Record;
  EXPECT_TRUE(gate.dispatcher->offers({}, "resources/list", Record::kHere));
  EXPECT_EQ(gate.audit_lines().size(), 1u);
  EXPECT_FALSE(gate.dispatcher->offers({}, "resources/read", Record::kByCall));
  EXPECT_EQ(gate.audit_lines().back()["method"], "resources/read");
  EXPECT_EQ(gate.audit_lines().back()["decision"], "deny");
  EXPECT_EQ(gate.call(mcp::ReadResource{"proxy://status", {}}).error().code, Code::kNotFound);
}

TEST(Dispatcher, WhatNeverRanIsGivenBackAndWhatRanIsNot) {
  DispatcherLimits limits;
  limits.pool_threads = 1;
  TestGate gate(limits);
  std::vector<std::shared_ptr<RunningCall>> calls;
  int answered = 0;
  for (const char* tool : {"waiting", "slow_echo"}) {
    calls.push_back(
        gate.dispatcher->call({}, mcp::CallTool{tool, Json::object(), {}}, {}, [&](Result<Json>) { ++answered; }));
  }
  EXPECT_TRUE(gate.run_until([&] { return traces().runs == 1; }));
  calls[1]->request_stop();  // still behind the first
  calls[0]->request_stop();
  EXPECT_TRUE(gate.run_until([&] { return answered == 2; }));
  EXPECT_EQ(traces().runs, 1);
  EXPECT_EQ(gate.policy.given_back, 1);
}

void call_that_waits(TestGate& gate, std::optional<Result<Json>>& answer) {
  gate.policy.asked = "echo";
  gate.policy.decided = 1;
  gate.dispatcher->call({}, mcp::CallTool{"echo", Json::object(), {}}, {},
                        [&](Result<Json> got) { answer = std::move(got); });
}

TEST(Dispatcher, ACallThatWaitsIsJudgedAgainOnceSomebodyHasDecided) {
  TestGate gate;
  std::optional<Result<Json>> answer;
  call_that_waits(gate, answer);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(900);
  EXPECT_FALSE(gate.run_until([&] { return answer || std::chrono::steady_clock::now() >= end; }) && answer);
  EXPECT_EQ(gate.policy.asks, 1) << "nothing has changed";
  gate.policy.decided = 2;  // of another call
  EXPECT_TRUE(gate.run_until([&] { return gate.policy.asks == 2; }));
  gate.policy.asked = "";
  gate.policy.decided = 3;
  EXPECT_TRUE(gate.run_until([&] { return answer.has_value(); }));
  EXPECT_EQ(traces().runs, 1);
}

TEST(Dispatcher, ACallThatWaitsIsJudgedAgainNowAndThenWhateverHasChanged) {
  TestGate gate;
  std::optional<Result<Json>> answer;
  call_that_waits(gate, answer);
  gate.policy.asked = "";  // as when its policy is another
  EXPECT_TRUE(gate.run_until([&] { return answer.has_value(); }));
}

TEST(Dispatcher, StoppingACallStopsTheWork) {
  TestGate gate;
  std::optional<Result<Json>> answer;
  const auto call = gate.dispatcher->call({}, mcp::CallTool{"waiting", Json::object(), {}}, {},
                                          [&](Result<Json> got) { answer = std::move(got); });
  EXPECT_TRUE(gate.run_until([&] { return traces().runs == 1; }));
  call->request_stop();
  EXPECT_TRUE(gate.run_until([&] { return answer.has_value(); }));
  EXPECT_TRUE(traces().stopped);
  EXPECT_EQ(gate.audit_lines().back()["status"], "cancelled");
}

TEST(Dispatcher, ACallThatTakesTooLongIsAnsweredAndStopped) {
  DispatcherLimits limits;
  limits.hard_deadline = std::chrono::seconds(1);
  TestGate gate(limits);
  const auto answer = gate.call_tool("waiting");
  EXPECT_EQ(text_of(answer), "The call took too long and was stopped.");
  EXPECT_EQ(gate.audit_lines().back()["status"], "timeout");
  EXPECT_TRUE(gate.run_until([&] { return traces().stopped.load(); }));
  EXPECT_EQ(gate.dispatcher->running(), 0u);
}

TEST(Dispatcher, ReportsProgressOnTheControlThread) {
  DispatcherLimits limits;
  limits.progress_interval = std::chrono::milliseconds(0);
  TestGate gate(limits);
  const auto control = std::this_thread::get_id();
  double last = 0;
  const auto call = gate.dispatcher->call(
      {}, mcp::CallTool{"waiting", Json::object(), {}},
      [&](double progress, double, const std::string&) {
        EXPECT_EQ(std::this_thread::get_id(), control);
        EXPECT_GT(progress, last);
        last = progress;
      },
      [](Result<Json>) {});
  EXPECT_TRUE(gate.run_until([&] { return last >= 3; }));
  call->request_stop();
}

TEST(Dispatcher, GoesDownWithCallsUnderWay) {
  TestGate gate;
  gate.dispatcher->call({}, mcp::CallTool{"waiting", Json::object(), {}}, {}, [](Result<Json>) { FAIL(); });
  EXPECT_TRUE(gate.run_until([&] { return traces().runs == 1; }));
  gate.dispatcher.reset();
  EXPECT_TRUE(traces().stopped);
  gate.io.restart();
  gate.io.run();
}

TEST(Dispatcher, TooManyCallsAreRefusedNotQueued) {
  DispatcherLimits limits;
  limits.max_running = 2;
  TestGate gate(limits);
  std::vector<std::shared_ptr<RunningCall>> calls;
  for (int i = 0; i < 2; ++i) {
    calls.push_back(gate.dispatcher->call({}, mcp::CallTool{"waiting", Json::object(), {}}, {}, [](Result<Json>) {}));
  }
  EXPECT_EQ(gate.call_tool("echo").error().code, Code::kUnavailable);
  for (const auto& call : calls) call->request_stop();
}

TEST(Dispatcher, SecretsAreMaskedUnlessShownOrOwned) {
  TestGate gate;
  const std::string jwt =
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
  const auto masked = gate.call_tool("slow_echo", {{"text", jwt}});
  EXPECT_EQ(text_of(masked).find(jwt), std::string::npos);
  EXPECT_EQ((*masked)["structuredContent"]["redacted"], Json::array({"/text"}));
  EXPECT_NE(text_of(gate.call_tool("slow_echo", {{"text", jwt}, {"show_secrets", true}})).find(jwt), std::string::npos);
  EXPECT_NE(text_of(gate.call_tool("echo", {{"text", jwt}}, {"owner", "", true})).find(jwt), std::string::npos);
}

TEST(Dispatcher, ReadsResourcesAndRefusesUnknownOnes) {
  TestGate gate;
  const auto status = gate.call(mcp::ReadResource{"proxy://status", {}});
  ASSERT_TRUE(status);
  const Json& content = (*status)["contents"][0];
  EXPECT_EQ(content["uri"], "proxy://status");
  EXPECT_TRUE(content["text"].get<std::string>().starts_with("{\n  \"running\": false"));
  const auto certificate = gate.call(mcp::ReadResource{"proxy://ca-cert", {}});
  EXPECT_TRUE((*certificate)["contents"][0]["text"].get<std::string>().starts_with("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ(gate.call(mcp::ReadResource{"file:///etc/passwd", {}}).error().code, Code::kNotFound);
}

TEST(Dispatcher, EveryListedToolHasSchemasAndHonestHints) {
  TestGate gate;
  const auto list = gate.call(mcp::ListTools{});
  ASSERT_TRUE(list);
  for (const Json& tool : (*list)["tools"]) {
    EXPECT_EQ(tool["inputSchema"]["type"], "object");
    EXPECT_EQ(tool["outputSchema"]["type"], "object");
    EXPECT_TRUE(tool["annotations"]["readOnlyHint"].is_boolean());
  }
}

TEST(Dispatcher, NoticesOfChangeAreMerged) {
  TestGate gate;
  int notices = 0;
  auto watch = gate.dispatcher->subscribe({}, {"proxy://traffic/summary"}, [&](std::string_view) { ++notices; });
  ASSERT_TRUE(watch);
  const auto begin = std::chrono::steady_clock::now();
  gate.run_until([&] {
    gate.dispatcher->changes()->mark(Changes::kTraffic);
    gate.dispatcher->changes()->mark(Changes::kStatus);
    return notices == 3;
  });
  EXPECT_EQ(notices, 3);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2 * Changes::kInterval);
  watch->reset();
  gate.dispatcher->changes()->mark(Changes::kTraffic);
  EXPECT_FALSE(gate.dispatcher->subscribe({}, {"proxy://nope"}, [](std::string_view) {}));
}

TEST(Dispatcher, WhatIsDecidedLaterRunsThenAndCountsAsRunningMeanwhile) {
  DispatcherLimits limits;
  limits.max_running = 2;
  TestGate gate(limits);
  gate.policy.later = true;
  std::vector<std::string> answers;
  const auto call = [&] {
    return gate.dispatcher->call({}, mcp::CallTool{"echo", {{"text", "x"}}, {}}, {},
                                 [&](const Result<Json>& got) { answers.push_back(text_of(got)); });
  };
  call();
  call();
  EXPECT_EQ(gate.policy.in_flight, (std::vector<std::size_t>{0, 1})) << "or max_in_flight would let all of them in";
  EXPECT_EQ(gate.dispatcher->running(), 2u);
  EXPECT_EQ(gate.dispatcher->running("default"), 2u);
  call();
  ASSERT_TRUE(gate.run_until([&] { return !answers.empty(); }));
  EXPECT_NE(answers[0].find("too many calls are running"), std::string::npos) << answers[0];
  EXPECT_EQ(traces().runs, 0);
  for (const auto& decide : std::exchange(gate.policy.undecided, {})) decide();
  ASSERT_TRUE(gate.run_until([&] { return answers.size() == 3; }));
  EXPECT_EQ(traces().runs, 2);
  EXPECT_EQ(gate.dispatcher->running(), 0u);
}

TEST(Dispatcher, ACallThatIsCancelledWhileItIsDecidedIsTakenBackAndAnsweredOnce) {
  TestGate gate;
  gate.policy.later = true;
  std::vector<std::string> answers;
  const auto call = gate.dispatcher->call({}, mcp::CallTool{"echo", Json::object(), {}}, {},
                                          [&](const Result<Json>& got) { answers.push_back(text_of(got)); });
  std::thread([&] { call->request_stop(); }).join();
  ASSERT_TRUE(gate.run_until([&] { return !answers.empty(); }));
  EXPECT_EQ(answers, std::vector<std::string>{"The call was cancelled."});
  EXPECT_EQ(gate.policy.withdrawn, 1);
  EXPECT_EQ(gate.dispatcher->running(), 0u);
  call->request_stop();
  gate.run_until([] { return true; });
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(traces().runs, 0);
}

// Stores that are asked meanwhile do not know of it yet.
TEST(Dispatcher, WhatACallersUserSaysWhileItIsDecidedCounts) {
  TestGate gate;
  gate.policy.asked = "echo";
  gate.policy.question = "state-1";
  gate.policy.decided = 1;
  std::function<void(Json)> say;
  std::optional<Result<Json>> answer;
  Caller caller;
  caller.ask_user = [&](const Json&, std::function<void(Json)> told) {
    say = std::move(told);
    return [] {};
  };
  gate.dispatcher->call(caller, mcp::CallTool{"echo", {{"text", "x"}}, {}}, {},
                        [&](Result<Json> got) { answer = std::move(got); });
  ASSERT_TRUE(say);
  gate.policy.later = true;
  gate.policy.decided = 2;  // something else was decided: the call looks again
  ASSERT_TRUE(gate.run_until([&] { return !gate.policy.undecided.empty(); }));
  const auto look = std::exchange(gate.policy.undecided, {});
  say({{"action", "accept"}});
  EXPECT_EQ(gate.policy.taken.first, "") << "the stores that are being asked come first";
  look.front()();
  EXPECT_EQ(gate.policy.taken.first, "state-1");
  EXPECT_EQ(gate.policy.taken.second.begin()->at("action"), "accept");
  ASSERT_EQ(gate.policy.undecided.size(), 1u);
  std::exchange(gate.policy.undecided, {}).front()();
  EXPECT_TRUE(gate.run_until([&] { return answer.has_value(); }));
  EXPECT_EQ(traces().runs, 1);
}

TEST(Dispatcher, TheEndTakesBackWhatIsBeingDecided) {
  TestGate gate;
  gate.policy.later = true;
  bool answered = false;
  gate.dispatcher->call({}, mcp::CallTool{"echo", Json::object(), {}}, {},
                        [&](const Result<Json>&) { answered = true; });
  gate.dispatcher.reset();
  EXPECT_EQ(gate.policy.withdrawn, 1);
  EXPECT_FALSE(answered);
}

TEST(Dispatcher, TheEndGivesBackWhatNeverBegan) {
  DispatcherLimits limits;
  limits.pool_threads = 1;
  TestGate gate(limits);
  gate.dispatcher->call({}, mcp::CallTool{"waiting", Json::object(), {}}, {}, [](const Result<Json>&) {});
  ASSERT_TRUE(gate.run_until([] { return traces().runs == 1; }));
  for (int i = 0; i < 3; ++i) {
    gate.dispatcher->call({}, mcp::CallTool{"slow_echo", Json::object(), {}}, {}, [](const Result<Json>&) {});
  }
  gate.dispatcher.reset();
  EXPECT_EQ(traces().runs, 1);
  EXPECT_EQ(gate.policy.given_back, 3) << "not the one that ran";
}

}  // namespace
}  // namespace sluice::gateway

#include "gateway/era_to_legacy.h"

#include "gateway/test_era.h"

namespace sluice::gateway {
namespace {

// Modern clients, and a session with a legacy server that offers everything.
struct ToLegacy : EraCase {
  ToLegacy() {
    ask_modern(1, "server/discover");
    refuse(mcp::rpc::kMethodNotFound);
    const Json both{{"listChanged", true}, {"subscribe", true}};
    answer({{"protocolVersion", "2025-11-25"},
            {"capabilities",
             {{"tools", {{"listChanged", true}}},
              {"resources", both},
              {"prompts", Json::object()},
              {"logging", Json::object()}}}});
    forget();
  }
  void call(int id, Json more = Json::object(), Json capabilities = can_all()) {
    more["name"] = "t";
    more["arguments"] = {{"a", 1}};
    ask_modern(id, "tools/call", std::move(more), std::move(capabilities));
  }
  std::uint64_t own() const { return sent()["id"].get<std::uint64_t>(); }
  void ask_client(const Json& id, const char* method = "elicitation/create", std::uint64_t on = 0) {
    say({{"id", id}, {"method", method}, {"params", {{"message", "Name?"}}}}, on);
  }
  std::string state() const { return got()["result"]["requestState"].get<std::string>(); }
  static Json answers(const std::string& state, Json responses) {
    return {{"requestState", state}, {"inputResponses", std::move(responses)}};
  }
};

TEST_F(ToLegacy, ACallGoesWithoutWhatIsTheModernErasAndItsResultIsCompleted) {
  ask_modern(2, "tools/call", {{"name", "t"}, {"task", {{"ttl", 1}}}, {"_meta", {{"mine", 1}}}});
  EXPECT_EQ(sent()["params"], (Json{{"name", "t"}, {"_meta", {{"mine", 1}}}}));
  answer({{"content", Json::array()}});
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"], (Json{{"content", Json::array()}, {"resultType", "complete"}}));
}

TEST_F(ToLegacy, ListsAndResourcesSayThatTheyAreNotToBeKept) {
  for (const char* name :
       {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}) {
    ask_modern(2, name);
    answer({{"x", 1}});
    EXPECT_EQ(got()["result"], (Json{{"x", 1}, {"resultType", "complete"}, {"ttlMs", 0}, {"cacheScope", "private"}}));
  }
}

TEST_F(ToLegacy, ToolsThatOnlyRunAsTasksAreNotListedAndTasksAreNotOffered) {
  ask_modern(2, "tools/list");
  answer({{"tools",
           {{{"name", "a"}, {"execution", {{"taskSupport", "required"}}}},
            {{"name", "b"}, {"execution", {{"taskSupport", "optional"}}}},
            {{"name", "c"}}}}});
  EXPECT_EQ(got()["result"]["tools"], (Json{{{"name", "b"}}, {{"name", "c"}}}));
  ask_modern(3, "tasks/get", {{"taskId", "1"}});
  EXPECT_EQ(got()["error"]["code"], -32601);
}

TEST_F(ToLegacy, WhatTheModernEraHasRemovedIsUnknown) {
  for (const char* name : {"ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "initialize"}) {
    ask_modern(2, name);
    EXPECT_EQ(got()["error"]["code"], -32601) << name;
  }
  ask(3, "initialize");
  EXPECT_EQ(got()["error"]["code"], -32600);
  EXPECT_TRUE(server.empty());
}

TEST_F(ToLegacy, AnotherModernVersionIsRefusedWithTheOneThatIsSpoken) {
  ask(2, "tools/list", {{"_meta", {{"io.modelcontextprotocol/protocolVersion", "2027-01-01"}}}});
  EXPECT_EQ(got()["error"]["code"], -32022);
  EXPECT_EQ(got()["error"]["data"], (Json{{"supported", {"2026-07-28"}}, {"requested", "2027-01-01"}}));
}

TEST_F(ToLegacy, ErrorsOfResourcesBecomeThoseOfTheModernEra) {
  ask_modern(2, "resources/read", {{"uri", "a:b"}});
  refuse(-32002);
  EXPECT_EQ(got()["error"]["code"], -32602);
  ask_modern(3, "resources/read", {{"uri", "a:b"}});
  refuse(-32005, {{"kept", 1}});
  EXPECT_EQ(got()["error"], (Json{{"code", -32005}, {"message", "no"}, {"data", {{"kept", 1}}}}));
}

TEST_F(ToLegacy, AnAddressThatMustBeOpenedBecomesAnInput) {
  const Json wanted{
      {"elicitations", {{{"mode", "url"}, {"elicitationId", "e"}, {"url", "https://a/"}, {"message", "m"}}}}};
  call(2);
  refuse(-32042, wanted);
  EXPECT_EQ(got()["result"]["resultType"], "input_required");
  EXPECT_EQ(
      got()["result"]["inputRequests"]["url1"],
      (Json{{"method", "elicitation/create"}, {"params", {{"mode", "url"}, {"url", "https://a/"}, {"message", "m"}}}}));
  call(3, {{"inputResponses", {{"url1", {{"action", "accept"}}}}}});
  EXPECT_EQ(sent()["params"], (Json{{"name", "t"}, {"arguments", {{"a", 1}}}}));
  answer({{"content", Json::array()}});
  EXPECT_EQ(got()["result"]["resultType"], "complete");
  server.clear();
  call(4, {{"inputResponses", {{"url1", {{"action", "decline"}}}}}});
  EXPECT_EQ(got()["error"]["code"], -32602);
  EXPECT_TRUE(server.empty());
  call(5, Json::object(), {{"elicitation", Json::object()}});
  refuse(-32042, wanted);
  EXPECT_EQ(got()["error"]["code"], -32021);
  EXPECT_EQ(got()["error"]["data"]["requiredCapabilities"], (Json{{"elicitation", {{"url", Json::object()}}}}));
}

TEST_F(ToLegacy, AQuestionWithinACallBecomesAnInputAndTheRetryBringsItsAnswer) {
  call(2);
  const std::uint64_t key = own();
  ask_client("q");
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"]["resultType"], "input_required");
  EXPECT_EQ(got()["result"]["inputRequests"]["input1"],
            (Json{{"method", "elicitation/create"}, {"params", {{"message", "Name?"}}}}));
  EXPECT_TRUE(bridge->waits(mcp::SentKey{key})) << "its call stays open";
  call(3, answers(state(), {{"input1", {{"action", "decline"}}}}));
  EXPECT_EQ(sent(), (Json{{"jsonrpc", "2.0"}, {"id", "q"}, {"result", {{"action", "decline"}}}}));
  EXPECT_EQ(server.size(), 2u) << "it is not called again";
  say({{"id", key}, {"result", {{"content", Json::array()}}}});
  EXPECT_EQ(got()["id"], 3);
  EXPECT_EQ(got()["result"]["resultType"], "complete");
}

TEST_F(ToLegacy, EveryKindOfQuestionIsAskedWhereTheClientCanBeAskedIt) {
  int id = 10;
  for (const char* kind : {"sampling/createMessage", "roots/list", "elicitation/create"}) {
    call(++id, Json::object(), Json::object());
    const std::uint64_t key = own();
    ask_client(id, kind);
    EXPECT_EQ(sent()["error"]["code"], -32601) << kind;
    say({{"id", key}, {"result", Json::object()}});
    call(++id);
    ask_client(id, kind);
    EXPECT_EQ(got()["result"]["inputRequests"]["input1"]["method"], kind);
    tell("notifications/cancelled", {{"requestId", id}});
    clock.advance(EraToLegacy::kWait);
    bridge->tick();
  }
}

TEST_F(ToLegacy, AQuestionOutsideAnyCallIsRefused) {
  ask_client("q");
  EXPECT_EQ(sent()["error"]["code"], -32601);
  ask_modern(2, "tools/list");
  ask_client("r");
  EXPECT_EQ(sent()["error"]["code"], -32601) << "a list may not need input";
  say({{"id", "p"}, {"method", "ping"}});
  EXPECT_EQ(sent()["result"], Json::object());
}

TEST_F(ToLegacy, AQuestionThatMayBelongToTwoCallsIsRefusedUnlessItsStreamSaysToWhich) {
  call(2);
  const std::uint64_t first = own();
  call(3);
  ask_client("q");
  EXPECT_EQ(sent()["error"]["code"], -32601);
  ask_client("r", "elicitation/create", first);
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"]["resultType"], "input_required");
}

TEST_F(ToLegacy, AttackAStateCountsOnceAndOnlyForTheSameRequest) {
  call(2);
  ask_client("q");
  const std::string good = state();
  const std::size_t before = server.size();
  const Json yes{{"input1", {{"action", "accept"}}}};
  ask_modern(3, "tools/call",
             {{"name", "other"}, {"arguments", {{"a", 1}}}, {"requestState", good}, {"inputResponses", yes}});
  EXPECT_EQ(got()["error"]["code"], -32602) << "another tool";
  ask_modern(4, "tools/call",
             {{"name", "t"}, {"arguments", {{"a", 2}}}, {"requestState", good}, {"inputResponses", yes}});
  EXPECT_EQ(got()["error"]["code"], -32602) << "other arguments";
  ask_modern(5, "prompts/get",
             {{"name", "t"}, {"arguments", {{"a", 1}}}, {"requestState", good}, {"inputResponses", yes}});
  EXPECT_EQ(got()["error"]["code"], -32602) << "another method";
  for (const std::string& bad : {good + "x", good.substr(1), std::string()}) {
    call(6, answers(bad, yes));
    EXPECT_EQ(got()["error"]["code"], -32602);
  }
  EXPECT_EQ(server.size(), before) << "the server hears of none";
  call(7, answers(good, yes));
  EXPECT_EQ(sent()["result"], (Json{{"action", "accept"}}));
  call(8, answers(good, yes));
  EXPECT_EQ(got()["error"]["code"], -32602) << "it was used";
}

TEST_F(ToLegacy, AttackAStateOfOneGrantIsNothingToAnother) {
  struct Other final : ToLegacy {
    void TestBody() override {}
  } other;
  other.entropy = SeededEntropy(8);
  call(2);
  ask_client("q");
  other.call(2);
  other.ask_client("q");
  const Json yes{{"input1", {{"action", "accept"}}}};
  other.call(3, answers(state(), yes));
  EXPECT_EQ(other.got()["error"]["code"], -32602);
  EXPECT_EQ(other.server.size(), 1u);
  call(3, answers(state(), yes));
  EXPECT_EQ(sent()["result"], (Json{{"action", "accept"}})) << "it is as good as before where it belongs";
}

TEST_F(ToLegacy, WhoDoesNotComeBackHasItsCallCancelled) {
  call(2);
  const std::uint64_t key = own();
  ask_client("q");
  const std::string good = state();
  clock.advance(EraToLegacy::kWait - std::chrono::seconds(1));
  bridge->tick();
  EXPECT_EQ(server.size(), 1u);
  clock.advance(std::chrono::seconds(1));
  bridge->tick();
  EXPECT_EQ(sent(1)["id"], "q");
  EXPECT_TRUE(sent(1).contains("error"));
  EXPECT_EQ(method(), "notifications/cancelled");
  EXPECT_EQ(sent()["params"]["requestId"], key);
  call(3, answers(good, {{"input1", {{"action", "accept"}}}}));
  EXPECT_EQ(got()["error"]["code"], -32602);
}

TEST_F(ToLegacy, WhatIsNotAnsweredIsAskedAgainAndWhatIsAskedMeanwhileAfterwards) {
  call(2);
  const std::uint64_t key = own();
  ask_client("q");
  ask_client("r");
  const std::string first = state();
  call(3, answers(first, {{"something", {{"action", "accept"}}}}));
  EXPECT_EQ(got()["result"]["inputRequests"].size(), 2u);
  EXPECT_NE(state(), first);
  call(4, answers(state(), {{"input1", {{"action", "accept"}}}, {"input2", "no object"}}));
  EXPECT_EQ(sent()["id"], "q");
  EXPECT_EQ(got()["result"]["inputRequests"].size(), 1u);
  say({{"method", "notifications/cancelled"}, {"params", {{"requestId", "r"}}}});
  say({{"id", key}, {"result", {{"content", Json::array()}}}});
  EXPECT_EQ(got()["id"], 4) << "nobody waits for the answer yet";
  call(5, answers(state(), {{"input2", {{"action", "accept"}}}}));
  EXPECT_EQ(sent()["id"], "q") << "it was withdrawn";
  EXPECT_EQ(got()["id"], 5);
  EXPECT_EQ(got()["result"]["resultType"], "complete");
}

TEST_F(ToLegacy, AttackAServerCannotHaveQuestionsWithoutEnd) {
  call(2);
  for (int i = 0; i < 100; ++i) ask_client(i);
  EXPECT_EQ(server.size(), 1 + 100 - EraToLegacy::kMaxQuestions);
  EXPECT_EQ(sent()["error"]["code"], -32603);
  for (int id = 10; id < 200; ++id) {
    call(id);
    ask_client(1000 + id, "elicitation/create", own());
  }
  std::size_t waiting = 0;
  for (const Json& one : relay) waiting += one.contains("result");
  EXPECT_EQ(waiting, EraToLegacy::kMaxWaiting);
}

TEST_F(ToLegacy, AttackAnAnswerThatNobodyTakesIsKeptWithinALimit) {
  const Json large{{"content", std::string(EraToLegacy::kMaxHeld / 2, 'x')}};
  for (int id = 2; id < 4; ++id) {
    call(id);
    const std::uint64_t key = own();
    ask_client(id, "elicitation/create", key);
    const std::string kept = state();
    say({{"id", key}, {"result", large}});
    if (id == 2) continue;
    call(10 + id, answers(kept, {{"input1", {{"action", "accept"}}}}));
    EXPECT_EQ(got()["error"]["code"], -32603) << id;
  }
}

TEST_F(ToLegacy, ACancellationReachesTheCallUnderTheServersId) {
  call(2);
  const std::uint64_t key = own();
  tell("notifications/cancelled", {{"requestId", 2}, {"reason", "enough"}});
  EXPECT_EQ(sent()["params"], (Json{{"reason", "enough"}, {"requestId", key}}));
  call(3);
  const std::uint64_t other = own();
  ask_client("q");
  call(4, answers(state(), {{"input1", {{"action", "accept"}}}}));
  tell("notifications/cancelled", {{"requestId", 4}});
  EXPECT_EQ(sent()["params"]["requestId"], other) << "the retry stands for it";
}

TEST_F(ToLegacy, ProgressIsToldUnderTheTokenOfWhoWaits) {
  call(2, {{"_meta", {{"progressToken", 2}}}});
  const std::uint64_t key = own();
  EXPECT_EQ(sent()["params"]["_meta"]["progressToken"], key);
  const auto progress = [&] {
    say({{"method", "notifications/progress"}, {"params", {{"progressToken", key}, {"progress", 1}}}});
  };
  progress();
  EXPECT_EQ(got()["params"]["progressToken"], 2);
  ask_client("q");
  relay.clear();
  progress();
  EXPECT_TRUE(relay.empty()) << "nobody waits";
}

TEST_F(ToLegacy, ARequestThatWantsLogMessagesHasTheServersLevelSetFirstAndHearsNoOthers) {
  call(2, {{"_meta", {{"io.modelcontextprotocol/logLevel", "warning"}}}});
  EXPECT_EQ(method(), "logging/setLevel");
  EXPECT_EQ(sent()["params"], (Json{{"level", "warning"}}));
  answer(Json::object());
  EXPECT_EQ(method(), "tools/call");
  const std::uint64_t key = own();
  const auto log = [&](const char* level, std::uint64_t on) {
    say({{"method", "notifications/message"}, {"params", {{"level", level}, {"data", 1}}}}, on);
  };
  log("error", key);
  log("info", key);
  log("error", 0);
  EXPECT_EQ(ons, (std::vector<std::uint64_t>{2, 2}));
  call(3);
  EXPECT_EQ(method(), "tools/call") << "it wants none";
  log("error", own());
  EXPECT_EQ(relay.size(), 2u);
  call(4, {{"_meta", {{"io.modelcontextprotocol/logLevel", "debug"}}}});
  EXPECT_EQ(sent()["params"], (Json{{"level", "debug"}}));
  tell("notifications/cancelled", {{"requestId", 4}});
  answer(Json::object());
  EXPECT_EQ(method(), "logging/setLevel") << "it was cancelled meanwhile";
  call(5, {{"_meta", {{"io.modelcontextprotocol/logLevel", "loud"}}}});
  EXPECT_EQ(got()["error"]["code"], -32602);
}

TEST_F(ToLegacy, WhoListensIsToldWhatTheServerOffersAndHearsThatAlone) {
  ask_modern(2, "subscriptions/listen",
             {{"notifications",
               {{"toolsListChanged", true}, {"promptsListChanged", true}, {"resourceSubscriptions", {"a:b", "a:c"}}}}});
  ASSERT_EQ(server.size(), 2u);
  EXPECT_EQ(sent(1)["method"], "resources/subscribe");
  say({{"method", "notifications/tools/list_changed"}});
  EXPECT_TRUE(relay.empty()) << "the acknowledgement comes first";
  say({{"id", sent(1)["id"]}, {"result", Json::object()}});
  say({{"id", sent()["id"]}, {"error", {{"code", -32602}, {"message", "no"}}}});
  EXPECT_EQ(got()["method"], "notifications/subscriptions/acknowledged");
  const Json meta{{"io.modelcontextprotocol/subscriptionId", 2}};
  EXPECT_EQ(got()["params"], (Json{{"notifications", {{"toolsListChanged", true}, {"resourceSubscriptions", {"a:b"}}}},
                                   {"_meta", meta}}));
  relay.clear();
  for (const char* name : {"tools", "prompts", "resources"}) {
    say({{"method", "notifications/" + std::string(name) + "/list_changed"}});
  }
  ASSERT_EQ(relay.size(), 1u);
  EXPECT_EQ(got(),
            (Json{{"jsonrpc", "2.0"}, {"method", "notifications/tools/list_changed"}, {"params", {{"_meta", meta}}}}));
  for (const char* uri : {"a:b", "a:b/part", "a:bc", "a:c"}) {
    say({{"method", "notifications/resources/updated"}, {"params", {{"uri", uri}}}});
  }
  ASSERT_EQ(relay.size(), 3u);
  EXPECT_EQ(got()["params"], (Json{{"uri", "a:b/part"}, {"_meta", meta}}));
  tell("notifications/cancelled", {{"requestId", 2}});
  EXPECT_EQ(method(), "resources/unsubscribe");
  EXPECT_EQ(sent()["params"]["uri"], "a:b");
}

TEST_F(ToLegacy, WhoListensIsToldOfTheEndOfTheSession) {
  ask_modern(2, "subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}});
  bridge->session_lost();
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 2);
}

}  // namespace
}  // namespace sluice::gateway

#include "gateway/era_to_modern.h"

#include "gateway/test_era.h"

namespace sluice::gateway {
namespace {

// A legacy client, and a modern server that offers everything.
struct ToModern : EraCase {
  ToModern() { open(can_all()); }
  void open(Json capabilities) {
    make(false);
    capabilities["tasks"] = Json::object();
    ask(1, "initialize",
        {{"protocolVersion", "2025-06-18"}, {"capabilities", capabilities}, {"clientInfo", {{"name", "c"}}}});
    refuse(-32601);
    EXPECT_EQ(method(), "server/discover");
    const Json changes{{"listChanged", true}, {"subscribe", true}};
    answer({{"supportedVersions", {"2026-07-28"}},
            {"capabilities",
             {{"tools", changes}, {"resources", changes}, {"logging", Json::object()}, {"tasks", Json::object()}}},
            {"instructions", "be kind"},
            {"_meta", {{"io.modelcontextprotocol/serverInfo", {{"name", "new"}, {"version", "2"}}}}},
            {"resultType", "complete"}});
    hello = got();
    forget();
  }
  void call(int id, Json more = Json::object()) {
    more["name"] = "t";
    ask(id, "tools/call", std::move(more));
  }
  std::uint64_t own() const { return sent()["id"].get<std::uint64_t>(); }
  void need(Json inputs, Json state = "s1") {
    Json result{{"resultType", "input_required"}};
    if (!inputs.is_null()) result["inputRequests"] = std::move(inputs);
    if (!state.is_null()) result["requestState"] = std::move(state);
    answer(std::move(result));
  }
  static Json form() { return {{"method", "elicitation/create"}, {"params", {{"message", "Name?"}}}}; }
  void acknowledge(Json agreed) {
    say({{"method", "notifications/subscriptions/acknowledged"},
         {"params",
          {{"notifications", std::move(agreed)}, {"_meta", {{"io.modelcontextprotocol/subscriptionId", own()}}}}}});
  }
  Json hello;
};

TEST_F(ToModern, TheHandshakeIsMadeOfWhatTheServerDiscovers) {
  EXPECT_EQ(hello["id"], 1);
  EXPECT_EQ(hello["result"]["protocolVersion"], "2025-06-18");
  EXPECT_EQ(hello["result"]["serverInfo"], (Json{{"name", "new"}, {"version", "2"}}));
  EXPECT_EQ(hello["result"]["instructions"], "be kind");
  EXPECT_FALSE(hello["result"]["capabilities"].contains("tasks"));
  EXPECT_TRUE(hello["result"]["capabilities"].contains("tools"));
  EXPECT_EQ(heard, std::vector<bool>{false});
}

TEST_F(ToModern, ARequestCarriesTheClientsVersionNameAndCapabilitiesWithoutTasks) {
  call(2, {{"task", {{"ttl", 1}}}, {"_meta", {{"mine", 1}}}});
  const Json params = sent()["params"];
  EXPECT_EQ(params["name"], "t");
  EXPECT_FALSE(params.contains("task"));
  EXPECT_EQ(params["_meta"], (Json{{"mine", 1},
                                   {"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                                   {"io.modelcontextprotocol/clientInfo", {{"name", "c"}}},
                                   {"io.modelcontextprotocol/clientCapabilities", can_all()}}));
  answer({{"content", Json::array()}, {"resultType", "complete"}, {"ttlMs", 5}, {"cacheScope", "public"}, {"x", 1}});
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"], (Json{{"content", Json::array()}, {"x", 1}}));
}

TEST_F(ToModern, PingsAndTheLogLevelAreTheGatewaysOwn) {
  ask(2, "ping");
  EXPECT_EQ(got()["result"], Json::object());
  ask(3, "logging/setLevel", {{"level", "loud"}});
  EXPECT_EQ(got()["error"]["code"], -32602);
  ask(4, "logging/setLevel", {{"level", "error"}});
  EXPECT_EQ(got()["result"], Json::object());
  EXPECT_TRUE(server.empty());
  call(5);
  EXPECT_EQ(sent()["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "error");
}

TEST_F(ToModern, TasksDoNotCross) {
  ask(2, "tasks/list");
  EXPECT_EQ(got()["error"]["code"], -32601);
  call(3);
  answer({{"resultType", "task"}, {"taskId", "1"}});
  EXPECT_EQ(got()["error"]["code"], -32603);
  EXPECT_EQ(server.size(), 1u);
}

TEST_F(ToModern, WhatTheServerNeedsIsAskedOfTheClientAndTheRequestIsRepeated) {
  call(2, {{"_meta", {{"progressToken", 2}}}});
  need({{"a", form()},
        {"b", {{"method", "sampling/createMessage"}, {"params", {{"maxTokens", 5}}}}},
        {"c", {{"method", "roots/list"}}}});
  ASSERT_EQ(relay.size(), 3u);
  EXPECT_EQ(ons, (std::vector<std::uint64_t>{2, 2, 2})) << "it is about that call";
  EXPECT_EQ(got(2)["method"], "elicitation/create");
  EXPECT_EQ(got(2)["params"], (Json{{"message", "Name?"}}));
  const Json asked = relay;
  answer_client(asked[0]["id"], {{"action", "accept"}});
  answer_client(asked[2]["id"], {{"roots", Json::array()}});
  EXPECT_EQ(server.size(), 1u) << "one is missing";
  answer_client(asked[1]["id"], {{"role", "assistant"}});
  ASSERT_EQ(server.size(), 2u);
  EXPECT_NE(sent()["id"], sent(1)["id"]);
  EXPECT_EQ(sent()["params"]["requestState"], "s1");
  EXPECT_EQ(sent()["params"]["name"], "t");
  EXPECT_EQ(sent()["params"]["_meta"]["progressToken"], own());
  EXPECT_EQ(sent()["params"]["inputResponses"],
            (Json{{"a", {{"action", "accept"}}}, {"c", {{"roots", Json::array()}}}, {"b", {{"role", "assistant"}}}}));
  need(nullptr, "s2");
  EXPECT_EQ(sent()["params"]["requestState"], "s2");
  EXPECT_FALSE(sent()["params"].contains("inputResponses"));
  answer({{"content", Json::array()}, {"resultType", "complete"}});
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"], (Json{{"content", Json::array()}}));
}

TEST_F(ToModern, AnAddressHasTheIdThatLegacyClientsWant) {
  call(2);
  need({{"a", {{"method", "elicitation/create"}, {"params", {{"mode", "url"}, {"url", "https://a/"}}}}}});
  EXPECT_EQ(got()["params"]["url"], "https://a/");
  EXPECT_TRUE(got()["params"]["elicitationId"].is_string());
}

TEST_F(ToModern, WhatTheClientCannotDoIsNotAskedOfIt) {
  open({{"elicitation", Json::object()}});
  const Json url{{"method", "elicitation/create"}, {"params", {{"mode", "url"}, {"url", "https://a/"}}}};
  const Json sampling{{"method", "sampling/createMessage"}};
  const Json odd{{"method", "odd/method"}};
  int id = 2;
  for (const Json& one : {url, sampling, odd, Json("none")}) {
    call(++id);
    need({{"a", form()}, {"b", one}});
    EXPECT_EQ(got()["id"], id);
    EXPECT_EQ(got()["error"]["code"], -32603) << dump_json(one);
  }
  EXPECT_EQ(relay.size(), 4u) << "nothing is asked";
}

TEST_F(ToModern, AClientThatRefusesCancelsAFormAndEndsTheCallOtherwise) {
  const auto refuse_client = [&](const Json& id) {
    bridge->from_relay(dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", -1}, {"message", "no"}}}}));
  };
  call(2);
  need({{"a", form()}});
  refuse_client(got()["id"]);
  EXPECT_EQ(sent()["params"]["inputResponses"], (Json{{"a", {{"action", "cancel"}}}}));
  call(3);
  relay.clear();
  need({{"a", {{"method", "sampling/createMessage"}}}, {"b", form()}});
  const Json asked = relay;
  refuse_client(asked[0]["id"]);
  EXPECT_EQ(got(1)["method"], "notifications/cancelled");
  EXPECT_EQ(got(1)["params"]["requestId"], asked[1]["id"]);
  EXPECT_EQ(got()["id"], 3);
  EXPECT_EQ(got()["error"]["code"], -32603);
}

TEST_F(ToModern, AttackAServerThatAlwaysNeedsMoreIsGivenUp) {
  call(2);
  for (std::size_t i = 0; i < EraToModern::kMaxRounds + 5; ++i) {
    if (relay.empty()) need(nullptr);
  }
  EXPECT_EQ(server.size(), 1 + EraToModern::kMaxRounds);
  EXPECT_EQ(got()["error"]["code"], -32603);
  Json many = Json::object();
  for (std::size_t i = 0; i <= EraToModern::kMaxInputs; ++i) many["i" + std::to_string(i)] = form();
  const Json all{{many, "s"},
                 {nullptr, std::string(EraToModern::kMaxState + 1, 'x')},
                 {nullptr, nullptr},
                 {nullptr, 5},
                 {Json::array({form()}), "s"}};
  int id = 2;
  for (const Json& one : all) {
    relay.clear();
    call(++id);
    need(one[0], one[1]);
    ASSERT_EQ(relay.size(), 1u);
    EXPECT_EQ(got()["error"]["code"], -32603) << id;
  }
  ask(20, "resources/list");
  need({{"a", form()}});
  EXPECT_EQ(got()["error"]["code"], -32603) << "a list needs nothing";
}

TEST_F(ToModern, ACancellationReachesTheServerOrTakesTheQuestionsBack) {
  call(2);
  const std::uint64_t key = own();
  tell("notifications/cancelled", {{"requestId", 2}, {"reason", "enough"}});
  EXPECT_EQ(sent()["params"]["requestId"], key);
  EXPECT_EQ(sent()["params"]["reason"], "enough");
  EXPECT_TRUE(sent()["params"]["_meta"].contains("io.modelcontextprotocol/protocolVersion"));
  call(3);
  need({{"a", form()}});
  const Json id = got()["id"];
  server.clear();
  tell("notifications/cancelled", {{"requestId", 3}});
  EXPECT_TRUE(server.empty());
  EXPECT_EQ(got()["method"], "notifications/cancelled");
  answer_client(id, {{"action", "accept"}});
  EXPECT_TRUE(server.empty());
}

TEST_F(ToModern, ContentThatIsNoObjectIsWrappedAndSoIsItsSchema) {
  ask(2, "tools/list");
  const Json pointed{{"type", "array"}, {"items", {{"$ref", "#/$defs/x"}}}, {"$defs", {{"x", {{"type", "string"}}}}}};
  answer({{"tools",
           {{{"name", "t"}, {"outputSchema", pointed}},
            {{"name", "u"}, {"outputSchema", {{"type", "object"}}}},
            {{"name", "v"}}}},
          {"resultType", "complete"}});
  const Json tools = got()["result"]["tools"];
  EXPECT_EQ(tools[0]["outputSchema"]["type"], "object");
  EXPECT_EQ(tools[0]["outputSchema"]["required"], (Json{"result"}));
  EXPECT_EQ(tools[0]["outputSchema"]["properties"]["result"]["items"]["$ref"], "#/properties/result/$defs/x");
  EXPECT_EQ(tools[1]["outputSchema"], (Json{{"type", "object"}}));
  EXPECT_FALSE(tools[2].contains("outputSchema"));
  const auto content = [&](const char* name, Json value) {
    ask(3, "tools/call", {{"name", name}});
    answer({{"content", Json::array()}, {"structuredContent", std::move(value)}, {"resultType", "complete"}});
    return got()["result"]["structuredContent"];
  };
  EXPECT_EQ(content("t", {"a"}), (Json{{"result", {"a"}}}));
  EXPECT_EQ(content("t", {{"a", 1}}), (Json{{"result", {{"a", 1}}}})) << "as its schema says";
  EXPECT_EQ(content("u", {{"a", 1}}), (Json{{"a", 1}}));
  EXPECT_EQ(content("v", 5), (Json{{"result", 5}}));
  EXPECT_EQ(content("v", nullptr), (Json{{"result", nullptr}}));
}

TEST_F(ToModern, ChangesOfListsAreHeardAndToldAsInTheClientsEra) {
  tell("notifications/initialized");
  EXPECT_EQ(method(), "subscriptions/listen");
  EXPECT_EQ(sent()["params"]["notifications"], (Json{{"toolsListChanged", true}, {"resourcesListChanged", true}}));
  const std::uint64_t key = own();
  acknowledge({{"toolsListChanged", true}});
  EXPECT_EQ(heard, (std::vector<bool>{false, true}));
  const auto change = [&](std::uint64_t subscription) {
    say({{"method", "notifications/tools/list_changed"},
         {"params", {{"_meta", {{"io.modelcontextprotocol/subscriptionId", subscription}}}}}});
  };
  change(key);
  EXPECT_EQ(got(), (Json{{"jsonrpc", "2.0"}, {"method", "notifications/tools/list_changed"}}));
  change(key + 1);
  EXPECT_EQ(relay.size(), 1u) << "of no subscription";
  answer({{"resultType", "complete"}});
  EXPECT_EQ(heard.back(), false);
  bridge->tick();
  EXPECT_EQ(server.size(), 1u);
  clock.advance(EraToModern::kFirstRetry);
  bridge->tick();
  EXPECT_EQ(server.size(), 2u);
  for (int i = 0; i < 20; ++i) {
    bridge->lost(mcp::SentKey{own()}, {mcp::rpc::kInternalError, "gone", nullptr}, false);
    clock.advance(EraToModern::kLastRetry);
    bridge->tick();
  }
  EXPECT_EQ(server.size(), 1u + EraToModern::kMaxRetries);
}

TEST_F(ToModern, ASubscriptionToAResourceIsListenedForInTheClientsPlace) {
  ask(2, "resources/subscribe", {{"uri", "a:b"}});
  EXPECT_EQ(sent()["params"]["notifications"], (Json{{"resourceSubscriptions", {"a:b"}}}));
  EXPECT_TRUE(relay.empty());
  const std::uint64_t key = own();
  acknowledge({{"resourceSubscriptions", {"a:b"}}});
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["result"], Json::object());
  say({{"method", "notifications/resources/updated"},
       {"params", {{"uri", "a:b"}, {"_meta", {{"io.modelcontextprotocol/subscriptionId", key}}}}}});
  EXPECT_EQ(got()["params"], (Json{{"uri", "a:b"}}));
  ask(3, "resources/unsubscribe", {{"uri", "a:b"}});
  EXPECT_EQ(method(), "notifications/cancelled");
  EXPECT_EQ(sent()["params"]["requestId"], key);
  EXPECT_EQ(got()["id"], 3);
  ask(4, "resources/subscribe", {{"uri", "a:c"}});
  acknowledge(Json::object());
  EXPECT_EQ(got()["id"], 4);
  EXPECT_EQ(got()["error"]["code"], -32602);
  for (int i = 0; i < 200; ++i) ask(10 + i, "resources/subscribe", {{"uri", "u:" + std::to_string(i)}});
  EXPECT_EQ(got()["error"]["code"], -32603) << "there is a limit";
}

TEST_F(ToModern, ProgressAndLogMessagesAreToldOfTheRequestThatTheyBelongTo) {
  call(2, {{"_meta", {{"progressToken", 2}}}});
  say({{"method", "notifications/progress"}, {"params", {{"progressToken", own()}, {"progress", 1}}}});
  EXPECT_EQ(got()["params"]["progressToken"], 2);
  say({{"method", "notifications/message"}, {"params", {{"level", "info"}}}}, own());
  EXPECT_EQ(ons.back(), 2u);
}

TEST_F(ToModern, AServerThatAsksOtherwiseIsRefused) {
  call(2);
  say({{"id", "bridge-1"}, {"method", "sampling/createMessage"}});
  EXPECT_EQ(sent()["error"]["code"], -32601);
  EXPECT_TRUE(relay.empty());
}

}  // namespace
}  // namespace sluice::gateway

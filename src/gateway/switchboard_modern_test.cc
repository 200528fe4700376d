#include <gtest/gtest.h>

#include "gateway/test_switchboard.h"

namespace sluice::gateway {
namespace {

struct ModernSeveral : SeveralServers {
  static Json meta() { return json(R"({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "x": 1})"); }
  void ask(const Json& id, const char* method, Json params = Json::object()) {
    params["_meta"].update(meta());
    take({{"id", id}, {"method", method}, {"params", std::move(params)}});
  }
  static Json discovered(const Json& capabilities) {
    return {{"supportedVersions", {"2026-07-28"}}, {"capabilities", capabilities}, {"instructions", "Read."}};
  }
  void open_modern(const Json& files = kTools, const Json& web = kTools) {
    ask(0, "server/discover");
    reply(0, "server/discover", discovered(files));
    reply(1, "server/discover", discovered(web));
    initialized = client.empty() ? Json(nullptr) : client.back();
    client.clear();
    about.clear();
  }
  Json sent(Switchboard::Lane lane, const char* method) const { return lanes[lane]->last(method); }
  mcp::RequestId id_of(Switchboard::Lane lane, const char* method) const {
    return *mcp::RequestId::from_json(sent(lane, method)["id"]);
  }
  // What a server says on the stream of what it was asked to tell.
  void tell(Switchboard::Lane lane, const char* method, Json params) {
    const mcp::RequestId id = id_of(lane, "subscriptions/listen");
    params["_meta"]["io.modelcontextprotocol/subscriptionId"] = id.to_json();
    say(lane, {{"method", method}, {"params", std::move(params)}}, id);
  }
  void agree(Switchboard::Lane lane, const Json& filter) {
    tell(lane, "notifications/subscriptions/acknowledged", {{"notifications", filter}});
  }
};

TEST_F(ModernSeveral, AreDiscoveredOnceAndShownAsOne) {
  ask("a", "server/discover");
  ask("b", "tools/list");
  EXPECT_TRUE(client.empty()) << "both wait";
  EXPECT_EQ(sent(0, "server/discover")["params"]["_meta"], connection(meta()));
  reply(0, "server/discover", discovered(json(R"({"tools": {}, "tasks": {}})")));
  reply(1, "server/discover", discovered(json(R"({"prompts": {}, "resources": {"subscribe": true}})")));
  const Json& result = client.at(0)["result"];
  EXPECT_EQ(result["supportedVersions"], json(R"(["2026-07-28"])"));
  EXPECT_EQ(result["resultType"], "complete");
  EXPECT_EQ(result["instructions"], "files: Read.\n\nweb: Read.");
  EXPECT_EQ(result["capabilities"]["resources"], json(R"({"listChanged": true, "subscribe": true})"));
  EXPECT_FALSE(result["capabilities"].contains("tasks"));
  EXPECT_EQ(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sluice-gateway");
  reply(0, "tools/list", json(R"({"tools": [{"name": "read"}], "ttlMs": 5000, "resultType": "complete"})"));
  EXPECT_EQ(answer()["result"], json(R"({"tools": [{"name": "files__read"}], "resultType": "complete", "ttlMs": 0,
                                         "cacheScope": "private"})"));
}

TEST_F(ModernSeveral, TasksAreListenedForAtTheirServers) {
  ask("a", "server/discover");
  reply(0, "server/discover", discovered(json(R"({"extensions": {"io.modelcontextprotocol/tasks": {}, "odd": {}}})")));
  reply(1, "server/discover", discovered(json("{}")));
  EXPECT_EQ(answer()["result"]["capabilities"]["extensions"], json(R"({"io.modelcontextprotocol/tasks": {}})"));
  lanes[0]->task = "one";
  ask("l", "tasks/list");
  EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kMethodNotFound);
  ask("g", "tasks/update", json(R"({"taskId": "one"})"));
  EXPECT_EQ(sent(0, "tasks/update")["params"]["taskId"], "one");
  ask("w", "subscriptions/listen", json(R"({"notifications": {"taskIds": ["one", "two"]}})"));
  EXPECT_EQ(sent(0, "subscriptions/listen")["params"]["notifications"], json(R"({"taskIds": ["one"]})"));
  EXPECT_EQ(sent(1, "subscriptions/listen")["params"]["notifications"], json("{}"));
  agree(0, json(R"({"taskIds": ["one"]})"));
  agree(1, json("{}"));
  EXPECT_EQ(answer()["params"]["notifications"], json(R"({"taskIds": ["one"]})"));
}

TEST_F(ModernSeveral, ACallGoesToItsServerAsItIsAndItsAnswerComesBackAsItIs) {
  open_modern();
  ask("c", "tools/call",
      json(R"({"name": "web__get", "arguments": {"u": 1}, "requestState": "s", "_meta": {"k": 2}})"));
  EXPECT_EQ(lanes[0]->last("tools/call"), nullptr);
  Json expected = json(R"({"name": "get", "arguments": {"u": 1}, "requestState": "s", "_meta": {"k": 2}})");
  expected["_meta"].update(meta());
  EXPECT_EQ(sent(1, "tools/call")["params"], expected);
  reply(1, "tools/call", json(R"({"resultType": "input_required", "requestState": "t"})"));
  EXPECT_EQ(answer(), json(R"({"jsonrpc": "2.0", "id": "c", "result":
                               {"resultType": "input_required", "requestState": "t"}})"));
  EXPECT_EQ(about.back(), mcp::RequestId(std::string("c")));
}

TEST_F(ModernSeveral, WhatIsSaidWithinACallSaysOfWhich) {
  open_modern();
  ask("c", "tools/call", json(R"({"name": "web__get", "_meta": {"progressToken": "p"}})"));
  const Json progress{{"method", "notifications/progress"}, {"params", {{"progressToken", "p"}, {"progress", 1}}}};
  say(1, progress, id_of(1, "tools/call"));
  EXPECT_EQ(about.back(), mcp::RequestId(std::string("c")));
  say(0, progress, id_of(1, "tools/call"));
  EXPECT_EQ(about.back(), std::nullopt) << "another server's request is not its own";
}

TEST_F(ModernSeveral, ClientsMayUseTheSameIds) {
  open_modern();
  const auto call = [&](std::int64_t as) {
    Json params{{"name", "web__get"}, {"_meta", meta()}};
    board->take(mcp::Request{mcp::RequestId(1), "tools/call", std::move(params)}, mcp::RequestId(as));
    return id_of(1, "tools/call").to_json();
  };
  const Json first = call(101), second = call(102);
  say(1, {{"id", first}, {"result", {{"n", 1}}}});
  EXPECT_EQ(answer()["id"], 1);
  EXPECT_EQ(about.back(), mcp::RequestId(101));
  board->withdraw(mcp::RequestId(102));
  EXPECT_EQ(sent(1, "notifications/cancelled")["params"]["requestId"], second);
}

TEST_F(ModernSeveral, WhatTheEraHasRemovedIsUnknownAndTheErasDoNotMix) {
  open_modern();
  for (const char* method : {"ping", "initialize", "logging/setLevel", "resources/subscribe", "tasks/get"}) {
    ask(method, method);
    EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kMethodNotFound) << method;
  }
  take({{"id", "l"}, {"method", "initialize"}, {"params", {{"protocolVersion", "2025-11-25"}}}});
  EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kInvalidRequest);
  Json params = Json::object();
  params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2027-01-01";
  take({{"id", "v"}, {"method", "tools/list"}, {"params", std::move(params)}});
  EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kUnsupportedVersion);
}

TEST_F(ModernSeveral, ALegacyConnectionStaysOne) {
  open();
  ask(1, "tools/list");
  EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kInvalidRequest);
}

TEST_F(ModernSeveral, WhoListensHearsAllServersUnderOneIdOnceAllHaveAgreed) {
  open_modern(kResources, kResources);
  ask("l", "subscriptions/listen",
      json(R"({"notifications": {"toolsListChanged": true, "resourcesListChanged": true}})"));
  agree(0, json(R"({"resourcesListChanged": true})"));
  EXPECT_TRUE(client.empty());
  tell(0, "notifications/resources/list_changed", Json::object());
  EXPECT_TRUE(client.empty()) << "not before it is acknowledged";
  agree(1, Json::object());
  EXPECT_EQ(answer()["method"], "notifications/subscriptions/acknowledged");
  EXPECT_EQ(answer()["params"]["notifications"], json(R"({"resourcesListChanged": true, "toolsListChanged": true})"));
  EXPECT_EQ(answer()["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
  tell(1, "notifications/tools/list_changed", Json::object());
  EXPECT_EQ(answer()["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
  EXPECT_EQ(about.back(), mcp::RequestId(std::string("l")));
  board->lane_ended(0);
  EXPECT_EQ(answer()["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l") << "its tools are gone";
  client.clear();
  say(1, {{"id", sent(1, "subscriptions/listen")["id"]}, {"result", Json::object()}});
  EXPECT_TRUE(client.empty()) << "one server's end is not the client's";
}

TEST_F(ModernSeveral, AResourceIsListenedForWhereItIs) {
  open_modern(kResources, kResources);
  ask("l", "subscriptions/listen", json(R"({"notifications": {"resourceSubscriptions": ["b:1"]}})"));
  EXPECT_EQ(sent(0, "resources/list")["params"]["_meta"], connection(meta()));
  reply(0, "resources/list", json(R"({"resources": [{"uri": "a:1"}]})"));
  reply(1, "resources/list", json(R"({"resources": [{"uri": "b:1"}]})"));
  reply(0, "resources/templates/list", json(R"({"resourceTemplates": []})"));
  reply(1, "resources/templates/list", json(R"({"resourceTemplates": []})"));
  EXPECT_FALSE(sent(0, "subscriptions/listen")["params"]["notifications"].contains("resourceSubscriptions"));
  EXPECT_EQ(sent(1, "subscriptions/listen")["params"]["notifications"]["resourceSubscriptions"], json(R"(["b:1"])"));
  agree(0, Json::object());
  agree(1, json(R"({"resourceSubscriptions": ["b:1"]})"));
  EXPECT_EQ(answer()["params"]["notifications"], json(R"({"resourceSubscriptions": ["b:1"]})"));
}

TEST_F(ModernSeveral, AServerThatIsSlowToAgreeIsNotWaitedFor) {
  open_modern();
  ask("l", "subscriptions/listen", json(R"({"notifications": {"toolsListChanged": true}})"));
  agree(0, json(R"({"toolsListChanged": true})"));
  EXPECT_TRUE(client.empty());
  clock.advance(Switchboard::kMaxOpening);
  board->tick();
  EXPECT_EQ(answer()["method"], "notifications/subscriptions/acknowledged");
}

TEST_F(ModernSeveral, WhoListensIsListenedForAtAServerThatOpensLate) {
  ask("l", "subscriptions/listen", json(R"({"notifications": {"toolsListChanged": true}})"));
  reply(0, "server/discover", discovered(kTools));
  clock.advance(Switchboard::kMaxOpening);
  board->tick();
  agree(0, json(R"({"toolsListChanged": true})"));
  EXPECT_EQ(answer()["method"], "notifications/subscriptions/acknowledged");
  client.clear();
  reply(1, "server/discover", discovered(kTools));
  EXPECT_EQ(answer()["method"], "notifications/tools/list_changed");
  EXPECT_NE(sent(1, "subscriptions/listen"), nullptr);
}

TEST_F(ModernSeveral, WhoStopsListeningStopsItEverywhere) {
  open_modern();
  ask("l", "subscriptions/listen", json(R"({"notifications": {"toolsListChanged": true}})"));
  take({{"method", "notifications/cancelled"}, {"params", {{"requestId", "l"}}}});
  for (const Switchboard::Lane lane : {0, 1}) {
    EXPECT_EQ(sent(lane, "notifications/cancelled")["params"]["requestId"], sent(lane, "subscriptions/listen")["id"]);
  }
  board->lane_ended(0);
  EXPECT_TRUE(client.empty());
}

TEST_F(ModernSeveral, AServerThatForgetsIsDiscoveredAgain) {
  open_modern();
  board->lane_reset(0);
  reply(0, "server/discover", discovered(kTools));
  ask(1, "tools/list");
  reply(0, "tools/list", json(R"({"tools": [{"name": "read"}]})"));
  reply(1, "tools/list", json(R"({"tools": []})"));
  EXPECT_EQ(answer()["result"]["tools"], json(R"([{"name": "files__read"}])"));
}

TEST_F(ModernSeveral, NoServerAtAllIsAnError) {
  ask(1, "server/discover");
  fail_with(0, "server/discover", -32603);
  fail_with(1, "server/discover", -32603);
  EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kInternalError);
  EXPECT_EQ(let_go, (std::vector<Switchboard::Lane>{0, 1}));
}

}  // namespace
}  // namespace sluice::gateway

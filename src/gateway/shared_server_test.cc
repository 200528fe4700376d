#include "gateway/shared_server.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

Json json(std::string_view text) { return parse_json(text).value(); }

// Keeps what it was sent.
struct FakeUpstream final : Upstream {
  void send(std::string message) override { sent.push_back(parse_json(message).value()); }
  ByteCount pending() const override { return 0; }
  void hold_reading(bool) override {}
  void close(std::function<void()> gone) override {
    closed = true;
    gone();
  }
  const Json& last(std::string_view method) const {
    static const Json none;
    for (auto one = sent.rbegin(); one != sent.rend(); ++one) {
      if (one->value("method", "") == method) return *one;
    }
    return none;
  }
  std::size_t count(std::string_view method) const {
    return static_cast<std::size_t>(
        std::count_if(sent.begin(), sent.end(), [&](const Json& one) { return one.value("method", "") == method; }));
  }
  std::vector<Json> sent;
  bool closed = false;
};

// What a relay hears.
struct Member {
  UpstreamEvents events() {
    UpstreamEvents all;
    all.message = [this](std::string_view text, mcp::SentKey on) {
      heard.push_back(parse_json(text).value());
      ons.push_back(on.value);
    };
    all.too_long = all.ended = all.drained = [] {};
    all.session_lost = [this] { ++sessions_lost; };
    all.ended = [this] { ended = true; };
    all.waits = [](mcp::SentKey) { return true; };
    all.lost = [this](mcp::SentKey key, const mcp::RpcError&, bool) { lost.push_back(key.value); };
    all.hears = [](bool) {};
    all.tool = [](std::string_view) { return nullptr; };
    all.notice = [](std::string_view) {};
    return all;
  }
  void request(const Json& id, std::string_view method, Json params = Json::object()) {
    part->send(dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}}));
  }
  void say(Json message) {
    message["jsonrpc"] = "2.0";
    part->send(dump_json(message));
  }
  std::shared_ptr<Upstream> part;
  std::vector<Json> heard;
  std::vector<std::uint64_t> ons, lost;
  int sessions_lost = 0;
  bool ended = false;
};

class SharedServerTest : public testing::Test {
 protected:
  void begin(SharedServer::Of of) {
    const auto connect = [this](UpstreamEvents events) -> Result<std::shared_ptr<Upstream>> {
      if (fails) return fail(Code::kUnavailable, "no");
      ++connected;
      to = std::move(events);
      server = std::make_shared<FakeUpstream>();
      return std::shared_ptr<Upstream>(server);
    };
    for (Member* member : {&one, &two}) {
      member->part = *servers.join("x", {of, "1.0", [](std::string_view) {}}, connect, member->events());
    }
  }
  void hear(Json message, std::uint64_t on = 0) {
    message["jsonrpc"] = "2.0";
    to.message(dump_json(message), mcp::SentKey{on});
  }
  void reply(std::string_view method, const Json& result) {
    hear({{"id", server->last(method)["id"]}, {"result", result}});
  }
  void open_both() {
    for (Member* member : {&one, &two}) {
      member->request(1, "initialize", json(R"({"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}}})"));
    }
    reply("initialize", json(R"({"capabilities": {"tools": {}, "tasks": {}}, "protocolVersion": "2025-11-25"})"));
    for (Member* member : {&one, &two}) member->heard.clear();
  }
  // A call of each; the server's id of it.
  std::uint64_t call(Member& member, const Json& id) {
    member.request(id, "tools/call", json(R"({"name": "t", "_meta": {"progressToken": "p"}})"));
    return server->last("tools/call")["id"].get<std::uint64_t>();
  }

  SharedServers servers;
  Member one, two;
  std::shared_ptr<FakeUpstream> server;
  UpstreamEvents to;
  int connected = 0;
  bool fails = false;
};

TEST_F(SharedServerTest, IsOneSessionThatIsOpenedOnceInTheGatewaysName) {
  begin(SharedServer::Of::kSeveralGrants);
  EXPECT_EQ(connected, 1);
  one.request(1, "initialize", json(R"({"protocolVersion": "2025-11-25", "clientInfo": {"name": "mine"}})"));
  two.request(1, "initialize", json(R"({"protocolVersion": "2025-11-25", "clientInfo": {"name": "other"}})"));
  EXPECT_EQ(server->count("initialize"), 1u);
  EXPECT_EQ(server->last("initialize")["params"]["clientInfo"]["name"], "sluice-gateway");
  EXPECT_TRUE(server->last("initialize")["params"]["capabilities"].contains("elicitation"));
  reply("initialize", json(R"({"capabilities": {"tools": {}, "tasks": {}}})"));
  for (Member* member : {&one, &two}) {
    ASSERT_EQ(member->heard.size(), 1u);
    EXPECT_EQ(member->heard[0], json(R"({"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {"tools": {}}}})"))
        << "and no tasks";
    member->say({{"method", "notifications/initialized"}});
  }
  EXPECT_EQ(server->count("notifications/initialized"), 1u);
}

TEST_F(SharedServerTest, AnswersAndProgressGoToWhoseRequestItIs) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  const std::uint64_t first = call(one, 7), second = call(two, 7);
  EXPECT_NE(first, second);
  EXPECT_EQ(server->last("tools/call")["params"]["_meta"]["progressToken"], second) << "tokens are its own, too";
  hear({{"method", "notifications/progress"}, {"params", {{"progressToken", first}, {"progress", 1}}}});
  EXPECT_EQ(one.heard.at(0)["params"], json(R"({"progress": 1, "progressToken": "p"})"));
  hear({{"id", second}, {"result", {{"n", 2}}}});
  EXPECT_EQ(two.heard.at(0), json(R"({"jsonrpc": "2.0", "id": 7, "result": {"n": 2}})"));
  EXPECT_EQ(two.ons.back(), 7u);
  EXPECT_EQ(one.heard.size(), 1u);
}

TEST_F(SharedServerTest, AttackNobodyCancelsOrAnswersForAnother) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  const std::uint64_t first = call(one, 7);
  two.say({{"method", "notifications/cancelled"}, {"params", {{"requestId", 7}}}});
  two.say({{"method", "notifications/cancelled"}, {"params", {{"requestId", first}}}});
  EXPECT_EQ(server->count("notifications/cancelled"), 0u);
  hear({{"id", "q"}, {"method", "sampling/createMessage"}, {"params", {{"messages", Json::array()}}}}, first);
  const Json asked = one.heard.at(0);
  EXPECT_TRUE(two.heard.empty());
  two.say({{"id", asked["id"]}, {"result", {{"stolen", true}}}});
  EXPECT_FALSE(server->sent.back().contains("result"));
  one.say({{"id", asked["id"]}, {"result", {{"said", "yes"}}}});
  EXPECT_EQ(server->sent.back(), json(R"({"jsonrpc": "2.0", "id": "q", "result": {"said": "yes"}})"));
}

TEST_F(SharedServerTest, WhatBelongsToNobodyForCertainGoesToNobodyOfSeveralGrants) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  call(one, 7);
  hear({{"id", "q"}, {"method", "sampling/createMessage"}, {"params", {{"messages", Json::array()}}}});
  EXPECT_EQ(server->sent.back()["error"]["code"], mcp::rpc::kMethodNotFound) << "though only one waits";
  hear({{"method", "notifications/message"}, {"params", {{"level", "error"}, {"data", "secret"}}}});
  hear({{"method", "notifications/odd"}, {"params", {{"data", "secret"}}}});
  EXPECT_TRUE(one.heard.empty());
  EXPECT_TRUE(two.heard.empty());
}

TEST_F(SharedServerTest, OfOneGrantItGoesToTheOneThatWaitsAndToNobodyWhereTwoDo) {
  begin(SharedServer::Of::kOneGrant);
  open_both();
  const Json log{{"method", "notifications/message"}, {"params", {{"level", "error"}, {"data", "x"}}}};
  hear(log);
  const std::uint64_t first = call(one, 7);
  hear(log);
  EXPECT_EQ(one.heard.size(), 1u);
  call(two, 8);
  hear(log);
  hear(log, first);
  EXPECT_EQ(one.heard.size(), 2u) << "by its stream";
  EXPECT_EQ(one.ons.back(), 7u);
  EXPECT_TRUE(two.heard.empty());
}

TEST_F(SharedServerTest, WhoCannotBeAskedIsNotAsked) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  const std::uint64_t first = call(one, 7);
  hear({{"id", "q"}, {"method", "roots/list"}}, first);
  EXPECT_EQ(server->sent.back()["error"]["code"], mcp::rpc::kMethodNotFound);
  hear({{"id", "p"}, {"method", "ping"}});
  EXPECT_EQ(server->sent.back(), json(R"({"jsonrpc": "2.0", "id": "p", "result": {}})"));
  EXPECT_TRUE(one.heard.empty());
}

TEST_F(SharedServerTest, ListsChangeForAllAndResourcesForWhoSubscribed) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  hear({{"method", "notifications/tools/list_changed"}, {"params", {{"_meta", {{"x", 1}}}}}});
  EXPECT_EQ(one.heard.back(), json(R"({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})"))
      << "and says nothing else";
  EXPECT_EQ(two.heard.back()["method"], "notifications/tools/list_changed");
  one.request(2, "resources/subscribe", {{"uri", "a:b"}});
  reply("resources/subscribe", Json::object());
  const Json updated{{"method", "notifications/resources/updated"}, {"params", {{"uri", "a:b"}}}};
  hear(updated);
  EXPECT_EQ(one.heard.back()["params"]["uri"], "a:b");
  EXPECT_EQ(two.heard.size(), 1u);
  two.request(2, "resources/subscribe", {{"uri", "a:b"}});
  EXPECT_EQ(server->count("resources/subscribe"), 1u);
  EXPECT_EQ(two.heard.back()["result"], Json::object());
  one.request(3, "resources/unsubscribe", {{"uri", "a:b"}});
  EXPECT_EQ(server->count("resources/unsubscribe"), 0u) << "another still wants it";
  hear(updated);
  EXPECT_EQ(two.heard.back()["params"]["uri"], "a:b");
  EXPECT_EQ(one.heard.back()["id"], 3);
  two.part->close([] {});
  EXPECT_EQ(server->count("resources/unsubscribe"), 1u);
}

TEST_F(SharedServerTest, LogLevelsAreEachOnesOwn) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  one.request(2, "logging/setLevel", {{"level", "debug"}});
  reply("logging/setLevel", Json::object());
  two.request(2, "logging/setLevel", {{"level", "error"}});
  EXPECT_EQ(server->count("logging/setLevel"), 1u) << "what one wants to hear it still hears";
  const std::uint64_t first = call(one, 7), second = call(two, 8);
  one.heard.clear();
  two.heard.clear();
  for (const std::uint64_t on : {first, second}) {
    hear({{"method", "notifications/message"}, {"params", {{"level", "info"}, {"data", on}}}}, on);
  }
  EXPECT_EQ(one.heard.size(), 1u);
  EXPECT_TRUE(two.heard.empty());
}

TEST_F(SharedServerTest, SubscriptionsOfTheModernEraAreMapped) {
  begin(SharedServer::Of::kSeveralGrants);
  const Json params =
      json(R"({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, "notifications": {}})");
  one.request(5, "subscriptions/listen", params);
  const Json own = server->sent.back()["id"];
  two.request(5, "subscriptions/listen", params);
  const Json others = server->sent.back()["id"];
  const auto told = [&](const Json& id) {
    Json message{{"method", "notifications/tools/list_changed"}, {"params", Json::object()}};
    message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] = id;
    return message;
  };
  hear(told(own));
  EXPECT_EQ(one.heard.at(0)["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 5);
  EXPECT_TRUE(two.heard.empty());
  hear(told(others));
  EXPECT_EQ(two.heard.size(), 1u);
  EXPECT_EQ(one.heard.size(), 1u);
}

TEST_F(SharedServerTest, TasksAreNotOffered) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  one.request(2, "tasks/get", {{"taskId", "t"}});
  EXPECT_EQ(one.heard.back()["error"]["code"], mcp::rpc::kMethodNotFound);
  one.request(3, "tools/call", json(R"({"name": "t", "task": {"ttl": 1}})"));
  EXPECT_EQ(server->last("tools/call")["params"], json(R"({"name": "t"})"));
}

TEST_F(SharedServerTest, WhoLeavesHasItsCallsCancelledAndTheLastOneEndsTheServer) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  const std::uint64_t first = call(one, 7);
  hear({{"id", "q"}, {"method", "sampling/createMessage"}, {"params", {{"messages", Json::array()}}}}, first);
  bool gone = false;
  one.part->close([&] { gone = true; });
  EXPECT_TRUE(gone);
  EXPECT_FALSE(server->closed);
  EXPECT_EQ(server->last("notifications/cancelled")["params"]["requestId"], first);
  EXPECT_TRUE(server->sent.back().contains("error")) << "its question, too";
  hear({{"id", first}, {"result", Json::object()}});
  EXPECT_EQ(two.heard.size(), 0u);
  two.part.reset();
  EXPECT_TRUE(server->closed);
  begin(SharedServer::Of::kSeveralGrants);
  EXPECT_EQ(connected, 2) << "who comes then has another";
}

TEST_F(SharedServerTest, ASessionThatIsForgottenIsForgottenForAllAndOpenedAnew) {
  begin(SharedServer::Of::kSeveralGrants);
  open_both();
  const std::uint64_t first = call(one, 7);
  to.lost(mcp::SentKey{first}, {mcp::rpc::kInternalError, "gone", nullptr}, false);
  to.session_lost();
  EXPECT_EQ(one.lost, (std::vector<std::uint64_t>{7}));
  EXPECT_EQ(one.sessions_lost + two.sessions_lost, 2);
  two.request(9, "initialize", json(R"({"protocolVersion": "2025-11-25"})"));
  EXPECT_EQ(server->count("initialize"), 2u);
  to.ended();
  EXPECT_TRUE(one.ended && two.ended);
}

TEST_F(SharedServerTest, AServerThatDoesNotOpenIsSaidToAllThatWait) {
  begin(SharedServer::Of::kSeveralGrants);
  one.request(1, "initialize");
  two.request(2, "initialize");
  hear({{"id", server->last("initialize")["id"]}, {"error", {{"code", -32600}, {"message", "no"}}}});
  EXPECT_EQ(one.heard.back()["error"]["message"], "no");
  EXPECT_EQ(two.heard.back()["id"], 2);
  one.request(3, "initialize");
  to.lost(mcp::SentKey{server->last("initialize")["id"].get<std::uint64_t>()},
          {mcp::rpc::kInternalError, "gone", nullptr}, true);
  EXPECT_EQ(one.lost, (std::vector<std::uint64_t>{3}));
}

TEST_F(SharedServerTest, ThereAreNotTooManyAndWhatCannotBeReachedIsSaid) {
  const auto connect = [this](UpstreamEvents) -> Result<std::shared_ptr<Upstream>> {
    if (fails) return fail(Code::kUnavailable, "no");
    return std::shared_ptr<Upstream>(std::make_shared<FakeUpstream>());
  };
  const auto join = [&](const std::string& name) {
    return servers.join(name, {SharedServer::Of::kOneGrant, "1", [](std::string_view) {}}, connect, one.events());
  };
  std::vector<std::shared_ptr<Upstream>> held;
  for (std::size_t i = 0; i < SharedServers::kMax; ++i) held.push_back(*join(std::to_string(i)));
  EXPECT_EQ(join("more").error().code, Code::kUnavailable);
  EXPECT_TRUE(join("0")) << "which is there";
  held.pop_back();
  fails = true;
  EXPECT_EQ(join("more").error().message, "no");
}

}  // namespace
}  // namespace sluice::gateway

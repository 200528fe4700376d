#include "gateway/relay.h"

#include <unistd.h>

#include <filesystem>

#include "base/json_spelling.h"
#include "gateway/gate_db.h"
#include "gateway/test_gate.h"

namespace sluice::gateway {
namespace {

// A relay between two lists of lines.
struct Relayed : testing::Test {
  Relayed() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-relay.XXXXXX").string();
    directory = ::mkdtemp(name.data());
    db.emplace(directory / "state.db");
    pins.emplace(*db);
    Relay::Deps deps{*gate.dispatcher, gate.policy, *pins, gate.clock, gate.presenter, {"files", "cmd"}};
    deps.to_client = [this](ToClient out) {
      if (out.text.empty()) return;
      client.push_back(std::move(out.text));
      if (out.about) about.push_back(*out.about);
    };
    deps.to_server = [this](std::string text) { server.push_back(std::move(text)); };
    deps.notice = [this](std::string_view text) { notices.emplace_back(text); };
    relay = Relay::create(std::move(deps));
  }
  ~Relayed() override {
    relay->close();
    gate.dispatcher.reset();
    pins.reset();
    db.reset();
    std::filesystem::remove_all(directory);
  }
  // The server answers the list with one tool, `t`.
  void list() {
    relay->take(R"({"jsonrpc":"2.0","id":"l","method":"tools/list"})");
    relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{}},{"name":"u"}]}})");
    client.clear();
    about.clear();
    server.clear();
  }
  bool wait_for_client(std::size_t count) {
    return gate.run_until([&] { return client.size() >= count; });
  }

  std::filesystem::path directory;
  TestGate gate;
  std::optional<GateDb> db;
  std::optional<PinStore> pins;
  std::vector<std::string> client, server, notices;
  std::vector<mcp::RequestId> about;  // of what the client was sent, where it was said
  std::shared_ptr<Relay> relay;
};

TEST_F(Relayed, ACallKeepsItsSpellingsAndItsAnswerThem) {
  list();
  relay->take(
      R"({"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"t","arguments":{"a":1.0,"b":-0},"z":1e2}})");
  ASSERT_EQ(server.size(), 1u);
  EXPECT_EQ(
      server[0],
      R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"a":1.0,"b":-0},"z":1e2}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{"content":[],"x":1.10}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":"c","result":{"content":[],"x":1.10}})");
  EXPECT_EQ(gate.policy.given_back, 0);
}

TEST_F(Relayed, ADenialNeverReachesTheServerAndHasTheResultTypeOfTheModernEra) {
  gate.policy.denied = "t";
  list();
  relay->take(
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{)"
      R"("io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}})");
  relay->take(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}})");
  ASSERT_TRUE(wait_for_client(2));
  EXPECT_NE(client[0].find(R"("isError":true,"resultType":"complete")"), std::string::npos) << client[0];
  EXPECT_NE(client[1].find("[POLICY DENIED] not today"), std::string::npos);
  EXPECT_EQ(client[1].find("resultType"), std::string::npos);
  EXPECT_TRUE(server.empty());
}

TEST_F(Relayed, WhatTheServerRefusedIsGivenBackAndWhatItDidNotIsNot) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no"}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_EQ(gate.policy.given_back, 1);
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"no"}})");
  ASSERT_TRUE(wait_for_client(2));
  EXPECT_EQ(gate.policy.given_back, 1);
}

TEST_F(Relayed, WhatMonitorModeLetsPassHasOneDecisionAndItsOutcome) {
  const auto lines_of = [&](std::string_view type) {
    std::vector<Json> lines;
    for (const Json& line : gate.audit_lines()) {
      if (line["type"] == type) lines.push_back(line);
    }
    return lines;
  };
  std::size_t answered = 0;
  for (const std::string method : {"prompts/get", "resources/read", "resources/subscribe", "logging/setLevel"}) {
    gate.policy.observed = method;
    relay->take(R"({"jsonrpc":"2.0","id":"p","method":")" + method + R"(","params":{"name":"x"}})");
    ASSERT_EQ(server.size(), ++answered) << method;
    relay->from_server(R"({"jsonrpc":"2.0","id":)" + std::to_string(answered) + R"(,"result":{}})");
    ASSERT_TRUE(wait_for_client(answered));
    ASSERT_EQ(lines_of("decision").size(), answered) << method;
    EXPECT_EQ(lines_of("decision").back()["decision"], "would_deny");
    ASSERT_EQ(lines_of("outcome").size(), answered);
    EXPECT_EQ(lines_of("outcome").back()["id"], lines_of("decision").back()["id"]);
  }
  gate.policy.observed = "prompts/list";
  relay->take(R"({"jsonrpc":"2.0","id":"l","method":"prompts/list"})");
  ASSERT_EQ(lines_of("decision").size(), answered + 1) << "a list has no other line than this";
  EXPECT_EQ(lines_of("decision").back()["outcome"], "none");
}

TEST_F(Relayed, WhoMaySubscribeMayUnsubscribe) {
  gate.policy.closed = "resources/unsubscribe";  // which no policy can name
  relay->take(R"({"jsonrpc":"2.0","id":"u","method":"resources/unsubscribe","params":{"uri":"a:b"}})");
  ASSERT_EQ(server.size(), 1u);
  EXPECT_NE(server[0].find("resources/unsubscribe"), std::string::npos);
}

TEST_F(Relayed, ANameThatTheListDoesNotHaveIsLookedUpOnceMore) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"new"}})");
  ASSERT_EQ(server.size(), 1u);
  EXPECT_NE(server[0].find("tools/list"), std::string::npos);
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"new"}]}})");
  ASSERT_EQ(server.size(), 2u);
  EXPECT_NE(server[1].find(R"("name":"new")"), std::string::npos);
  relay->take(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":4,"result":{"tools":[{"name":"new"}]}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_NE(client[0].find(R"({"code":-32602,"message":"Tool t not found"})"), std::string::npos) << client[0];
}

TEST_F(Relayed, ACallThatWasCancelledWhileTheListCameIsNotSent) {
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->take(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"}]}})");
  EXPECT_EQ(server.size(), 1u);
  EXPECT_TRUE(client.empty());
  EXPECT_EQ(relay->calls(), 0u);
}

TEST_F(Relayed, AListThatIsNoneIsAnErrorAndNotAnEmptyList) {
  for (const char* answer :
       {R"({"jsonrpc":"2.0","id":1,"result":{"tools":{}}})", R"({"jsonrpc":"2.0","id":2,"result":{}})"}) {
    client.clear();
    relay->take(R"({"jsonrpc":"2.0","id":7,"method":"tools/list"})");
    relay->from_server(answer);
    ASSERT_EQ(client.size(), 1u);
    EXPECT_NE(client[0].find("-32603"), std::string::npos);
  }
}

TEST_F(Relayed, A29AForgedAnswerToARequestOfTheGatewaysOwnIsTakenOnce) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  for (const char* line :
       {R"({"jsonrpc":"2.0","id":1,"result":{"forged":1}})", R"({"jsonrpc":"2.0","id":99,"result":{}})",
        R"([{"jsonrpc":"2.0","id":2,"result":{}}])", "not json"}) {
    relay->from_server(line);
  }
  EXPECT_TRUE(client.empty());
  EXPECT_EQ(notices.size(), 4u);
}

TEST_F(Relayed, AnAnswerThatIsTooLongIsAnErrorForWhoeverWaits) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->too_long_from_server();
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_NE(client[0].find("longer than 64 MiB"), std::string::npos);
  EXPECT_NE(server.back().find("notifications/cancelled"), std::string::npos);
  EXPECT_EQ(relay->calls(), 0u);
}

TEST_F(Relayed, InputThatThePolicyClosesIsWithheld) {
  gate.policy.closed = "elicitation/create";
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->from_server(
      R"({"jsonrpc":"2.0","id":2,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create"}}}})");
  ASSERT_TRUE(wait_for_client(1));
  EXPECT_NE(client[0].find("[POLICY DENIED] The server asks for elicitation/create"), std::string::npos);
  EXPECT_EQ(client[0].find("inputRequests"), std::string::npos);
}

TEST_F(Relayed, ASubscriptionsNoticesHaveTheClientsId) {
  relay->take(R"({"jsonrpc":"2.0","id":"mine","method":"subscriptions/listen","params":{"notifications":{}}})");
  const std::string meta = R"("_meta":{"io.modelcontextprotocol/subscriptionId":)";
  relay->from_server(R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b",)" + meta +
                     "1}}}");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{)" + meta + "1}}}");
  ASSERT_EQ(client.size(), 2u);
  for (const std::string& line : client) EXPECT_NE(line.find(meta + "\"mine\"}"), std::string::npos) << line;
}

TEST_F(Relayed, TheEndOfTheServerAnswersEverything) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})");
  relay->take(R"({"jsonrpc":"2.0","id":2,"method":"resources/list"})");
  relay->server_ended();
  relay->take(R"({"jsonrpc":"2.0","id":3,"method":"ping"})");
  ASSERT_TRUE(wait_for_client(3));
  for (const std::string& line : client) EXPECT_NE(line.find("the server has ended"), std::string::npos) << line;
  EXPECT_EQ(relay->calls(), 0u);
}

TEST_F(Relayed, WhatIsLostIsAnErrorAndWhatNeverLeftIsGivenBack) {
  list();
  const auto call = [&](int id) {
    relay->take(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"tools/call","params":{"name":"t"}})");
  };
  call(1);
  call(2);
  relay->lost(mcp::SentKey{2}, {mcp::rpc::kInternalError, "gone", nullptr}, false);
  relay->lost(mcp::SentKey{3}, {mcp::rpc::kInternalError, "never there", nullptr}, true);
  relay->lost(mcp::SentKey{3}, {mcp::rpc::kInternalError, "twice", nullptr}, true);
  ASSERT_TRUE(wait_for_client(2));
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"gone"}})");
  EXPECT_EQ(client[1], R"({"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"never there"}})");
  EXPECT_EQ(gate.policy.given_back, 1);
  EXPECT_FALSE(relay->waits(mcp::SentKey{2}));
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{}})");
  EXPECT_EQ(client.size(), 2u);
}

TEST_F(Relayed, RequestsThatAreKeptUnderOtherIdsAreAnsweredUnderTheirOwn) {
  const auto take = [&](const char* text, int as) {
    relay->take(mcp::parse_spelled_message(text), mcp::RequestId(as));
  };
  take(R"({"jsonrpc":"2.0","id":"same","method":"resources/list","params":{"_meta":{"progressToken":"p"}}})", 101);
  take(R"({"jsonrpc":"2.0","id":"same","method":"resources/list","params":{"_meta":{"progressToken":"p"}}})", 102);
  ASSERT_EQ(server.size(), 2u);
  relay->from_server(
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{"resources":[]}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"resources":[]}})");
  ASSERT_EQ(client.size(), 3u);
  EXPECT_EQ(about, (std::vector<mcp::RequestId>{mcp::RequestId(102), mcp::RequestId(102), mcp::RequestId(101)}));
  EXPECT_NE(client[0].find(R"("progressToken":"p")"), std::string::npos);
  EXPECT_EQ(client[1], R"({"jsonrpc":"2.0","id":"same","result":{"resources":[]}})");
}

TEST_F(Relayed, WhoGoesAwayHasItsCallCancelledAndGetsNothing) {
  list();
  relay->take(mcp::parse_spelled_message(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}})"),
              mcp::RequestId(7));
  EXPECT_TRUE(relay->is_pending(mcp::RequestId(7)));
  relay->withdraw(mcp::RequestId(7));
  ASSERT_TRUE(gate.run_until([&] { return server.size() == 2; }));
  EXPECT_EQ(server[1], R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}})");
  EXPECT_TRUE(client.empty());
  EXPECT_FALSE(relay->is_pending(mcp::RequestId(7)));
}

TEST_F(Relayed, WhatComesOnACallsStreamIsAboutThatCall) {
  list();
  relay->take(R"({"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":"a","method":"roots/list"})", mcp::SentKey{2});
  relay->from_server(R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})", mcp::SentKey{2});
  EXPECT_EQ(about, (std::vector<mcp::RequestId>{mcp::RequestId(5), mcp::RequestId(5)}));
}

TEST_F(Relayed, AListIsKeptOnlyWhileTheServerIsHeard) {
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{"listChanged":true}}}})");
  const auto ask = [&] {
    server.clear();
    relay->take(R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})");
    return !server.empty();
  };
  const auto answer = [&](int id) {
    relay->from_server(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":{"tools":[]}})");
  };
  EXPECT_TRUE(ask());
  answer(2);
  EXPECT_FALSE(ask());
  relay->set_hearing(false);
  EXPECT_TRUE(ask());
  answer(3);
  relay->set_hearing(true);
  EXPECT_TRUE(ask()) << "what was told meanwhile was heard by nobody";
  answer(4);
  EXPECT_FALSE(ask());
}

TEST_F(Relayed, WhoListensHearsThatItSeesOtherTools) {
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t"},{"name":"u"}]}})");
  relay->take(
      R"({"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}})");
  relay->take(R"({"jsonrpc":"2.0","id":"m","method":"subscriptions/listen","params":{"notifications":{}}})");
  client.clear();
  relay->look_again();
  EXPECT_TRUE(client.empty()) << "nothing changed";
  gate.policy.hidden = "u";
  relay->look_again();
  ASSERT_EQ(client.size(), 1u);
  EXPECT_EQ(client[0], R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":)"
                       R"({"io.modelcontextprotocol/subscriptionId":"l"}}})");
  relay->look_again();
  EXPECT_EQ(client.size(), 1u) << "told once, until it asks again";
}

TEST_F(Relayed, AListThatIsKeptShowsWhatTheCallerMaySeeNow) {
  relay->take(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})");
  relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{"listChanged":true}}}})");
  relay->take(R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})");
  relay->from_server(R"({"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"t","x":1.0},{"name":"u"}],"y":1e2}})");
  const auto again = [&](const std::string& id) {
    client.clear();
    relay->take(R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"tools/list"})");
    return client.size() == 1 ? client[0] : "";
  };
  EXPECT_EQ(again("3"), R"({"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"t","x":1.0},{"name":"u"}],"y":1e2}})");
  EXPECT_EQ(again(R"("a\n")"),
            R"({"jsonrpc":"2.0","id":"a\n","result":{"tools":[{"name":"t","x":1.0},{"name":"u"}],"y":1e2}})");
  gate.policy.hidden = "u";
  EXPECT_EQ(again("4"), R"({"jsonrpc":"2.0","id":4,"result":{"tools":[{"name":"t","x":1.0}],"y":1e2}})");
  gate.policy.hidden = "";
  EXPECT_EQ(again("5"), R"({"jsonrpc":"2.0","id":5,"result":{"tools":[{"name":"t","x":1.0},{"name":"u"}],"y":1e2}})");
}

}  // namespace
}  // namespace sluice::gateway

#include "gateway/era_bridge.h"

#include "gateway/test_era.h"

namespace sluice::gateway {
namespace {

using EraBridged = EraCase;

TEST_F(EraBridged, ALegacyClientsServerThatTakesItsHandshakeIsLeftAlone) {
  const std::string hello =
      R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","x":1.0}})";
  bridge->from_relay(hello);
  EXPECT_EQ(dump_json(sent()), dump_json(*parse_json(hello)));
  tell("notifications/initialized");
  EXPECT_EQ(server.size(), 1u) << "until it is known what the server speaks";
  say({{"id", 1}, {"result", {{"protocolVersion", "2025-11-25"}}}});
  EXPECT_EQ(got()["result"]["protocolVersion"], "2025-11-25");
  EXPECT_EQ(method(), "notifications/initialized");
  ask(2, "odd/method");
  EXPECT_EQ(method(), "odd/method");
  EXPECT_FALSE(bridge->translates());
}

TEST_F(EraBridged, AModernClientsServerThatDiscoversIsLeftAlone) {
  ask_modern(1, "server/discover");
  EXPECT_EQ(sent()["id"], 1);
  answer({{"supportedVersions", {"2026-07-28"}}, {"capabilities", Json::object()}});
  EXPECT_EQ(got()["result"]["supportedVersions"][0], "2026-07-28");
  ask_modern(2, "tools/list");
  EXPECT_EQ(sent()["id"], 2);
  EXPECT_FALSE(bridge->translates());
}

TEST_F(EraBridged, AModernRequestWaitsUntilTheServerIsKnownToBeModern) {
  ask_modern(5, "tools/call", {{"name", "t"}});
  ASSERT_EQ(server.size(), 1u);
  EXPECT_EQ(method(), "server/discover");
  EXPECT_EQ(sent()["params"]["_meta"], modern_meta(can_all()));
  EXPECT_TRUE(bridge->waits(mcp::SentKey{sent()["id"].get<std::uint64_t>()}));
  answer({{"supportedVersions", {"2026-07-28"}}, {"capabilities", Json::object()}});
  ASSERT_EQ(server.size(), 2u);
  EXPECT_EQ(method(), "tools/call");
  EXPECT_EQ(sent()["id"], 5);
  EXPECT_TRUE(relay.empty());
}

TEST_F(EraBridged, AModernErrorIsTheServersOwn) {
  ask_modern(1, "server/discover");
  refuse(mcp::rpc::kUnsupportedVersion, {{"supported", {"2027-01-01"}}});
  EXPECT_EQ(got()["error"]["data"]["supported"][0], "2027-01-01");
  EXPECT_FALSE(bridge->translates());
  make(false);
  ask_modern(1, "server/discover");
  bridge->lost(mcp::SentKey{1}, {mcp::rpc::kUnsupportedVersion, "without an id", nullptr}, false);
  EXPECT_EQ(got()["error"]["message"], "without an id");
}

TEST_F(EraBridged, AModernClientsLegacyServerIsOpenedWithItsCapabilities) {
  ask_modern(1, "server/discover", Json::object(),
             {{"roots", {{"listChanged", true}}}, {"extensions", {{"io.modelcontextprotocol/tasks", Json::object()}}}});
  refuse(mcp::rpc::kMethodNotFound);
  EXPECT_EQ(method(), "initialize");
  EXPECT_EQ(sent()["params"], (Json{{"protocolVersion", "2025-11-25"},
                                    {"capabilities", {{"roots", Json::object()}}},
                                    {"clientInfo", {{"name", "sluice"}, {"version", "9"}}}}));
  answer({{"protocolVersion", "2025-06-18"},
          {"capabilities", {{"tools", Json::object()}, {"tasks", Json::object()}}},
          {"serverInfo", {{"name", "old"}, {"version", "1"}}},
          {"instructions", "be kind"}});
  EXPECT_EQ(method(), "notifications/initialized");
  EXPECT_EQ(got()["id"], 1);
  EXPECT_EQ(got()["result"],
            (Json{{"resultType", "complete"},
                  {"supportedVersions", {"2026-07-28"}},
                  {"capabilities", {{"tools", Json::object()}}},
                  {"instructions", "be kind"},
                  {"_meta", {{"io.modelcontextprotocol/serverInfo", {{"name", "old"}, {"version", "1"}}}}},
                  {"ttlMs", 0},
                  {"cacheScope", "private"}}));
}

TEST_F(EraBridged, TheServerOfManyClientsIsToldOfAllThatAnyMayBeAsked) {
  make(true);
  ask_modern(1, "tools/list", Json::object(), Json::object());
  refuse(-32000);
  EXPECT_EQ(sent()["params"]["capabilities"], can_all());
}

TEST_F(EraBridged, AServerThatIsSilentOnDiscoveryIsTakenForALegacyOneUnlessItAnswersAfterAll) {
  ask_modern(1, "server/discover");
  clock.advance(EraBridge::kProbe - std::chrono::seconds(1));
  bridge->tick();
  EXPECT_EQ(server.size(), 1u);
  clock.advance(std::chrono::seconds(1));
  bridge->tick();
  bridge->tick();
  ASSERT_EQ(server.size(), 2u);
  EXPECT_EQ(method(), "initialize");
  say({{"id", 1}, {"result", {{"supportedVersions", {"2026-07-28"}}}}});
  EXPECT_EQ(got()["id"], 1);
  answer({{"protocolVersion", "2025-11-25"}});
  EXPECT_FALSE(bridge->translates());
  ask_modern(2, "tools/list");
  EXPECT_EQ(sent()["id"], 2) << "as it is";
}

TEST_F(EraBridged, AServerWithNeitherEraAnswersForItself) {
  ask_modern(1, "server/discover");
  refuse(-32000);
  refuse(-32001);
  EXPECT_EQ(got()["id"], 1);
  EXPECT_EQ(got()["error"]["code"], -32000);
  ask_modern(2, "tools/list");
  refuse(-32005);
  refuse(-32006);
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["error"]["code"], -32005);
  ask(3, "initialize");
  refuse(-32007);
  EXPECT_EQ(method(), "server/discover");
  refuse(-32008);
  EXPECT_EQ(got()["id"], 3);
  EXPECT_EQ(got()["error"]["code"], -32007);
}

TEST_F(EraBridged, WhatNeverLeftIsSaidToHaveNeverLeft) {
  ask(1, "initialize");
  bridge->lost(mcp::SentKey{1}, {mcp::rpc::kInternalError, "cannot be reached", nullptr}, true);
  EXPECT_EQ(server.size(), 1u) << "there is nobody to discover";
  EXPECT_EQ(losses.at(0), (Json{{"id", 1}, {"message", "cannot be reached"}, {"unsent", true}}));
}

TEST_F(EraBridged, AHandshakeThatHasNoAnswerAtAllIsNotTriedInTheOtherEra) {
  ask(1, "initialize");
  bridge->lost(mcp::SentKey{1}, {mcp::rpc::kInternalError, "gave no answer", nullptr}, false);
  EXPECT_EQ(got()["error"]["message"], "gave no answer");
  EXPECT_EQ(server.size(), 1u);
  ask(2, "initialize");
  bridge->lost(mcp::SentKey{2}, {mcp::rpc::kHeaderMismatch, "an error without an id", nullptr}, false);
  EXPECT_EQ(method(), "server/discover");
}

TEST_F(EraBridged, WhatWaitsUntilTheServerIsKnownIsCountedAndBounded) {
  ask_modern(1, "server/discover");
  const std::string much(EraBridge::kMaxQueue / 4, 'x');
  for (int id = 2; id < 6; ++id) ask_modern(id, "tools/call", {{"name", much}});
  EXPECT_GT(bridge->queued(), EraBridge::kMaxQueue / 2);
  EXPECT_LE(bridge->queued(), EraBridge::kMaxQueue);
  EXPECT_EQ(got()["id"], 5);
  EXPECT_EQ(got()["error"]["code"], -32603);
  answer({{"supportedVersions", {"2026-07-28"}}});
  EXPECT_EQ(server.size(), 4u);
  EXPECT_EQ(bridge->queued(), 0u);
}

TEST_F(EraBridged, ASessionThatIsLostIsOpenedAnewByTheNextRequest) {
  ask_modern(1, "server/discover");
  refuse(mcp::rpc::kMethodNotFound);
  answer({{"protocolVersion", "2025-11-25"}});
  ask_modern(2, "tools/call", {{"name", "t"}});
  bridge->session_lost();
  EXPECT_EQ(got()["id"], 2);
  EXPECT_EQ(got()["error"]["code"], -32603);
  ask_modern(3, "tools/list");
  EXPECT_EQ(method(), "server/discover");
}

TEST_F(EraBridged, WhatIsNoMessageIsSaidOnceInAWhileAndReachesNobody) {
  ask_modern(1, "server/discover");
  refuse(mcp::rpc::kMethodNotFound);
  answer({{"protocolVersion", "2025-11-25"}});
  forget();
  for (int i = 0; i < 200; ++i) bridge->from_server("not json");
  EXPECT_EQ(notices.size(), EraBridge::kMaxNotices);
  bridge->from_server(R"({"jsonrpc":"2.0","id":77,"result":{"forged":1}})");
  bridge->from_server(R"({"jsonrpc":"2.0","id":4503599627370500,"result":{"forged":1}})");
  EXPECT_TRUE(relay.empty());
}

}  // namespace
}  // namespace sluice::gateway

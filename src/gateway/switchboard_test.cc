#include "gateway/switchboard.h"

#include <gtest/gtest.h>

#include "gateway/test_switchboard.h"

namespace sluice::gateway {
namespace {

struct Several : SeveralServers {};

TEST_F(Several, OffersWhatAnyServerOffersInTheOldestRevision) {
  open(json(R"({"tools": {}, "tasks": {"list": {}, "odd": {}}})"), json(R"({"prompts": {}, "logging": {}})"));
  const Json& result = initialized["result"];
  EXPECT_EQ(result["protocolVersion"], "2025-06-18");
  EXPECT_EQ(result["serverInfo"]["name"], "sluice-gateway");
  const Json expected = json(R"({"tools": {"listChanged": true}, "tasks": {"list": {}},
                                 "prompts": {"listChanged": true}, "logging": {}})");
  EXPECT_EQ(result["capabilities"], expected);
  EXPECT_EQ(lanes[0]->taken.back()["method"], "notifications/initialized");
  EXPECT_EQ(lanes[1]->taken.back()["method"], "notifications/initialized");
}

TEST_F(Several, PutsListsTogetherPageByPageUnderTheServersNames) {
  open();
  take({{"id", 1}, {"method", "tools/list"}});
  reply(0, "tools/list", json(R"({"tools": [{"name": "read"}], "nextCursor": "2"})"));
  EXPECT_EQ(lanes[0]->last("tools/list")["params"]["cursor"], "2");
  reply(1, "tools/list", json(R"({"tools": [{"name": "read", "x": 1}]})"));
  EXPECT_TRUE(client.empty());
  reply(0, "tools/list", json(R"({"tools": [{"name": "a__b"}]})"));
  const Json expected = json(R"([{"name": "files__read"}, {"name": "files__a__b"}, {"name": "web__read", "x": 1}])");
  EXPECT_EQ(answer()["result"]["tools"], expected);
}

TEST_F(Several, LeavesOutAToolWhoseNameBecomesTooLong) {
  open();
  take({{"id", 1}, {"method", "tools/list"}});
  reply(0, "tools/list",
        {{"tools", Json::array({Json{{"name", std::string(122, 'x')}}, Json{{"name", std::string(121, 'x')}}})}});
  reply(1, "tools/list", {{"tools", Json::array()}});
  EXPECT_EQ(answer()["result"]["tools"].size(), 1U);
  EXPECT_EQ(notices.size(), 1U);
}

TEST_F(Several, OneServerThatDoesNotListLeavesTheOthersTools) {
  open();
  take({{"id", 1}, {"method", "tools/list"}});
  fail_with(0, "tools/list", -32603);
  reply(1, "tools/list", json(R"({"tools": [{"name": "get"}]})"));
  EXPECT_EQ(answer()["result"]["tools"][0]["name"], "web__get");
  EXPECT_EQ(notices, std::vector<std::string>{"files: does not answer tools/list: no"});
}

TEST_F(Several, WhatIsNoRequestAndWhatNamesNothingIsCounted) {
  open(json(R"({"tools": {}, "tasks": {}})"));
  board->take("[]");
  take({{"id", 1}, {"method", "tools/call"}, {"params", {{"name", 7}}}});
  board->too_long();
  EXPECT_EQ(malformed, 3);
  take({{"id", 2}, {"method", "tools/call"}, {"params", {{"name", "read"}}}});
  take({{"id", 3}, {"method", "tools/call"}, {"params", {{"name", "other__read"}}}});
  take({{"id", 4}, {"method", "odd/method"}});
  take({{"id", 5}, {"method", "tasks/get"}, {"params", {{"taskId", "T1"}}}});
  EXPECT_EQ(unknown, 4);
  EXPECT_TRUE(lanes[0]->last("tools/call").is_null());
}

TEST_F(Several, WhatIsAskedOfATaskGoesToTheServerWhoseSessionHasIt) {
  open(json(R"({"tools": {}, "tasks": {"cancel": {}}})"), json(R"({"tools": {}, "tasks": {"list": {}}})"));
  EXPECT_EQ(initialized["result"]["capabilities"]["tasks"], json(R"({"cancel": {}, "list": {}})"));
  lanes[0]->task = "one";
  lanes[1]->task = "two";
  take({{"id", 1}, {"method", "tasks/get"}, {"params", {{"taskId", "two"}}}});
  EXPECT_TRUE(lanes[0]->last("tasks/get").is_null());
  EXPECT_EQ(lanes[1]->last("tasks/get")["params"]["taskId"], "two");
  reply(1, "tasks/get", json(R"({"taskId": "two"})"));
  EXPECT_EQ(answer()["result"]["taskId"], "two");
  const auto sent = lanes[0]->taken.size() + lanes[1]->taken.size();
  for (const Json& params : {json(R"({"taskId": "three"})"), json(R"({"taskId": 7})"), json("{}")}) {
    take({{"id", 2}, {"method", "tasks/result"}, {"params", params}});
    EXPECT_EQ(answer()["error"]["code"], mcp::rpc::kInvalidParams) << params;
  }
  EXPECT_EQ(lanes[0]->taken.size() + lanes[1]->taken.size(), sent);
  take({{"id", 3}, {"method", "tasks/list"}});
  fail_with(0, "tasks/list", mcp::rpc::kMethodNotFound);
  reply(1, "tasks/list", json(R"({"tasks": [{"taskId": "two"}, {"odd": 1}]})"));
  EXPECT_EQ(answer()["result"]["tasks"], json(R"([{"taskId": "two"}])"));
}

TEST_F(Several, ACallGoesToItsServerAloneUnderItsOwnName) {
  open();
  take({{"id", "c"},
        {"method", "tools/call"},
        {"params", {{"name", "web__a__b"}, {"arguments", {{"n", 1}}}, {"_meta", {{"progressToken", "p"}}}}}});
  EXPECT_TRUE(lanes[0]->last("tools/call").is_null());
  const Json sent = lanes[1]->last("tools/call");
  EXPECT_EQ(sent["params"]["name"], "a__b");
  EXPECT_EQ(sent["params"]["_meta"]["progressToken"], "p");
  reply(1, "tools/call", {{"content", Json::array()}});
  EXPECT_EQ(answer()["id"], "c");
}

TEST_F(Several, NamesOfNoServerAreRefused) {
  open();
  for (const char* name : {"read", "other__read", "__read", "files_read"}) {
    take({{"id", name}, {"method", "tools/call"}, {"params", {{"name", name}}}});
    EXPECT_EQ(answer()["error"]["code"], -32602) << name;
  }
}

TEST_F(Several, AServerCannotAnswerForAnother) {
  open();
  take({{"id", 1}, {"method", "tools/call"}, {"params", {{"name", "files__read"}}}});
  say(1, {{"id", lanes[0]->last("tools/call")["id"]}, {"result", {{"forged", true}}}});
  EXPECT_TRUE(client.empty());
  reply(0, "tools/call", {{"forged", false}});
  EXPECT_EQ(answer()["result"]["forged"], false);
}

TEST_F(Several, AnswersAndProgressGoBackToTheServerThatAsked) {
  open();
  const Json params = json(R"({"_meta": {"progressToken": "same"}})");
  for (const Switchboard::Lane lane : {0, 1}) {
    say(lane, {{"id", 1}, {"method", "sampling/createMessage"}, {"params", params}});
  }
  ASSERT_EQ(client.size(), 2U);
  EXPECT_NE(client[0]["id"], client[1]["id"]);
  const Json second = client[1];
  take({{"method", "notifications/progress"},
        {"params", {{"progressToken", second["params"]["_meta"]["progressToken"]}, {"progress", 1}}}});
  EXPECT_EQ(lanes[1]->taken.back()["params"]["progressToken"], "same");
  take({{"id", second["id"]}, {"result", {{"ok", 1}}}});
  EXPECT_EQ(lanes[1]->taken.back()["id"], 1);
  EXPECT_EQ(lanes[0]->taken.back()["method"], "notifications/initialized");
  const std::size_t before = lanes[1]->taken.size();
  take({{"id", second["id"]}, {"result", {{"again", 1}}}});
  EXPECT_EQ(lanes[1]->taken.size(), before);
}

TEST_F(Several, AServerWithdrawsItsOwnRequestsOnly) {
  open();
  say(0, {{"id", 7}, {"method", "roots/list"}});
  const Json id = client.back()["id"];
  say(1, {{"method", "notifications/cancelled"}, {"params", {{"requestId", 7}}}});
  EXPECT_EQ(client.size(), 1U);
  say(0, {{"method", "notifications/cancelled"}, {"params", {{"requestId", 7}}}});
  EXPECT_EQ(client.back()["params"]["requestId"], id);
}

TEST_F(Several, ACancellationReachesEveryServerThatWorksOnIt) {
  open();
  take({{"id", "l"}, {"method", "tools/list"}});
  take({{"method", "notifications/cancelled"}, {"params", {{"requestId", "l"}, {"reason", "enough"}}}});
  for (const auto& lane : lanes) {
    EXPECT_EQ(lane->taken.back()["method"], "notifications/cancelled");
    EXPECT_EQ(lane->taken.back()["params"]["requestId"], lane->last("tools/list")["id"]);
    EXPECT_EQ(lane->taken.back()["params"]["reason"], "enough");
  }
  reply(0, "tools/list", {{"tools", Json::array()}});
  EXPECT_TRUE(client.empty());
  EXPECT_EQ(board->calls(), 0U);
}

TEST_F(Several, OfTwoServersWithOneUriTheFirstHasIt) {
  open(kResources, kResources);
  list_resources();
  EXPECT_EQ(answer()["result"]["resources"].size(), 3U);
  EXPECT_EQ(notices, std::vector<std::string>{"web: a:both is left out: files has it, too"});
  for (const auto& [uri, lane] : std::map<std::string, std::size_t>{{"a:both", 0}, {"b:1", 1}}) {
    take({{"id", uri}, {"method", "resources/read"}, {"params", {{"uri", uri}}}});
    EXPECT_EQ(lanes[lane]->taken.back()["params"]["uri"], uri);
  }
}

TEST_F(Several, AUriThatNobodyListsIsAskedOfOneAfterTheOther) {
  open(kResources, kResources);
  take({{"id", 1}, {"method", "resources/read"}, {"params", {{"uri", "c:1"}}}});
  for (const char* method : {"resources/list", "resources/templates/list"}) {
    for (const Switchboard::Lane lane : {0, 1}) fail_with(lane, method, -32601);
  }
  fail_with(0, "resources/read", -32002);
  reply(1, "resources/read", {{"contents", Json::array()}});
  EXPECT_TRUE(answer().contains("result"));
}

TEST_F(Several, ATemplateSaysWhoseAUriIs) {
  open(kResources, kResources);
  take({{"id", 1}, {"method", "resources/templates/list"}});
  reply(0, "resources/templates/list", json(R"({"resourceTemplates": [{"uriTemplate": "file:///{path}"}]})"));
  reply(1, "resources/templates/list", json(R"({"resourceTemplates": [{"uriTemplate": "file:///web/{path}"}]})"));
  take({{"id", 2}, {"method", "resources/read"}, {"params", {{"uri", "file:///web/1"}}}});
  EXPECT_FALSE(lanes[1]->last("resources/read").is_null());
  EXPECT_TRUE(lanes[0]->last("resources/read").is_null());
  take({{"id", 3},
        {"method", "completion/complete"},
        {"params", {{"ref", {{"type", "ref/resource"}, {"uri", "file:///{path}"}}}}}});
  EXPECT_FALSE(lanes[0]->last("completion/complete").is_null());
}

TEST_F(Several, CompletionOfAPromptKnowsItsOwnName) {
  open();
  take({{"id", 3},
        {"method", "completion/complete"},
        {"params", {{"ref", {{"type", "ref/prompt"}, {"name", "web__p"}}}}}});
  EXPECT_EQ(lanes[1]->last("completion/complete")["params"]["ref"]["name"], "p");
}

TEST_F(Several, AServersEndIsToldAndEndsWhatWaitsForIt) {
  open();
  take({{"id", 1}, {"method", "tools/call"}, {"params", {{"name", "files__read"}}}});
  say(0, {{"id", 7}, {"method", "roots/list"}});
  client.clear();
  board->lane_ended(0);
  ASSERT_EQ(client.size(), 3U);
  EXPECT_EQ(client[0]["method"], "notifications/cancelled");
  EXPECT_EQ(client[1]["error"]["message"], "the server files has ended");
  EXPECT_EQ(client[2]["method"], "notifications/tools/list_changed");
  take({{"id", 2}, {"method", "tools/list"}});
  reply(1, "tools/list", json(R"({"tools": [{"name": "get"}]})"));
  EXPECT_EQ(answer()["result"]["tools"].size(), 1U);
  take({{"id", 3}, {"method", "tools/call"}, {"params", {{"name", "files__read"}}}});
  EXPECT_EQ(answer()["error"]["code"], -32603);
}

TEST_F(Several, AServerThatRefusesToOpenIsLetGoAndTheOthersGoOn) {
  take({{"id", 0}, {"method", "initialize"}, {"params", Json::object()}});
  fail_with(0, "initialize", -32603);
  reply(1, "initialize", hello("2025-11-25", kTools));
  EXPECT_TRUE(answer().contains("result"));
  EXPECT_EQ(let_go, std::vector<Switchboard::Lane>{0});
}

TEST_F(Several, WithNoServerTheClientIsToldSo) {
  board->lane_ended(0);
  board->lane_ended(1);
  take({{"id", 0}, {"method", "initialize"}, {"params", Json::object()}});
  EXPECT_EQ(answer()["error"]["code"], -32603);
}

TEST_F(Several, ASlowServerIsNotWaitedForAndComesLater) {
  take({{"id", 0}, {"method", "initialize"}, {"params", Json::object()}});
  reply(1, "initialize", hello("2025-11-25", kTools));
  board->tick();
  EXPECT_TRUE(client.empty());
  clock.advance(Switchboard::kMaxOpening);
  board->tick();
  ASSERT_EQ(client.size(), 1U);
  take({{"method", "notifications/initialized"}});
  reply(0, "initialize", hello("2025-11-25", kTools));
  EXPECT_EQ(lanes[0]->taken.back()["method"], "notifications/initialized");
  EXPECT_EQ(client.back()["method"], "notifications/tools/list_changed");
}

TEST_F(Several, AServerThatForgotItsSessionIsOpenedAgainButNotForEver) {
  open();
  for (std::size_t n = 0; n < Switchboard::kMaxReopened; ++n) {
    board->lane_reset(0);
    reply(0, "initialize", hello("2025-11-25", kTools));
    EXPECT_EQ(lanes[0]->taken.back()["method"], "notifications/initialized");
  }
  board->lane_reset(0);
  EXPECT_EQ(let_go, std::vector<Switchboard::Lane>{0});
}

TEST_F(Several, DiscoveryWithoutAVersionIsRefusedAsByALegacyServer) {
  take({{"id", 1}, {"method", "server/discover"}});
  EXPECT_EQ(answer()["error"]["code"], -32601);
  EXPECT_TRUE(lanes[0]->taken.empty());
}

TEST_F(Several, WhatIsSaidWithinACallSaysOfWhichAndWhatIsTakenBackToo) {
  open();
  take({{"id", "c"}, {"method", "tools/call"}, {"params", {{"name", "web__get"}}}});
  const auto call = mcp::RequestId::from_json(lanes[1]->last("tools/call")["id"]);
  say(1, {{"id", "q"}, {"method", "roots/list"}}, call);
  EXPECT_EQ(about.back(), mcp::RequestId(std::string("c")));
  say(1, {{"method", "notifications/cancelled"}, {"params", {{"requestId", "q"}}}});
  EXPECT_EQ(answer()["method"], "notifications/cancelled");
  EXPECT_EQ(about.back(), mcp::RequestId(std::string("c"))) << "on the stream of the question";
  say(1, {{"method", "notifications/message"}, {"params", Json::object()}});
  EXPECT_EQ(about.back(), std::nullopt);
}

TEST_F(Several, AnIdInFlightIsRefusedASecondTime) {
  open();
  take({{"id", 1}, {"method", "tools/call"}, {"params", {{"name", "files__read"}}}});
  take({{"id", 1}, {"method", "tools/call"}, {"params", {{"name", "web__read"}}}});
  EXPECT_EQ(answer()["error"]["code"], -32600);
  EXPECT_TRUE(lanes[1]->last("tools/call").is_null());
}

TEST_F(Several, TheLogsLevelIsSetWhereThereIsALog) {
  open(json(R"({"logging": {}})"), kTools);
  take({{"id", 1}, {"method", "logging/setLevel"}, {"params", {{"level", "info"}}}});
  EXPECT_TRUE(lanes[1]->last("logging/setLevel").is_null());
  reply(0, "logging/setLevel", Json::object());
  EXPECT_TRUE(answer().contains("result"));
}

}  // namespace
}  // namespace sluice::gateway

// Streamable HTTP, both eras, over loopback.
#include "gateway/mcp_answers.h"
#include "gateway/test_client.h"

namespace sluice::gateway {
namespace {

TestPost call(int id, const std::string& tool, Json arguments = Json::object()) {
  return modern(id, "tools/call", {{"name", tool}, {"arguments", std::move(arguments)}}, tool);
}
TestPost call_with_progress(int id, const std::string& tool) {
  Json params = {{"name", tool}, {"arguments", Json::object()}};
  params["_meta"]["progressToken"] = "p";
  return modern(id, "tools/call", std::move(params), tool);
}
bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return condition();
}

TEST(McpHttp, AModernCallIsAnsweredAsJson) {
  TestServer server;
  TestClient client(server.port);
  client.send(call(5, "slow_echo", {{"text", "hi"}}).text());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/json");
  EXPECT_EQ(answer.json()["id"], 5);
  EXPECT_EQ(answer.json()["result"]["resultType"], "complete");
  EXPECT_EQ(answer.json()["result"]["structuredContent"]["text"], "hi");
  client.send(modern(6, "server/discover").text());
  EXPECT_TRUE(client.read().json()["result"].contains("supportedVersions")) << "on the same connection";
}

TEST(McpHttp, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  TestClient client(server.port);
  std::string all;
  for (int i = 1; i <= 5; ++i) all += call(i, "slow_echo", {{"text", std::to_string(i)}}).text();
  client.send(all);
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(client.read().json()["id"], i);
}

TEST(McpHttp, ARequestMayComeInAnyPieces) {
  TestServer server;
  const std::string text = call(1, "echo", {{"text", "x"}}).text();
  for (std::size_t cut = 1; cut < text.size(); cut += 13) {
    TestClient client(server.port);
    client.send(std::string_view(text).substr(0, cut));
    client.send(std::string_view(text).substr(cut));
    EXPECT_EQ(client.read().status, 200) << cut;
  }
}

TEST(McpHttp, UnknownToolsAreProtocolErrorsOfStatus200) {
  TestServer server;
  TestClient client(server.port);
  client.send(call(1, "nope").text());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.json()["error"]["code"], -32602);
  client.send(modern(2, "no/such").text());
  EXPECT_EQ(client.read().status, 404);
}

TEST(McpHttp, WhatIsNoRequestOrNamesNothingIsCountedInTheAudit) {
  TestServer server;
  TestPost batch = call(1, "echo");
  batch.body = "[" + batch.body + "]";
  const std::string endless =
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nContent-Type: application/json\r\n"
      "Accept: application/json, text/event-stream\r\nContent-Length: 99999999999\r\n\r\n";
  for (const std::string& text : {batch.text(), call(3, "nope").text(), modern(4, "no/such").text(), endless}) {
    TestClient client(server.port);
    client.send(text);
    EXPECT_NE(client.read().status, 0);
  }
  server.on_control([&] {
    EXPECT_EQ(server.gate.counted("(malformed)"), 2u);
    EXPECT_EQ(server.gate.counted("(unknown)"), 2u);
  });
}

// Whose token is looked for behind the body may not fill memory with it.
TEST(McpHttp, OnlyWhatSaysThatItIsShortIsBrief) {
  const auto brief = [](std::string_view name, std::string_view value) {
    http::RequestHead head = http::make_request("POST", "/mcp");
    if (!name.empty()) head.fields.append(name, value);
    return is_brief(head);
  };
  EXPECT_TRUE(brief("", ""));
  EXPECT_TRUE(brief("Content-Length", "65536"));
  EXPECT_FALSE(brief("Content-Length", "65537"));
  EXPECT_FALSE(brief("Content-Length", "1x"));
  EXPECT_FALSE(brief("Transfer-Encoding", "chunked"));
}

TEST(McpHttp, ProgressTurnsTheAnswerIntoEvents) {
  TestServer server;
  TestClient client(server.port);
  client.send(call_with_progress(1, "waiting").text());
  EXPECT_EQ(client.read().field("content-type"), "text/event-stream");
  const auto notice = client.read_event();
  ASSERT_TRUE(notice);
  EXPECT_EQ((*notice)["method"], "notifications/progress");
  EXPECT_EQ((*notice)["params"]["progressToken"], "p");
  client.close();  // modern: this cancels
  EXPECT_TRUE(eventually([] { return traces().stopped.load(); }));
}

TEST(McpHttp, ClosingWhileAModernCallWaitsForJsonCancelsIt) {
  TestServer server;
  TestClient client(server.port);
  client.send(call(1, "waiting").text());
  EXPECT_TRUE(eventually([] { return traces().runs == 1; }));
  client.close();
  EXPECT_TRUE(eventually([] { return traces().stopped.load(); }));
}

TEST(McpHttp, ALegacySessionLivesAndEnds) {
  TestServer server;
  TestClient client(server.port);
  const std::string id = open_session(client);
  EXPECT_GE(id.size(), 22u);
  client.send(legacy(id, rpc(1, "tools/call", {{"name", "echo"}, {"arguments", {{"text", "x"}}}})).text());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.json()["result"]["content"][0]["type"], "text");
  EXPECT_FALSE(answer.json()["result"].contains("resultType"));
  client.send("DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nMcp-Session-Id: " + id +
              "\r\n\r\n");
  EXPECT_EQ(client.read("DELETE").status, 200);
  client.send(legacy(id, rpc(2, "ping")).text());
  EXPECT_EQ(client.read().status, 404);
  EXPECT_EQ(server.ended, std::vector<std::string>{id});
}

TEST(McpHttp, AnUnknownSessionIs404AndAMissingOne400) {
  TestServer server;
  TestClient client(server.port);
  client.send(legacy("nope", rpc(1, "tools/list")).text());
  EXPECT_EQ(client.read().status, 404);
  client.send(TestPost{.body = rpc(1, "tools/list")}.text());
  EXPECT_EQ(client.read().status, 400);
}

TEST(McpHttp, ALegacyClientThatLeavesDoesNotCancel) {
  TestServer server;
  TestClient client(server.port);
  const std::string id = open_session(client);
  auto leaving = std::make_unique<TestClient>(server.port);
  leaving->send(legacy(id, rpc(7, "tools/call", {{"name", "waiting"}, {"arguments", Json::object()}})).text());
  EXPECT_TRUE(eventually([] { return traces().runs == 1; }));
  leaving.reset();
  client.send(legacy(id, rpc(8, "ping")).text());
  EXPECT_EQ(client.read().status, 200);
  EXPECT_FALSE(traces().stopped);
  client.send(legacy(id, R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})").text());
  EXPECT_EQ(client.read().status, 202);
  EXPECT_TRUE(eventually([] { return traces().stopped.load(); }));
}

TEST(McpHttp, ACancelledLegacyCallEndsItsPostWithoutAnAnswer) {
  TestServer server;
  TestClient client(server.port), waiting(server.port);
  const std::string id = open_session(client);
  waiting.send(legacy(id, rpc(7, "tools/call", {{"name", "waiting"}, {"arguments", Json::object()}})).text());
  EXPECT_TRUE(eventually([] { return traces().runs == 1; }));
  client.send(legacy(id, R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})").text());
  EXPECT_EQ(client.read().status, 202);
  EXPECT_EQ(waiting.read().field("content-type"), "text/event-stream");
  EXPECT_FALSE(waiting.read_event());
}

TEST(McpHttp, SubscribedResourcesAreNotifiedOnTheGetStream) {
  TestServer server;
  TestClient client(server.port), stream(server.port);
  const std::string id = open_session(client);
  stream.send(
      "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nAccept: text/event-stream\r\n"
      "Mcp-Session-Id: " +
      id + "\r\n\r\n");
  EXPECT_EQ(stream.read("GET").status, 200);
  client.send(legacy(id, rpc(1, "resources/subscribe", {{"uri", "proxy://status"}})).text());
  EXPECT_EQ(client.read().json()["result"], Json::object());
  client.send(legacy(id, rpc(2, "resources/subscribe", {{"uri", "proxy://nope"}})).text());
  EXPECT_EQ(client.read().json()["error"]["code"], -32002);
  client.send(legacy(id, rpc(3, "tools/call", {{"name", "slow_echo"}, {"arguments", Json::object()}})).text());
  client.read();  // a tool that writes: the status may have changed
  const auto notice = stream.read_event();
  ASSERT_TRUE(notice);
  EXPECT_EQ((*notice)["method"], "notifications/resources/updated");
  EXPECT_EQ((*notice)["params"]["uri"], "proxy://status");
  TestClient second(server.port);
  second.send(
      "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nAccept: text/event-stream\r\n"
      "Mcp-Session-Id: " +
      id + "\r\n\r\n");
  EXPECT_EQ(second.read("GET").status, 409);
}

TEST(McpHttp, AListenStreamsItsNoticesAfterTheAcknowledgement) {
  TestServer server;
  TestClient client(server.port);
  client.send(
      modern(1, "subscriptions/listen",
             {{"notifications", {{"resourceSubscriptions", Json::array({"proxy://traffic/summary", "proxy://nope"})}}}})
          .text());
  const TestAnswer answer = client.read();
  ASSERT_EQ(answer.field("content-type"), "text/event-stream") << answer.body;
  const auto acknowledgement = client.read_event();
  ASSERT_TRUE(acknowledgement);
  EXPECT_EQ((*acknowledgement)["method"], "notifications/subscriptions/acknowledged") << *acknowledgement;
  server.on_control([&] { server.gate.dispatcher->changes()->mark(Changes::kTraffic); });
  const auto notice = client.read_event();
  ASSERT_TRUE(notice);
  EXPECT_EQ((*notice)["params"]["uri"], "proxy://traffic/summary");
}

TEST(McpHttp, AtTheLimitTheLongestIdleSessionMakesRoom) {
  ControlServer::Options options;
  options.limits.max_sessions = 3;
  TestServer server(options);
  TestClient client(server.port);
  const std::string first = open_session(client);
  for (int i = 0; i < 3; ++i) open_session(client);
  client.send(legacy(first, rpc(1, "ping")).text());
  EXPECT_EQ(client.read().status, 404);
  server.on_control([&] { EXPECT_EQ(server.server->mcp().sessions(), 3u); });
}

TEST(McpHttp, IdleSessionsExpire) {
  ControlServer::Options options;
  options.limits.session_idle = std::chrono::minutes(0);
  TestServer server(options);
  TestClient client(server.port);
  client.send(TestPost{.body = rpc(0, "initialize", initialize_params())}.text());
  const std::string id = client.read().field("mcp-session-id");
  server.on_control([&] { server.server->mcp().sweep(); });
  client.send(legacy(id, rpc(1, "ping")).text());
  EXPECT_EQ(client.read().status, 404);
}

TEST(McpHttp, ExpectIsAnsweredBeforeTheBody) {
  TestServer server;
  TestClient client(server.port);
  TestPost post = call(1, "echo");
  post.more += "Expect: 100-continue\r\n";
  client.send(post.text());
  EXPECT_EQ(client.read().status, 200);
}

TEST(McpHttp, AnOldClientGetsEventsUntilTheConnectionCloses) {
  TestServer server;
  TestClient client(server.port);
  std::string text = call_with_progress(1, "slow_echo").text();
  text.replace(text.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.send(text);
  EXPECT_EQ(client.read().status, 200);
  const auto answer = client.read_event();
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)["id"], 1);
  EXPECT_FALSE(client.read_event());
}

TEST(McpHttp, TheServerGoesDownUnderOpenStreams) {
  TestServer server;
  TestClient stream(server.port), waiting(server.port), idle(server.port);
  const std::string id = open_session(idle);
  stream.send(
      "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nAccept: text/event-stream\r\n"
      "Mcp-Session-Id: " +
      id + "\r\n\r\n");
  EXPECT_EQ(stream.read("GET").status, 200);
  waiting.send(call(1, "waiting").text());
  EXPECT_TRUE(eventually([] { return traces().runs == 1; }));
  server.on_control([&] { server.server->stop(); });
  EXPECT_FALSE(stream.read_event());
  EXPECT_TRUE(eventually([] { return traces().stopped.load(); }));
}

}  // namespace
}  // namespace sluice::gateway

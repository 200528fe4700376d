// Who gets past the door of the control port, and who does not.
#include <sys/stat.h>

#include "gateway/test_client.h"

namespace sluice::gateway {
namespace {

int status_of(TestServer& server, const TestPost& post) {
  TestClient client(server.port);
  client.send(post.text());
  return client.read().status;
}

TestPost tools_list() { return modern(1, "tools/list"); }

TEST(ControlPort, WithoutTheTokenThereIsNothing) {
  TestServer server;
  TestPost post = tools_list();
  EXPECT_EQ(status_of(server, post), 200);
  for (const std::string token : {"", "wrong", "the-toke", "the-token2", "THE-TOKEN"}) {
    post.token = token;
    EXPECT_EQ(status_of(server, post), 401) << token;
  }
  post.token = "";
  post.more += "Authorization: the-token\r\n";
  EXPECT_EQ(status_of(server, post), 401);
  post.more += "Authorization: Bearer the-token\r\n";
  EXPECT_EQ(status_of(server, post), 401) << "given twice";
}

TEST(ControlPort, TheRefusalNamesBearerAndNoMetadata) {
  TestServer server;
  TestClient client(server.port);
  TestPost post = tools_list();
  post.token = "";
  client.send(post.text());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.field("www-authenticate"), "Bearer");
  TestClient other(server.port);
  other.send("GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(other.read("GET").status, 404);
}

TEST(ControlPort, ARebindingHostIsRefusedEvenWithTheToken) {
  ControlServer::Options options;
  options.allow_hosts = {"Sluice.Example"};
  TestServer server(options);
  TestPost post = tools_list();
  for (const std::string host : {"localhost", "localhost:9", "127.0.0.1", "[::1]:8790", "sluice.example:1"}) {
    post.host = host;
    EXPECT_EQ(status_of(server, post), 200) << host;
  }
  for (const std::string host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.evil.example",
                                 "10.0.0.1", "evil.example:8790"}) {
    post.host = host;
    EXPECT_EQ(status_of(server, post), 403) << host;
  }
  post.host = "";
  EXPECT_EQ(status_of(server, post), 400);
  post.more += "Host: localhost\r\nHost: localhost\r\n";
  EXPECT_EQ(status_of(server, post), 400);
}

TEST(ControlPort, TheAbsoluteFormIsJudgedAsWell) {
  TestServer server;
  TestPost post = tools_list();
  post.path = "http://localhost/mcp";
  EXPECT_EQ(status_of(server, post), 200);
  post.path = "http://evil.example/mcp";
  EXPECT_EQ(status_of(server, post), 403);
}

TEST(ControlPort, AForeignPageIsRefused) {
  TestServer server;
  for (const std::string origin : {"https://evil.example", "null", "http://localhost.evil.example", "file://",
                                   "http://localhost/x", "chrome-extension://abc", ""}) {
    TestPost post = tools_list();
    post.more += "Origin: " + origin + "\r\n";
    EXPECT_EQ(status_of(server, post), 403) << origin;
  }
  for (const std::string origin : {"http://localhost:6274", "http://127.0.0.1", "https://[::1]:1"}) {
    TestPost post = tools_list();
    post.more += "Origin: " + origin + "\r\n";
    EXPECT_EQ(status_of(server, post), 200) << origin;
  }
}

TEST(ControlPort, OtherPathsAndMethodsAreNotThere) {
  TestServer server;
  TestPost post = tools_list();
  post.path = "/mcp/";
  EXPECT_EQ(status_of(server, post), 404);
  post.path = "/mcp?x=1";
  EXPECT_EQ(status_of(server, post), 200);
  TestClient client(server.port);
  client.send("PUT /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\n\r\n");
  EXPECT_EQ(client.read("PUT").status, 405);
  client.send(
      "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nAccept: text/event-stream\r\n\r\n");
  const TestAnswer get = client.read("GET");
  EXPECT_EQ(get.status, 405) << "no session id: no stream";
}

TEST(ControlPort, LargeBodiesAreRefusedBeforeTheyAreRead) {
  TestServer server;
  TestClient client(server.port);
  client.send(
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nContent-Type: "
      "application/json\r\nAccept: */*\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(client.read().status, 413);
  TestClient chunked(server.port);
  chunked.send(
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\nContent-Type: "
      "application/json\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 5; ++i) chunked.send("100000\r\n" + std::string(1 << 20, 'x') + "\r\n");
  EXPECT_EQ(chunked.read().status, 413);
  TestClient stranger(server.port);
  stranger.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n");
  EXPECT_EQ(stranger.read().status, 401) << "without waiting for the body";
}

TEST(ControlPort, RequestsThatCouldBeReadTwoWaysAreRefused) {
  TestServer server;
  for (const std::string fields :
       {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n", "Bad Name: x\r\n"}) {
    TestClient client(server.port);
    client.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\nhello");
    EXPECT_EQ(client.read().status, 400) << fields;
  }
  TestClient huge(server.port);
  huge.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(huge.read("GET").status, 431);
}

TEST(ControlPort, NonsenseIsAnsweredAsJsonRpc) {
  TestServer server;
  for (const std::string body : {"", "{", "[]", "null", "\xff", R"({"jsonrpc":"1.0","id":1,"method":"x"})"}) {
    TestClient client(server.port);
    client.send(TestPost{.body = body}.text());
    const TestAnswer answer = client.read();
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(answer.json()["error"]["code"].is_number()) << answer.body;
  }
}

TEST(ControlPort, WithoutAuthenticationHostAndOriginStillCount) {
  // As --control-auth none: TestServer gives a token to an empty one, so the guard is asked itself.
  const ControlGuard guard({{}, true});
  http::RequestHead head;
  head.method = "POST";
  head.target = "/mcp";
  head.fields.append("Host", "localhost:8790");
  EXPECT_FALSE(guard.judge(head, "127.0.0.1"));
  head.fields.set("Host", "evil.example");
  EXPECT_EQ(guard.judge(head, "127.0.0.1")->status, 403);
}

TEST(ControlSocket, IsForThisUserAloneAndUnmasked) {
  char directory[] = "/tmp/sluice-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/c.sock";
  {
    TestServer server({}, path);
    struct stat about {};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u);
    TestClient client(path);
    TestPost post =
        modern(1, "tools/call", {{"name", "echo"}, {"arguments", {{"text", "https://u:secret@h/"}}}}, "echo");
    post.token = "";
    post.host = "sluice";
    client.send(post.text());
    const TestAnswer answer = client.read();
    EXPECT_EQ(answer.json()["result"]["structuredContent"]["text"], "https://u:secret@h/") << answer.body;
    EXPECT_EQ(answer.json()["result"]["structuredContent"]["grant"], "owner");
    McpHttpDeps deps{server.gate.clock, server.gate.entropy, server.profile, *server.gate.dispatcher, {}};
    EXPECT_EQ(ControlServer::create_local(server.gate.io, deps, path, {}, {}).error().code, Code::kConflict);
  }
  struct stat about {};
  EXPECT_NE(::stat(path.c_str(), &about), 0) << "the file is gone with the server";
  ::rmdir(directory);
}

}  // namespace
}  // namespace sluice::gateway

// A server over HTTP as an upstream, against a peer that says what each test has it say.
#include "gateway/http_upstream.h"

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/text.h"
#include "http1/http1.h"

namespace sluice::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

std::string json(int status, const std::string& body, const std::string& fields = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string accepted() { return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"; }
std::string events(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + body;
}
std::string result(int id) { return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":{}})"; }
std::string call(int id, const std::string& name = "t") {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"tools/call","params":{"name":")" + name +
         R"("}})";
}
std::string modern_call(int id) {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) +
         R"(,"method":"tools/call","params":{"name":"t","arguments":{"r":"x"},"_meta":)"
         R"({"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})";
}
const std::string kInitialize = R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})";
const std::string kInitialized = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";

// Answers the n-th request by the n-th answer, on as many connections as come; without one it waits. An answer that
// says `Connection: close` is the last on its connection.
class Peer {
 public:
  explicit Peer(asio::io_context& io) : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    asio::co_spawn(io, accept(), asio::detached);
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  // The answer to a request that got an empty one.
  void say(std::size_t request, const std::string& answer) {
    boost::system::error_code ignored;
    asio::write(*sockets.at(request), asio::buffer(answer), ignored);
  }

  std::vector<std::string> answers;
  std::vector<std::shared_ptr<tcp::socket>> sockets;  // of each request
  std::vector<http::RequestHead> heads;
  std::vector<std::string> bodies;
  int connections = 0, ended = 0;

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kTuple);
      if (error) co_return;
      ++connections;
      asio::co_spawn(acceptor_.get_executor(), serve(std::make_shared<tcp::socket>(std::move(socket))), asio::detached);
    }
  }

  asio::awaitable<void> serve(std::shared_ptr<tcp::socket> socket) {
    http1::RequestReader reader{HttpLimits{}};
    std::string space(4'096, '\0'), body;
    for (;;) {
      const auto [error, got] = co_await socket->async_read_some(asio::buffer(space), kTuple);
      if (error) break;
      reader.feed(Bytes(space).substr(0, got));
      for (;;) {
        auto event = reader.next();
        if (!event || std::holds_alternative<http::NeedMore>(*event)) break;
        if (auto* head = std::get_if<http::RequestHead>(&*event)) heads.push_back(std::move(*head));
        if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) body += piece->content;
        if (!std::holds_alternative<http::MessageEnd>(*event)) continue;
        bodies.push_back(std::exchange(body, {}));
        sockets.push_back(socket);
        const std::size_t at = bodies.size() - 1;
        if (at >= answers.size()) break;
        co_await asio::async_write(*socket, asio::buffer(answers[at]), kTuple);
        if (answers[at].find("Connection: close") != std::string::npos) {
          boost::system::error_code ignored;
          socket->close(ignored);
          co_return;
        }
      }
    }
    ++ended;
  }

  tcp::acceptor acceptor_;
};

struct Upstreamed : testing::Test {
  Upstreamed() {
    limits.retry = std::chrono::milliseconds(20);
    limits.max_message = 1'000;
    limits.farewell = std::chrono::milliseconds(500);
  }
  ~Upstreamed() override {
    if (upstream) upstream->close([] {});
    (void)run_until([&] { return false; }, 30);
    upstream.reset();
    client.reset();
  }

  void open() {
    HttpClient::Options options;
    options.server = *parse_url("http://127.0.0.1:" + std::to_string(peer.port()) + "/mcp");
    options.only_loopback = true;
    client = std::make_unique<HttpClient>(io, clock, options);
    UpstreamEvents made;
    made.message = [this](std::string_view text, mcp::SentKey on) {
      messages.emplace_back(text);
      streams.push_back(on.value);
      const auto parsed = parse_json(text);
      const Json* id = parsed && !find_member(*parsed, "method") ? find_member(*parsed, "id") : nullptr;
      if (id && id->is_number_unsigned()) answered.insert(id->get<std::uint64_t>());
    };
    made.too_long = [] {};
    made.waits = [this](mcp::SentKey key) { return !answered.contains(key.value); };
    made.lost = [this](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
      if (!answered.insert(key.value).second) return;
      lost.push_back(error.message);
      left_nothing.push_back(unsent);
    };
    made.session_lost = [this] { ++sessions_lost; };
    made.hears = [this](bool value) { hears = value; };
    made.ended = [] {};
    made.drained = [] {};
    made.tool = [this](std::string_view) { return tool; };
    made.notice = [this](std::string_view text) { notices.emplace_back(text); };
    credentials = std::make_shared<const UpstreamFields>(UpstreamFields{{"X-Key", "k"}});
    upstream = HttpUpstream::create(io, *client, "/mcp", credentials, std::move(made), limits);
  }
  bool run_until(const std::function<bool()>& condition, int at_most_ms = 5'000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(at_most_ms);
    while (!condition() && std::chrono::steady_clock::now() < end) io.run_for(std::chrono::milliseconds(2));
    return condition();
  }
  std::string field(std::size_t request, std::string_view name) {
    return peer.heads.at(request).fields.joined(name).value_or("");
  }
  // A legacy session, without a stream of its own.
  void begin_session() {
    open();
    peer.answers = {
        json(200, R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}})", "Mcp-Session-Id: s-1\r\n"),
        accepted(), json(405, "")};
    upstream->send(kInitialize);
    upstream->send(kInitialized);
    ASSERT_TRUE(run_until([&] { return peer.bodies.size() == 3; }));
  }

  asio::io_context io;
  SystemClock clock;
  Peer peer{io};
  HttpUpstreamLimits limits;
  std::unique_ptr<HttpClient> client;
  std::shared_ptr<const UpstreamFields> credentials;
  std::shared_ptr<const UpstreamTool> tool;
  std::shared_ptr<HttpUpstream> upstream;
  std::vector<std::string> messages, lost, notices;
  std::vector<std::uint64_t> streams;
  std::vector<bool> left_nothing;
  std::set<std::uint64_t> answered;
  int sessions_lost = 0;
  bool hears = false;
};

TEST_F(Upstreamed, TheHandshakeComesFirstAndItsSessionWithEverythingBehindIt) {
  begin_session();
  EXPECT_EQ(messages.size(), 1u);
  EXPECT_EQ(field(0, "mcp-session-id"), "");
  for (const std::size_t request : {1u, 2u}) {
    EXPECT_EQ(field(request, "mcp-session-id"), "s-1");
    EXPECT_EQ(field(request, "mcp-protocol-version"), "2025-06-18");
    EXPECT_EQ(field(request, "x-key"), "k");
  }
  EXPECT_EQ(peer.heads[2].method, "GET");
  EXPECT_LE(peer.connections, 2);
  EXPECT_FALSE(hears);
}

TEST_F(Upstreamed, AnAnswerAsEventsIsGivenWithWhatCameBeforeIt) {
  begin_session();
  peer.answers.push_back(
      events("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n: hm\n\ndata: " + result(2) + "\n\n"));
  upstream->send(call(2));
  ASSERT_TRUE(run_until([&] { return messages.size() == 3; }));
  EXPECT_EQ(messages[2], result(2));
  EXPECT_EQ(streams, (std::vector<std::uint64_t>{1, 2, 2}));
  EXPECT_TRUE(lost.empty());
}

TEST_F(Upstreamed, AStreamThatBreaksIsTakenUpBehindItsLastId) {
  begin_session();
  peer.answers.push_back(events("id: e-7\nretry: 10\ndata:\n\n"));
  peer.answers.push_back(events("data: " + result(2) + "\n\n"));
  upstream->send(call(2));
  ASSERT_TRUE(run_until([&] { return messages.size() == 2; }));
  EXPECT_EQ(peer.heads[4].method, "GET");
  EXPECT_EQ(field(4, "last-event-id"), "e-7");
}

TEST_F(Upstreamed, AStreamThatBreaksWithoutAnIdIsLost) {
  begin_session();
  peer.answers.push_back(events("data: {\"jsonrpc\""));
  upstream->send(call(2));
  ASSERT_TRUE(run_until([&] { return !lost.empty(); }));
  EXPECT_EQ(lost[0], "the server's stream ended before its answer came");
  EXPECT_FALSE(left_nothing[0]);
}

TEST_F(Upstreamed, TheBoundsHoldForBodiesAndEvents) {
  begin_session();
  peer.answers.push_back(json(200, "{" + std::string(2'000, ' ') + "}"));
  peer.answers.push_back(events("data: " + std::string(2'000, 'x')));
  upstream->send(call(2));
  ASSERT_TRUE(run_until([&] { return lost.size() == 1; }));
  upstream->send(call(3));
  ASSERT_TRUE(run_until([&] { return lost.size() == 2; }));
  EXPECT_NE(lost[0].find("longer than"), std::string::npos);
  EXPECT_NE(lost[1].find("longer than"), std::string::npos);
}

TEST_F(Upstreamed, WhatHttpRefusesIsAnErrorThatSaysSo) {
  begin_session();
  peer.answers.push_back("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  peer.answers.push_back(json(400, R"({"jsonrpc":"2.0","error":{"code":-32000,"message":"their words"}})"));
  peer.answers.push_back("HTTP/1.1 101 Switching Protocols\r\n\r\n");
  for (int id : {2, 3, 4}) {
    upstream->send(call(id));
    ASSERT_TRUE(run_until([&] { return lost.size() == static_cast<std::size_t>(id - 1); })) << id;
  }
  EXPECT_EQ(lost[0], "the server redirects (HTTP 302 Found), which is not followed");
  EXPECT_EQ(lost[1], "their words");
  EXPECT_NE(lost[2].find("another protocol"), std::string::npos);
}

TEST_F(Upstreamed, AForgottenSessionIsLostUntilTheNextHandshake) {
  begin_session();
  peer.answers.push_back(json(404, ""));
  upstream->send(call(2));
  ASSERT_TRUE(run_until([&] { return sessions_lost == 1; }));
  upstream->send(call(3));
  EXPECT_EQ(lost.size(), 2u);
  EXPECT_TRUE(left_nothing[1]);
  peer.answers.push_back(json(200, R"({"jsonrpc":"2.0","id":4,"result":{}})"));
  upstream->send(R"({"jsonrpc":"2.0","id":4,"method":"initialize","params":{}})");
  ASSERT_TRUE(run_until([&] { return messages.size() == 2; }));
  EXPECT_EQ(field(4, "mcp-session-id"), "");
}

TEST_F(Upstreamed, ALateWordOfAnOlderSessionDoesNotEndTheNewOne) {
  begin_session();
  upstream->send(call(2));  // is not answered
  ASSERT_TRUE(run_until([&] { return peer.bodies.size() == 4; }));
  peer.answers.push_back("");
  peer.answers.push_back(json(200, R"({"jsonrpc":"2.0","id":3,"result":{}})", "Mcp-Session-Id: s-2\r\n"));
  upstream->send(R"({"jsonrpc":"2.0","id":3,"method":"initialize","params":{}})");
  ASSERT_TRUE(run_until([&] { return messages.size() == 2; }));
  peer.say(3, json(404, ""));
  ASSERT_TRUE(run_until([&] { return lost.size() == 1; }));
  EXPECT_EQ(sessions_lost, 0);
  peer.answers.push_back(json(200, result(4)));
  upstream->send(call(4));
  ASSERT_TRUE(run_until([&] { return messages.size() == 3; }));
  EXPECT_EQ(field(5, "mcp-session-id"), "s-2");
}

TEST_F(Upstreamed, AModernRequestSaysItsParametersAndIsCancelledByClosing) {
  open();
  auto marked = std::make_shared<UpstreamTool>();
  marked->headers = {{"Mcp-Param-R", {"r"}}};
  tool = marked;
  upstream->send(modern_call(1));
  ASSERT_TRUE(run_until([&] { return peer.bodies.size() == 1; }));
  EXPECT_EQ(field(0, "mcp-method"), "tools/call");
  EXPECT_EQ(field(0, "mcp-name"), "t");
  EXPECT_EQ(field(0, "mcp-param-r"), "x");
  upstream->send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  ASSERT_TRUE(run_until([&] { return peer.ended == 1; }));
  EXPECT_EQ(peer.bodies.size(), 1u);
  EXPECT_TRUE(lost.empty());
}

TEST_F(Upstreamed, ARequestThatWaitsForTheHandshakeIsTakenBackByItsCancellation) {
  open();
  upstream->send(kInitialize);
  upstream->send(call(2));
  upstream->send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}})");
  ASSERT_TRUE(run_until([&] { return peer.bodies.size() == 1; }));
  EXPECT_EQ(upstream->pending(), kInitialize.size());
}

TEST_F(Upstreamed, WhatWasNeverSentIsToldFromWhatWas) {
  open();
  HttpClient::Options options;
  options.server = *parse_url("http://127.0.0.1:1/mcp");
  HttpClient nobody(io, clock, options);
  UpstreamEvents made;
  made.lost = [this](mcp::SentKey, const mcp::RpcError& error, bool unsent) {
    lost.push_back(error.message);
    left_nothing.push_back(unsent);
  };
  made.drained = [] {};
  made.tool = [](std::string_view) { return nullptr; };
  const auto other = HttpUpstream::create(io, nobody, "/mcp", credentials, std::move(made), limits);
  other->send(modern_call(1));
  ASSERT_TRUE(run_until([&] { return !lost.empty(); }));
  EXPECT_TRUE(lost[0].starts_with("the server cannot be reached")) << lost[0];
  EXPECT_TRUE(left_nothing[0]);
  other->close([] {});
}

TEST_F(Upstreamed, TheEndIsSaidToTheServer) {
  begin_session();
  bool gone = false;
  upstream->close([&] { gone = true; });
  ASSERT_TRUE(run_until([&] { return gone; }));
  EXPECT_EQ(peer.heads.back().method, "DELETE");
  EXPECT_EQ(field(3, "mcp-session-id"), "s-1");
}

TEST_F(Upstreamed, ANameThatLeadsElsewhereIsNotDialledInPlainHttp) {
  open();
  HttpClient::Options options;
  options.server = *parse_url("http://192.0.2.1/mcp");
  options.only_loopback = true;
  HttpClient far(io, clock, options);
  Status sent;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        const auto exchange = far.open({"GET", "/", {}, ""});
        sent = co_await exchange->send();
      },
      asio::detached);
  ASSERT_TRUE(run_until([&] { return !sent.has_value(); }));
  EXPECT_NE(sent.error().message.find("not this machine"), std::string::npos) << sent.error().message;
}

}  // namespace
}  // namespace sluice::gateway

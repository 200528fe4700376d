// WebSockets through the whole engine over real sockets: what passes, what is recorded, how long silence may last.
#include "proxy/test_world.h"
#include "proxy/websocket_test_world.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

class EngineWebSocketTest : public EngineTest {
 protected:
  void configure(EngineOptions& options) override {
    options.limits.timeouts.idle = std::chrono::milliseconds(200);  // nothing to a WebSocket
  }
  // A WebSocket to `server`: the client's end and the server's.
  struct Pair {
    int client, server;
  };
  Pair open(const Listening& server, Bytes client_early = "", Bytes server_early = "") {
    const int fd = connect();
    send(fd, "GET http://" + server.authority() + "/ws HTTP/1.1\r\nHost: " + server.authority() +
                 "\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n" + std::string(client_early));
    const int there = server.accept();
    EXPECT_NE(receive(there, "\r\n\r\n").find("Upgrade: WebSocket"), std::string::npos);
    send(there, std::string(kSwitch) + std::string(server_early));
    EXPECT_EQ(receive(fd, std::string("\r\n\r\n") + std::string(server_early)),
              std::string(kSwitch) + std::string(server_early));
    return {fd, there};
  }
  static bool is_silent_for(int fd, int milliseconds) {
    pollfd look{fd, POLLIN, 0};
    return ::poll(&look, 1, milliseconds) == 0;
  }
};

TEST_F(EngineWebSocketTest, PassesFramesAndRecordsMessages) {
  Listening server;
  const std::string early = masked(Opcode::kText, "before the answer"), first = plain(Opcode::kText, "with the answer");
  const Pair pair = open(server, early, first);
  EXPECT_EQ(receive(pair.server, early), early);
  std::string large;
  for (int i = 0; i < 20'000; ++i) large += std::to_string(i);
  const std::string later = masked(Opcode::kBinary, large);
  send(pair.client, later);
  EXPECT_TRUE(receive(pair.server, Bytes(later).substr(later.size() - 64)) == later);
  std::string close;
  append_close(close, 1001, "going", kTestKey);
  send(pair.client, close);
  EXPECT_EQ(receive(pair.server, close), close);
  close.clear();
  append_close(close, 1001, "", std::nullopt);
  send(pair.server, close);
  ::close(pair.server);
  EXPECT_EQ(receive(pair.client), close);
  ::close(pair.client);
  const auto& record = records().at(0);
  EXPECT_EQ(record.state, flow::State::kDone);
  EXPECT_EQ(record.protocol, flow::Protocol::kWebSocket);
  EXPECT_EQ(record.status, 101);
  EXPECT_TRUE(record.request_ended && record.response_ended);
  EXPECT_EQ(record.request_body.size(), 17 + large.size());
  EXPECT_TRUE(record.request_body == "before the answer" + large);
  EXPECT_EQ(record.response_body, "with the answer");
  ASSERT_EQ(record.messages.size(), 5u);
  EXPECT_EQ(record.messages[3].control, "\x03\xe9going");
  EXPECT_EQ(record.messages[4].control, "\x03\xe9");
  EXPECT_EQ(record.anomalies, 0u);
}

TEST_F(EngineWebSocketTest, SilenceThatWouldEndARequestDoesNotEndAWebSocket) {
  Listening server;
  const Pair pair = open(server);
  EXPECT_TRUE(is_silent_for(pair.client, 600));
  send(pair.server, plain(Opcode::kText, "still here"));
  EXPECT_EQ(receive(pair.client, "here"), plain(Opcode::kText, "still here"));
  int on = 0;
  socklen_t size = sizeof on;
  ::getsockopt(pair.client, SOL_SOCKET, SO_KEEPALIVE, &on, &size);
  EXPECT_EQ(on, 0);  // this end is the test's own
  ::close(pair.client);
  ::close(pair.server);
}

TEST_F(EngineWebSocketTest, OnceOneSideHasEndedTheOtherMustNotStayForEver) {
  Listening server;
  const Pair pair = open(server);
  ::close(pair.server);
  EXPECT_EQ(receive(pair.client), "");
  pollfd look{pair.client, 0, 0};  // until it is dead in both directions
  EXPECT_EQ(::poll(&look, 1, 10'000), 1);
  ::close(pair.client);
  EXPECT_EQ(records().at(0).error, "idle_timeout");
}

TEST_F(EngineWebSocketTest, AClientThatIsCutIsRecordedAsSuch) {
  Listening server;
  const Pair pair = open(server);
  send(pair.client, masked(Opcode::kText, "begun").substr(0, 8));
  receive(pair.server, masked(Opcode::kText, "begun").substr(0, 8));
  const linger now{1, 0};
  ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(pair.client);
  EXPECT_EQ(receive(pair.server), "<reset>");
  ::close(pair.server);
  const auto& record = records().at(0);
  EXPECT_EQ(record.state, flow::State::kAborted);
  ASSERT_EQ(record.messages.size(), 1u);
  EXPECT_FALSE(record.messages[0].seen.complete);
  EXPECT_EQ(record.request_body, "be");
}

class EngineShortWebSocketTest : public EngineWebSocketTest {
 protected:
  void configure(EngineOptions& options) override {
    options.limits.timeouts.websocket_idle = std::chrono::milliseconds(300);
  }
};

TEST_F(EngineShortWebSocketTest, SilenceHasAnEndAndPingsPutItOff) {
  Listening server;
  const Pair pair = open(server);
  const std::string ping = plain(Opcode::kPing, "");
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(is_silent_for(pair.client, 100));
    send(pair.server, ping);
    EXPECT_EQ(receive(pair.client, ping), ping);
  }
  EXPECT_EQ(receive(pair.client), "<reset>");
  ::close(pair.client);
  ::close(pair.server);
  EXPECT_EQ(records().at(0).error, "idle_timeout");
  EXPECT_EQ(sink_.records[0].messages.size(), 6u);
}

}  // namespace
}  // namespace sluice::proxy

// The engine over real sockets on loopback, plain HTTP: what the origin received, what the client got, what was
// recorded.
#include "proxy/engine.h"

#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

TEST_F(EngineTest, OnlyTheRequestTargetAndProxyFieldsChange) {
  ScriptedOrigin origin(
      {{"HTTP/1.1 200  Odd  phrase\r\ncOnTent-LENGTH:2\r\nX-a:  b \r\nX-A: c\r\n\r\nok", Then::kKeep}});
  const std::string answer =
      ask("GET http://" + origin.authority() + "/p?q=%41 HTTP/1.1\r\nhOST:" + origin.authority() +
              "\r\nProxy-Connection: keep-alive\r\nX-One:  1 \r\nx-one: 2\r\n\r\n",
          "ok");
  EXPECT_EQ(answer, "HTTP/1.1 200  Odd  phrase\r\ncOnTent-LENGTH:2\r\nX-a:  b \r\nX-A: c\r\n\r\nok");
  EXPECT_EQ(origin.received(),
            "GET /p?q=%41 HTTP/1.1\r\nhOST:" + origin.authority() + "\r\nX-One:  1 \r\nx-one: 2\r\n\r\n");
  const auto& record = records().at(0);
  EXPECT_EQ(record.state, flow::State::kDone);
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.response_body, "ok");
  EXPECT_EQ(record.target, "/p?q=%41");
  EXPECT_TRUE(record.effective.empty());
}

TEST_F(EngineTest, PipelinedRequestsAreAnsweredInOrderOnOneUpstreamConnection) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"},
                         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n2\r\n0\r\nT: v\r\n\r\n"},
                         {"HTTP/1.1 204 No Content\r\nX: last\r\n\r\n"}});
  const std::string request =
      "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: " + origin.authority() + "\r\n\r\n";
  const std::string answer = ask(request + request + request, "last\r\n\r\n");
  EXPECT_EQ(answer,
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "1;x=y\r\n2\r\n0\r\nT: v\r\n\r\nHTTP/1.1 204 No Content\r\nX: last\r\n\r\n");
  EXPECT_EQ(origin.accepted(), 1);
  ASSERT_EQ(records().size(), 3u);
  EXPECT_EQ(sink_.records[1].response_body, "2");
  EXPECT_NE(sink_.records[1].trailers.find("T: v"), std::string::npos);
  EXPECT_TRUE(sink_.records[1].reused);
}

TEST_F(EngineTest, RequestBodiesPassInBothFramings) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  const std::string body(300'000, 'x');
  const std::string head =
      "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
  EXPECT_NE(ask(head + body, "\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_TRUE(origin.received().ends_with(body));
  EXPECT_EQ(records().at(0).request_body, body);
  EXPECT_NE(sink_.records[0].anomalies & http::bit(http::Anomaly::kAuthorityMismatch), 0u);
}

TEST_F(EngineTest, AnAnswerBeforeTheEndOfTheRequestIsPassedOnAtOnce) {
  ScriptedOrigin origin(
      {{"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", Then::kClose, true}});
  const int fd = connect();
  send(fd, "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  EXPECT_NE(receive(fd, "\r\n\r\n").find("413"), std::string::npos);
  ::close(fd);
  EXPECT_EQ(records().at(0).status, 413);
}

TEST_F(EngineTest, InterimAnswersPass) {
  ScriptedOrigin origin({{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  EXPECT_EQ(ask("GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n", "0\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(EngineTest, ABodyShorterThanAnnouncedIsCutForTheClientAsWell) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::kClose}});
  const std::string answer = ask("GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("<reset>")) << answer;
  EXPECT_EQ(records().at(0).state, flow::State::kFailed);
  EXPECT_EQ(sink_.records[0].error, "body_cut");
  EXPECT_EQ(sink_.records[0].response_body, "abc");
}

TEST_F(EngineTest, AnAnswerUntilCloseEndsTheClientConnection) {
  ScriptedOrigin origin({{"HTTP/1.0 200 OK\r\n\r\nall of it", Then::kClose}});
  EXPECT_EQ(ask("GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.0 200 OK\r\n\r\nall of it");
  EXPECT_EQ(records().at(0).state, flow::State::kDone);
}

TEST_F(EngineTest, AStalePooledConnectionIsReplacedOnce) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", Then::kClose},
                         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"}});
  const std::string request = "GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_TRUE(ask(request, "\r\n\r\n1").ends_with("1"));
  EXPECT_TRUE(ask(request, "\r\n\r\n2").ends_with("2"));
  EXPECT_EQ(origin.accepted(), 2);
}

TEST_F(EngineTest, ARefusedPortIsA502ThatNamesTheCause) {
  std::uint16_t closed;
  { closed = ScriptedOrigin({}).port(); }
  const std::string answer = ask("GET http://127.0.0.1:" + std::to_string(closed) + "/ HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 "));
  EXPECT_NE(answer.find("connection refused by 127.0.0.1"), std::string::npos);
  EXPECT_EQ(records().at(0).error, "connect_refused");
  EXPECT_EQ(sink_.records[0].status, 502);
}

TEST_F(EngineTest, ItsOwnPortIsALoop) {
  const std::string self = "127.0.0.1:" + std::to_string(port_);
  EXPECT_TRUE(ask("GET http://" + self + "/ HTTP/1.1\r\nHost: " + self + "\r\n\r\n").starts_with("HTTP/1.1 508 "));
  EXPECT_EQ(records().at(0).error, "loop");
}

TEST_F(EngineTest, AVisitToThePortShowsTheSetUpPage) {
  EXPECT_NE(ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("Sluice is running"), std::string::npos);
  EXPECT_NE(ask("GET /ca.pem HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("BEGIN CERTIFICATE"),
            std::string::npos);
}

TEST_F(EngineTest, AmbiguousRequestsAreRefusedAndRecordedAndNeverForwarded) {
  ScriptedOrigin origin({});
  const std::string answer =
      ask("POST http://" + origin.authority() +
          "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_EQ(origin.accepted(), 0);
  EXPECT_EQ(records().at(0).state, flow::State::kFailed);
}

TEST_F(EngineTest, AmbiguousAnswersBecomeA502) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"}});
  EXPECT_TRUE(ask("GET http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(records().at(0).error, "bad_answer");
}

TEST_F(EngineTest, RulesMockForwardAndDrop) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal"}});
  const auto add = [&](std::string host, rules::Handler handler) {
    rules::RuleSpec spec;
    spec.matcher.hostname = std::move(host);
    spec.handler = std::move(handler);
    ASSERT_TRUE(rules_.add(spec));
  };
  rules::Handler mock{rules::HandlerType::kMock};
  mock.status = 418;
  mock.body = "tea";
  add("mock.invalid", mock);
  rules::Handler forward{rules::HandlerType::kForward};
  forward.forward_to = origin.authority();
  add("forward.invalid", forward);
  add("drop.invalid", rules::Handler{rules::HandlerType::kDrop});
  const auto get = [](std::string host) { return "GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; };
  EXPECT_TRUE(ask(get("mock.invalid"), "tea").ends_with("tea"));
  EXPECT_TRUE(ask(get("forward.invalid"), "real").ends_with("real"));
  EXPECT_EQ(origin.received(), "GET / HTTP/1.1\r\nHost: " + origin.authority() + "\r\n\r\n");
  EXPECT_EQ(ask(get("drop.invalid")), "");
  ASSERT_EQ(records().size(), 3u);
  EXPECT_EQ(sink_.records[0].status, 418);
  EXPECT_EQ(sink_.records[0].matched, 1u);
  EXPECT_EQ(sink_.records[1].host, "forward.invalid");
  EXPECT_EQ(sink_.records[2].state, flow::State::kDropped);
}

TEST_F(EngineTest, ServersThatSpeakFirstAreRelayedRaw) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(listener, 1);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread server([&] {
    const int fd = ::accept(listener, nullptr, nullptr);
    send(fd, "220 hello\r\n");
    EXPECT_EQ(receive(fd, "QUIT\r\n"), "QUIT\r\n");
    ::close(fd);
  });
  const int fd = connect();
  send(fd, "CONNECT 127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(receive(fd, "220 hello\r\n").find("220 hello"), std::string::npos);
  send(fd, "QUIT\r\n");
  EXPECT_EQ(receive(fd), "");
  ::close(fd);
  server.join();
  ::close(listener);
  const auto& record = records().at(0);
  EXPECT_EQ(record.protocol, flow::Protocol::kTcp);
  EXPECT_EQ(record.request_body, "QUIT\r\n");
  EXPECT_EQ(record.response_body, "220 hello\r\n");
  EXPECT_EQ(record.state, flow::State::kDone);
}

TEST_F(EngineTest, StopEndsIdleConnectionsAndTheNextStartTakesTheSamePort) {
  const int idle = connect();
  while (engine_->status().connections == 0) std::this_thread::yield();
  EXPECT_FALSE(engine_->start({{"127.0.0.1", 0}}));
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(500)));
  EXPECT_EQ(receive(idle), "");
  ::close(idle);
  EXPECT_FALSE(engine_->stop(std::chrono::milliseconds(0)));
  EXPECT_EQ(engine_->status().last_port, port_);
  ASSERT_TRUE(engine_->start({{"127.0.0.1", port_}}));
}

TEST_F(EngineTest, BeyondLoopbackItNeedsAnAllowList) {
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  const Status refused = engine_->start({{"0.0.0.0", 0}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRefused);
}

}  // namespace
}  // namespace sluice::proxy

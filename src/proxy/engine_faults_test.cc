// The engine against peers that misbehave, leave, or come at the wrong moment.

#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

std::string get(const std::string& authority, const std::string& more = "") {
  return "GET http://" + authority + "/ HTTP/1.1\r\nHost: " + authority + "\r\n" + more + "\r\n";
}
constexpr std::string_view kEmptyOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

TEST_F(EngineTest, APipelinedRequestBehindAStreamedBodyKeepsItsOctets) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"},
                         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"},
                         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3"}});
  const int fd = connect();
  send(fd, get(origin.authority()));
  EXPECT_TRUE(receive(fd, "\r\n\r\n1").ends_with("1"));
  send(fd, "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
  wait_for(origin, "POST");
  send(fd, "abc" + get(origin.authority(), "X-Last: yes\r\n"));
  EXPECT_NE(receive(fd, "\r\n\r\n3").find("\r\n\r\n2"), std::string::npos);
  ::close(fd);
  EXPECT_NE(origin.received().find("X-Last: yes"), std::string::npos);
  EXPECT_EQ(records().size(), 3u);
}

TEST_F(EngineTest, AConnectionWithHalfARequestIsNeverReused) {
  ScriptedOrigin origin(
      {{std::string(kEmptyOk), Then::kKeep, true}, {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"}});
  const int fd = connect();
  send(fd, "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  ::close(fd);
  while (engine_->status().connections > 0) std::this_thread::yield();
  EXPECT_TRUE(ask(get(origin.authority()), "\r\n\r\n2").ends_with("2"));
  EXPECT_EQ(origin.accepted(), 2);
  EXPECT_EQ(records().at(0).state, flow::State::kAborted);
}

TEST_F(EngineTest, AnNtlmConnectionStaysItsClientsOwnAlsoLater) {
  ScriptedOrigin origin({{std::string(kEmptyOk)}, {std::string(kEmptyOk)}, {std::string(kEmptyOk)}});
  const int fd = connect();
  send(fd, get(origin.authority(), "Authorization: NTLM abc\r\n"));
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  send(fd, get(origin.authority()));
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  EXPECT_EQ(origin.accepted(), 1);
  EXPECT_EQ(ask(get(origin.authority()), "\r\n\r\n"), kEmptyOk);
  EXPECT_EQ(origin.accepted(), 2);
  ::close(fd);
}

TEST_F(EngineTest, SplitFirstOctetsInATunnelAreNoWayAround) {
  ScriptedOrigin origin({{std::string(kEmptyOk)}});
  const int fd = open_tunnel(origin.authority());
  send(fd, "G");
  pollfd look{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&look, 1, 150), 0);  // longer than server_first
  send(fd, "ET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  ::close(fd);
  EXPECT_EQ(records().at(0).protocol, flow::Protocol::kHttp1);
  EXPECT_EQ(sink_.records[0].target, "/x");
}

TEST_F(EngineTest, ProtocolsAreNotSwitchedUnasked) {
  ScriptedOrigin origin({{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw"}});
  EXPECT_TRUE(ask(get(origin.authority())).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(records().at(0).error, "bad_answer");
}

TEST_F(EngineTest, AnUpgradeThatWasAskedForIsATunnel) {
  ScriptedOrigin origin({{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw"}});
  const int fd = connect();
  send(fd, get(origin.authority(), "Upgrade: x\r\nConnection: upgrade\r\n"));
  EXPECT_TRUE(receive(fd, "raw").ends_with("raw"));
  send(fd, "mine");
  wait_for(origin, "mine");
  ::close(fd);
  EXPECT_EQ(records().at(0).request_body, "mine");
  EXPECT_EQ(sink_.records[0].response_body, "raw");
}

TEST_F(EngineTest, ABadChunkThatComesLateIsStillA400) {
  Listening server;
  const int fd = connect();
  send(fd,
       "POST http://" + server.authority() + "/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  const int there = server.accept();
  receive(there, "abc\r\n");
  send(fd, "zz\r\n");
  EXPECT_TRUE(receive(fd).starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(receive(there, kNever).find("zz"), std::string::npos);
  ::close(there);
  ::close(fd);
  EXPECT_EQ(records().at(0).error, "bad_request");
}

TEST_F(EngineTest, NothingIsRecordedAfterTheEndOfARefusedAnswer) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Then::kKeep, true}});
  const int fd = connect();
  send(fd, "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
  EXPECT_TRUE(receive(fd, "\r\n\r\n").starts_with("HTTP/1.1 502 "));
  send(fd, "more of it");
  ::close(fd);
  EXPECT_EQ(records().at(0).error, "bad_answer");
  EXPECT_EQ(sink_.records[0].request_body, "abc");
}

TEST_F(EngineTest, PathsThatHoldUrlsPassAsTheyStand) {
  ScriptedOrigin origin({{std::string(kEmptyOk)}});
  const int fd = open_tunnel(origin.authority());
  const std::string request = "GET /to?u=http://x.example/ HTTP/1.1\r\nHost: front.example:80\r\n\r\n";
  send(fd, request);
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  ::close(fd);
  EXPECT_EQ(origin.received(), request);
}

TEST_F(EngineTest, AbsoluteFormInATunnelGoesWhereTheTunnelGoes) {
  ScriptedOrigin origin({{std::string(kEmptyOk)}});
  const int fd = open_tunnel(origin.authority());
  send(fd, "GET http://other.invalid/x HTTP/1.1\r\nHost: other.invalid\r\n\r\n");
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  ::close(fd);
  EXPECT_EQ(records().at(0).host, "other.invalid");
  EXPECT_NE(sink_.records[0].anomalies & http::bit(http::Anomaly::kAuthorityMismatch), 0u);
}

TEST_F(EngineTest, OldClientsGetNoInterimAnswers) {
  ScriptedOrigin origin({{"HTTP/1.1 103 Early Hints\r\n\r\n" + std::string(kEmptyOk), Then::kClose}});
  EXPECT_EQ(ask("GET http://" + origin.authority() + "/ HTTP/1.0\r\n\r\n"), kEmptyOk);
}

TEST_F(EngineTest, AnswersWithoutABodyKeepTheConnection) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"},
                         {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"},
                         {"HTTP/1.1 204 No Content\r\nX: end\r\n\r\n"}});
  const std::string head = "HEAD http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_TRUE(ask(head + get(origin.authority()) + get(origin.authority()), "end\r\n\r\n").ends_with("end\r\n\r\n"));
  EXPECT_EQ(origin.accepted(), 1);
}

TEST_F(EngineTest, ExtraOctetsBehindAnAnswerEndItsConnection) {
  ScriptedOrigin origin(
      {{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"},
       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"}});
  EXPECT_TRUE(ask(get(origin.authority()), "\r\n\r\n1").ends_with("\r\n\r\n1"));
  EXPECT_TRUE(ask(get(origin.authority()), "\r\n\r\n2").ends_with("\r\n\r\n2"));
  EXPECT_EQ(origin.accepted(), 2);
  EXPECT_NE(records().at(0).anomalies & http::bit(http::Anomaly::kExtraBytes), 0u);
}

TEST_F(EngineTest, WhatIsNotIdempotentIsNeverSentTwice) {
  ScriptedOrigin origin({{std::string(kEmptyOk)}, {"", Then::kReset}, {std::string(kEmptyOk)}});
  EXPECT_EQ(ask(get(origin.authority()), "\r\n\r\n"), kEmptyOk);
  const std::string post = "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
  EXPECT_TRUE(ask(post).starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(origin.accepted(), 1);
}

TEST_F(EngineTest, AClientMayEndItsSideAndStillGetsTheAnswer) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}});
  const int fd = connect();
  send(fd, get(origin.authority()));
  ::shutdown(fd, SHUT_WR);
  EXPECT_TRUE(receive(fd).ends_with("ok"));
  ::close(fd);
  EXPECT_EQ(records().at(0).state, flow::State::kDone);
}

TEST_F(EngineTest, EachDirectionOfATunnelEndsOnItsOwn) {
  Listening server;
  const int fd = open_tunnel(server.authority());
  send(fd, std::string_view("\x80 question", 10));
  ::shutdown(fd, SHUT_WR);
  const int there = server.accept();
  EXPECT_EQ(receive(there), std::string_view("\x80 question", 10));
  send(there, "answer");
  ::close(there);
  EXPECT_EQ(receive(fd), "answer");
  ::close(fd);
  EXPECT_EQ(records().at(0).state, flow::State::kDone);
}

TEST_F(EngineTest, AClientThatLeavesAfterConnectIsRecorded) {
  ::close(open_tunnel("127.0.0.1:9"));
  EXPECT_EQ(records().at(0).state, flow::State::kAborted);
}

TEST_F(EngineTest, ASilentClientDoesNotOpenAHostThatARuleRedirects) {
  ScriptedOrigin origin({}), other({{std::string(kEmptyOk)}});
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.type = rules::HandlerType::kForward;
  spec.handler.forward_to = other.authority();
  ASSERT_TRUE(rules_.add(spec));
  const int fd = open_tunnel(origin.authority());
  pollfd look{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&look, 1, 400), 0);  // longer than server_first
  send(fd, "GET / HTTP/1.1\r\nHost: " + origin.authority() + "\r\n\r\n");
  EXPECT_EQ(receive(fd, "\r\n\r\n"), kEmptyOk);
  ::close(fd);
  EXPECT_EQ(origin.accepted(), 0);
}

TEST_F(EngineTest, AStopEndsEveryRecord) {
  Listening server;
  const std::string authority = server.authority();
  const int waiting = connect();
  send(waiting, get(authority));
  const int a = server.accept();
  receive(a, "\r\n\r\n");
  const int in_body = connect();
  send(in_body, get(authority));
  const int b = server.accept();
  receive(b, "\r\n\r\n");
  send(b, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  receive(in_body, "abc");
  const int uploading = connect();
  send(uploading, "POST http://" + authority + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  const int c = server.accept();
  receive(c, "abc");
  const int tunnel = open_tunnel(authority);
  send(tunnel, "\x80\x81");
  const int d = server.accept();
  receive(d, "\x80\x81");
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  for (const int fd : {waiting, in_body, uploading, tunnel, a, b, c, d}) ::close(fd);
  ASSERT_EQ(records().size(), 4u);
  for (const auto& record : sink_.records) EXPECT_EQ(record.error, "shutting_down") << record.method;
}

TEST_F(EngineTest, AnEngineMayGoWhileEverythingIsInFlight) {
  Listening server;
  std::vector<int> open;
  for (int i = 0; i < 4; ++i) {
    open.push_back(connect());
    send(open.back(),
         i % 2 == 0 ? get(server.authority())
                    : "POST http://" + server.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    if (i < 2) receive(open.emplace_back(server.accept()), "\r\n\r\n");  // the others are anywhere
  }
  engine_.reset();
  for (const int fd : open) ::close(fd);
}

TEST_F(EngineTest, ADrainLetsAnAnswerComeToItsEnd) {
  Listening server;
  const int fd = connect();
  send(fd, get(server.authority()));
  const int there = server.accept();
  receive(there, "\r\n\r\n");
  send(there, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
  receive(fd, "abc");
  std::thread stopping([&] { EXPECT_TRUE(engine_->stop(std::chrono::seconds(5))); });
  send(there, "def");
  EXPECT_TRUE(receive(fd).ends_with("def"));
  ::close(fd);
  stopping.join();
  ::close(there);
  EXPECT_EQ(records().at(0).state, flow::State::kDone);
}

class ShortHeadTime : public EngineTest {
  void configure(EngineOptions& options) override {
    options.limits.timeouts.client_head = std::chrono::milliseconds(100);
  }
};

TEST_F(ShortHeadTime, AHeadThatDoesNotEndGets408) {
  EXPECT_TRUE(ask("GET http://a.example/ HTTP/1.1\r\nHost: a.ex").starts_with("HTTP/1.1 408 "));
  ASSERT_EQ(records().size(), 1u);
  EXPECT_EQ(sink_.records[0].error, "head_timeout");
}

class SmallRuleBody : public EngineTest {
  void configure(EngineOptions& options) override { options.limits.rule_body = 1000; }
};

TEST_F(SmallRuleBody, ChunkLinesCountAgainstWhatIsGathered) {
  ScriptedOrigin origin({{std::string(kEmptyOk), Then::kKeep, true}});
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.transform_request.emplace().match_replace_body = {{"a", "b"}};
  ASSERT_TRUE(rules_.add(spec));
  std::string body;
  for (int i = 0; i < 10; ++i) body += "1;" + std::string(900, 'x') + "\r\na\r\n";
  const std::string head =
      "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ask(head + body + "0\r\n\r\n", "\r\n\r\n"), kEmptyOk);
  EXPECT_NE(records().at(0).anomalies & http::bit(http::Anomaly::kRuleBodyLimit), 0u);
}

// Whoever looks for an attack finds it by what it asked for.
TEST_F(EngineTest, ARequestThatIsRefusedIsListedByItsFirstLine) {
  const std::string both = " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(ask("POST http://victim.example:8080/admin?x" + both).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("POST /only/a/path" + both).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("\1\2 http://victim.example/" + both).starts_with("HTTP/1.1 400 "));
  ASSERT_EQ(records().size(), 3u);
  EXPECT_EQ(sink_.records[0].method, "POST");
  EXPECT_EQ(sink_.records[0].host, "victim.example");
  EXPECT_EQ(sink_.records[0].target, "/admin?x");
  EXPECT_TRUE(sink_.records[0].head.starts_with("POST http://victim.example:8080/admin?x HTTP/1.1\r\nHost: a"));
  EXPECT_EQ(sink_.records[1].method, "POST");
  EXPECT_EQ(sink_.records[1].target, "/only/a/path");
  EXPECT_EQ(sink_.records[2].method, "");
}

class SmallBudget : public EngineTest {
  void configure(EngineOptions& options) override { options.limits.bodies_held = 4000; }
};

// What each may hold is bounded by rule_body; all of them together by what the process may hold.
TEST_F(SmallBudget, NoRuleGathersWhatWouldBeTooMuchWithThatOfOthers) {
  const std::string edited = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  ScriptedOrigin origin({{edited, Then::kKeep, true}, {edited, Then::kKeep, true}});
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.transform_request.emplace().match_replace_body = {{"a", "b"}};
  ASSERT_TRUE(rules_.add(spec));
  const std::string head =
      "POST http://" + origin.authority() + "/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1500\r\n\r\n";
  const int stalled = connect();
  send(stalled, head + std::string(1499, 'a'));  // held, with its octets as they came
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(ask(head + std::string(1500, 'a'), "ok").ends_with("ok"));
  ::close(stalled);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (engine_->status().connections > 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(ask(head + std::string(1500, 'a'), "ok").ends_with("ok"));
  ASSERT_EQ(records().size(), 3u);
  EXPECT_NE(records().at(1).anomalies & http::bit(http::Anomaly::kRuleBodyLimit), 0u);
  EXPECT_EQ(records().at(2).anomalies & http::bit(http::Anomaly::kRuleBodyLimit), 0u);
}

}  // namespace
}  // namespace sluice::proxy

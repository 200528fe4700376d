// Requests of Sluice's own, over real sockets.
#include "proxy/sender.h"

#include <future>

#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

class Sender : public EngineTest {
 protected:
  static SendRequest to(std::uint16_t port, std::string method = "GET", std::string content = "") {
    SendRequest request;
    request.head = http::make_request(method, "/thing?a=1", {{"X-Odd", "kept"}});
    request.head.fields.append("hOsT", "named.example");
    if (!content.empty()) request.head.fields.append("Content-Length", std::to_string(content.size()));
    request.content = std::move(content);
    request.scheme = "http";
    request.host = "127.0.0.1";
    request.port = port;
    request.keep = 1'000;
    request.timeout = std::chrono::seconds(10);
    return request;
  }
  std::future<SendResult> begin(SendRequest request) {
    auto promise = std::make_shared<std::promise<SendResult>>();
    auto result = promise->get_future();
    engine_->send(std::move(request), [promise](SendResult sent) { promise->set_value(std::move(sent)); });
    return result;
  }
  SendResult send_now(SendRequest request) { return begin(std::move(request)).get(); }
  void mock(std::string host) {
    rules::RuleSpec spec;
    spec.matcher.hostname = std::move(host);
    spec.handler = rules::Handler{rules::HandlerType::kMock};
    spec.handler.status = 418;
    spec.handler.body = "tea";
    ASSERT_TRUE(rules_.add(spec));
  }
};

TEST_F(Sender, SendsTheHeadAndTheBodyAsTheyAreAndHandsTheAnswerBack) {
  ScriptedOrigin origin({{"HTTP/1.1 201 Made\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"}});
  const std::string octets("\0\xff\r\n\x80", 5);
  const SendResult sent = send_now(to(origin.port(), "POST", octets));
  ASSERT_FALSE(sent.failure) << sent.failure->message;
  ASSERT_TRUE(sent.head);
  EXPECT_EQ(sent.head->status, 201);
  EXPECT_EQ(sent.head->fields.find("x-a"), "b");
  EXPECT_EQ(sent.content, "hello");
  EXPECT_EQ(sent.size, 5u);
  EXPECT_TRUE(sent.complete);
  EXPECT_GT(sent.duration.count(), 0);
  EXPECT_EQ(origin.received(),
            "POST /thing?a=1 HTTP/1.1\r\nX-Odd: kept\r\nhOsT: named.example\r\nContent-Length: 5\r\n\r\n" + octets);
  ASSERT_EQ(records().size(), 1u);
  EXPECT_EQ(sent.seq.value, 1u);
  const auto& record = sink_.records.front();
  EXPECT_EQ(record.connection->source, flow::Source::kInternal);
  EXPECT_EQ(record.request_body, octets);
  EXPECT_EQ(record.response_body, "hello");
  EXPECT_EQ(record.state, flow::State::kDone);
}

TEST_F(Sender, PassesRulesByUnlessItIsToldToGoThroughThem) {
  mock("127.0.0.1");
  ScriptedOrigin origin({{"HTTP/1.1 204 No Content\r\n\r\n"}});
  SendRequest through = to(origin.port());
  through.direct = false;
  const SendResult mocked = send_now(std::move(through));
  ASSERT_TRUE(mocked.head);
  EXPECT_EQ(mocked.head->status, 418);
  EXPECT_EQ(mocked.content, "tea");
  EXPECT_EQ(origin.accepted(), 0);
  const SendResult direct = send_now(to(origin.port()));
  ASSERT_TRUE(direct.head);
  EXPECT_EQ(direct.head->status, 204);
}

TEST_F(Sender, WhatCarriesSecretsOfAnOriginGoesToThatOriginOnly) {
  ScriptedOrigin origin({{"HTTP/1.1 204 No Content\r\n\r\n"}}), thief({{"HTTP/1.1 204 No Content\r\n\r\n"}});
  SendRequest own = to(origin.port());
  own.own_origin = true;
  own.direct = false;
  EXPECT_TRUE(send_now(own).head) << "no rule, no proxy: as any other";
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.type = rules::HandlerType::kForward;
  spec.handler.forward_to = "127.0.0.1:" + std::to_string(thief.port());
  ASSERT_TRUE(rules_.add(spec));
  SendRequest led = to(origin.port());
  led.own_origin = true;
  led.direct = false;
  const SendResult sent = send_now(std::move(led));
  ASSERT_TRUE(sent.failure);
  EXPECT_EQ(sent.failure->code, "secret_origin");
  EXPECT_FALSE(sent.head);
  EXPECT_EQ(thief.accepted(), 0);
}

TEST_F(Sender, WorksWhileTheProxyIsStopped) {
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  ScriptedOrigin origin({{"HTTP/1.1 204 No Content\r\n\r\n"}});
  const SendResult sent = send_now(to(origin.port()));
  ASSERT_TRUE(sent.head);
  EXPECT_EQ(sent.head->status, 204);
}

TEST_F(Sender, KeepsOnlyAsMuchOfTheAnswerAsItWasAskedFor) {
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"}});
  SendRequest request = to(origin.port());
  request.keep = 4;
  const SendResult sent = send_now(std::move(request));
  EXPECT_EQ(sent.content, "0123");
  EXPECT_EQ(sent.size, 10u);
  EXPECT_TRUE(sent.complete);
}

TEST_F(Sender, NamesTheCauseWhereNobodyAnswers) {
  std::uint16_t port = 0;
  { port = Listening().port; }
  const SendResult sent = send_now(to(port));
  ASSERT_TRUE(sent.failure);
  EXPECT_EQ(sent.failure->code, "connect_refused");
  EXPECT_FALSE(sent.head);  // Sluice's own page is no answer
  EXPECT_EQ(sent.seq.value, 1u);
}

TEST_F(Sender, NeverDialsItsOwnListeners) {
  const SendResult sent = send_now(to(port_));
  ASSERT_TRUE(sent.failure);
  EXPECT_EQ(sent.failure->code, "loop");
}

TEST_F(Sender, EndsAtItsTimeOutWithAnOriginThatNeverAnswers) {
  Listening origin;
  SendRequest request = to(origin.port);
  request.timeout = std::chrono::milliseconds(200);
  const SendResult sent = send_now(std::move(request));
  ASSERT_TRUE(sent.failure);
  EXPECT_EQ(sent.failure->code, "timeout");
  EXPECT_LT(sent.duration, std::chrono::seconds(5));
  EXPECT_EQ(sent.seq.value, 1u);
}

TEST_F(Sender, EndsWhenItsCallerGivesUp) {
  Listening origin;
  std::stop_source stop;
  SendRequest request = to(origin.port);
  request.stop = stop.get_token();
  auto result = begin(std::move(request));
  const int fd = origin.accept();  // it is on its way
  stop.request_stop();
  const SendResult sent = result.get();
  ASSERT_TRUE(sent.failure);
  EXPECT_EQ(sent.failure->code, "cancelled");
  ::close(fd);
}

TEST_F(Sender, TellsItsCallerThatSluiceWasStopped) {
  Listening origin;
  auto result = begin(to(origin.port));
  const int fd = origin.accept();
  engine_.reset();
  const SendResult sent = result.get();
  ASSERT_TRUE(sent.failure);
  ::close(fd);
}

}  // namespace
}  // namespace sluice::proxy

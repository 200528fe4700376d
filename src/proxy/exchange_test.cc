// Exchange as a pure machine: heads in, decisions, octets and records out.
#include "proxy/exchange.h"

#include <gtest/gtest.h>

#include "fakes/recording_sink.h"
#include "http1/http1.h"

namespace sluice::proxy {
namespace {

class ExchangeTest : public ::testing::Test {
 protected:
  Exchange::Next ask(const std::string& octets, const rules::RuleBook& book = rules::RuleBook()) {
    http1::RequestReader reader(HttpLimits{});
    reader.feed(octets);
    auto event = reader.next();
    EXPECT_TRUE(event);
    auto head = std::get<http::RequestHead>(*event);
    auto target = resolve_target(head, facts_);
    EXPECT_TRUE(target);
    exchange_.emplace(sink_, clock_, settings_);
    return exchange_->receive_request(std::move(head), reader.framing(), *std::move(target), nullptr, clock_.mono(),
                                      book);
  }
  Exchange::ResponsePlan answer(const std::string& octets) {
    http1::ResponseReader reader(HttpLimits{});
    reader.begin(exchange_->sent_method());
    reader.feed(octets);
    auto event = reader.next();
    EXPECT_TRUE(event);
    return exchange_->receive_response(std::get<http::ResponseHead>(*event), reader.framing(), nullptr, false);
  }
  // A book of one rule for every host.
  std::shared_ptr<const rules::RuleBook> book(rules::Handler handler) {
    rules::RuleSpec spec;
    spec.matcher.host_pattern = "*.example";
    spec.handler = std::move(handler);
    EXPECT_TRUE(rules_.add(spec));
    return rules_.book();
  }
  const fakes::RecordingSink::Record& record() { return sink_.records.back(); }

  SystemClock clock_;
  rules::RuleStore rules_{clock_};
  fakes::RecordingSink sink_;
  ExchangeSettings settings_{true, 1000, 0};
  ClientFacts facts_;
  std::optional<Exchange> exchange_;
};

const std::string kGet = "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

TEST_F(ExchangeTest, SendsOriginFormAndLeavesTheRest) {
  EXPECT_EQ(
      ask("GET http://A.example/x?y HTTP/1.1\r\nhost: a.EXAMPLE\r\nProxy-Authorization: Basic x\r\nA:  b\r\n\r\n"),
      Exchange::Next::kForward);
  EXPECT_EQ(exchange_->request_octets(), "GET /x?y HTTP/1.1\r\nhost: a.EXAMPLE\r\nA:  b\r\n\r\n");
  EXPECT_NE(record().head.find("Proxy-Authorization"), std::string::npos);
}

TEST_F(ExchangeTest, AUriWinsOverHost) {
  ask("GET http://a.example:81/ HTTP/1.1\r\nHost: b.example\r\n\r\n");
  EXPECT_EQ(exchange_->request_octets(), "GET / HTTP/1.1\r\nHost: a.example:81\r\n\r\n");
}

TEST_F(ExchangeTest, EndsItsRecordExactlyOnceWhateverHappens) {
  ask(kGet);
  exchange_.reset();
  EXPECT_TRUE(record().ended);
  EXPECT_EQ(record().error, "shutting_down");
  ask(kGet);
  exchange_->fail(FailureKind::kConnect, "first");
  exchange_->fail(FailureKind::kBodyCut, "second");
  exchange_->finish();
  exchange_->finish();
  exchange_.reset();
  EXPECT_FALSE(record().touched_after_end);
  EXPECT_EQ(record().error, "connect");
}

TEST_F(ExchangeTest, MakesAPageOnlyBeforeAnAnswer) {
  ask(kGet);
  EXPECT_TRUE(exchange_->failure_page(FailureKind::kCertificate, "self-signed").starts_with("HTTP/1.1 502 "));
  EXPECT_NE(record().response_body.find("--upstream-ca"), std::string::npos);  // what to do
  exchange_->finish();
  EXPECT_EQ(record().error, "certificate");
  ask(kGet);
  answer(kOk);
  EXPECT_EQ(exchange_->failure_page(FailureKind::kBodyCut, "cut"), "");
  ask(kGet);
  EXPECT_EQ(exchange_->failure_page(FailureKind::kClientAborted, "gone"), "");
  EXPECT_EQ(exchange_->failure_page(FailureKind::kConnect, "later"),
            "HTTP/1.1 502 Bad Gateway\r\n" + exchange_->response_octets().substr(26) + record().response_body);
}

TEST_F(ExchangeTest, PagesForHeadHaveNoBody) {
  ask("HEAD http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n");
  EXPECT_TRUE(exchange_->failure_page(FailureKind::kConnect, "no").ends_with("\r\n\r\n"));
}

TEST_F(ExchangeTest, PagesEscapeWhatPeersSaid) {
  ask("GET http://a.example/<script> HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\n\r\n");
  const std::string page = exchange_->failure_page(FailureKind::kUpstreamTls, "<b>");
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
}

TEST_F(ExchangeTest, KeepsConnectionsOnlyIfBothSidesDo) {
  const auto lives = [&](const std::string& request, const std::string& response) {
    ask("GET http://a.example/ " + request + "\r\nHost: a.example\r\n\r\n");
    const auto plan = answer(response + "\r\n\r\n");
    return std::pair(plan.client_lives, exchange_->upstream_lives());
  };
  using Lives = std::pair<bool, bool>;
  EXPECT_EQ(lives("HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 0"), Lives(true, true));
  EXPECT_EQ(lives("HTTP/1.1\r\nConnection: close", "HTTP/1.1 200 OK\r\nContent-Length: 0"), Lives(false, false));
  EXPECT_EQ(lives("HTTP/1.1", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0"), Lives(false, false));
  EXPECT_EQ(lives("HTTP/1.1", "HTTP/1.1 200 OK"), Lives(false, false));  // until close
  EXPECT_EQ(lives("HTTP/1.1", "HTTP/1.0 200 OK\r\nContent-Length: 0"), Lives(false, false));
  EXPECT_EQ(lives("HTTP/1.0", "HTTP/1.1 200 OK\r\nContent-Length: 0"), Lives(false, false));
  EXPECT_EQ(
      lives("HTTP/1.0\r\nConnection: keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0"),
      Lives(true, true));
  ask(kGet);
  exchange_->forbid_reuse();
  EXPECT_TRUE(answer(kOk).client_lives);
  EXPECT_FALSE(exchange_->upstream_lives());
}

TEST_F(ExchangeTest, OnlyIdempotentRequestsMayBeSentTwice) {
  ask(kGet);
  EXPECT_TRUE(exchange_->is_idempotent());
  ask("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(exchange_->is_idempotent());
  rules::Handler handler;
  handler.transform_request.emplace().replace_method = "POST";
  ask(kGet, *book(handler));
  EXPECT_FALSE(exchange_->is_idempotent());  // what the origin sees counts
}

TEST_F(ExchangeTest, OldClientsExpectNothing) {
  ask("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_TRUE(exchange_->expects_continue());
  ask("POST http://a.example/ HTTP/1.0\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_FALSE(exchange_->expects_continue());
}

TEST_F(ExchangeTest, AltSvcIsTakenOutAndBothFormsAreRecorded) {
  ask(kGet);
  EXPECT_TRUE(answer("HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nContent-Length: 0\r\n\r\n").head_changed);
  EXPECT_EQ(exchange_->response_octets(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_NE(record().response_head.find("Alt-Svc"), std::string::npos);
  EXPECT_EQ(record().response_effective, exchange_->response_octets());
}

TEST_F(ExchangeTest, AMockAnswersHeadWithoutABody) {
  rules::Handler mock{rules::HandlerType::kMock};
  mock.body = "tea";
  const auto rules = book(mock);
  EXPECT_EQ(ask(kGet, *rules), Exchange::Next::kAnswer);
  EXPECT_TRUE(exchange_->answer().ends_with("\r\n\r\ntea"));
  EXPECT_EQ(ask("HEAD http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", *rules), Exchange::Next::kAnswer);
  EXPECT_TRUE(exchange_->answer().ends_with("\r\n\r\n"));
  exchange_->finish();
  EXPECT_EQ(record().state, flow::State::kDone);
  EXPECT_EQ(record().matched, 1u);
}

TEST_F(ExchangeTest, AGatheredBodyIsSentWithItsNewLength) {
  rules::Handler handler;
  handler.transform_request.emplace().match_replace_body = {{"one", "three"}};
  const auto rules = book(handler);
  EXPECT_EQ(ask("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nTransfer-Encoding: "
                "chunked\r\n\r\n",
                *rules),
            Exchange::Next::kGather);
  EXPECT_EQ(exchange_->gathered_request("one", *rules), Exchange::Next::kForward);
  EXPECT_EQ(exchange_->request_octets(), "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nthree");
  EXPECT_EQ(ask("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n", *rules),
            Exchange::Next::kGather);
  EXPECT_EQ(exchange_->gathered_request(std::nullopt, *rules), Exchange::Next::kForward);
  EXPECT_EQ(exchange_->request_octets(), "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n");
  exchange_->finish();
  EXPECT_NE(record().anomalies & http::bit(http::Anomaly::kRuleBodyLimit), 0u);
}

TEST_F(ExchangeTest, WhatMayHaveNoEndIsNeverGathered) {
  rules::Handler handler;
  handler.transform_request.emplace().match_replace_body = {{"one", "three"}};
  handler.transform_response.emplace().match_replace_body = {{"one", "three"}};
  const auto rules = book(handler);
  const auto limited = [&] {
    exchange_->finish();
    return (record().anomalies & http::bit(http::Anomaly::kRuleBodyLimit)) != 0;
  };
  const std::string grpc = "Content-Type: application/grpc+proto\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ask("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\n" + grpc, *rules), Exchange::Next::kForward);
  EXPECT_TRUE(limited());
  for (const std::string type : {"application/grpc", "text/event-stream; charset=utf-8"}) {
    ask(kGet, *rules);
    EXPECT_FALSE(answer("HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nTransfer-Encoding: chunked\r\n\r\n").gather);
    EXPECT_TRUE(limited());
  }
  ask(kGet, *rules);
  EXPECT_TRUE(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").gather);
  EXPECT_FALSE(limited());
}

TEST_F(ExchangeTest, ASocketOverHttp2IsNeverGathered) {
  rules::Handler handler;
  handler.transform_request.emplace().match_replace_body = {{"one", "three"}};
  handler.transform_response.emplace().match_replace_body = {{"one", "three"}};
  const auto rules = book(handler);
  http::RequestHead head;
  head.version = http::Version::kHttp2;
  head.method = "CONNECT";  // RFC 8441
  head.target = "/socket";
  head.fields.append("host", "a.example");
  ResolvedTarget target;
  target.target.host = "a.example";
  http::BodyFraming endless;
  endless.kind = http::Framing::kChunked;
  exchange_.emplace(sink_, clock_, settings_);
  EXPECT_EQ(exchange_->receive_request(head, endless, target, nullptr, clock_.mono(), *rules),
            Exchange::Next::kForward);
  EXPECT_FALSE(exchange_->receive_response(http::make_response(200), endless, nullptr, false).gather);
  exchange_->become(flow::Protocol::kWebSocket);
  EXPECT_EQ(record().protocol, flow::Protocol::kWebSocket);  // while it is open
  EXPECT_EQ(record().status, 200);
  exchange_->finish();
  EXPECT_EQ(record().anomalies, 0u);
}

TEST_F(ExchangeTest, AClientThatLeavesLeavesInAPhase) {
  const std::string post = "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\n";
  const auto left = [&] {
    exchange_->fail(FailureKind::kClientAborted, "gone");
    exchange_->finish();
    return record().phase;
  };
  ask(post);
  EXPECT_EQ(left(), flow::Phase::kRequestBody);
  ask(post);
  exchange_->request_ended();
  EXPECT_EQ(left(), flow::Phase::kFirstByte);
  ask(post);
  answer(kOk);
  EXPECT_EQ(left(), flow::Phase::kResponseBody);
}

TEST_F(ExchangeTest, ADropIsDroppedAndNothingElse) {
  EXPECT_EQ(ask(kGet, *book(rules::Handler{rules::HandlerType::kDrop})), Exchange::Next::kDrop);
  exchange_->finish();
  EXPECT_EQ(record().state, flow::State::kDropped);
  EXPECT_EQ(record().status, 0);
}

TEST_F(ExchangeTest, NtlmAndNegotiateBindAConnection) {
  ask("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nAuthorization: Negotiate x\r\n\r\n");
  answer(kOk);
  EXPECT_TRUE(exchange_->binds_identity());
  ask(kGet);
  answer("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(exchange_->binds_identity());
  ask("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic x\r\n\r\n");
  answer(kOk);
  EXPECT_FALSE(exchange_->binds_identity());
}

}  // namespace
}  // namespace sluice::proxy

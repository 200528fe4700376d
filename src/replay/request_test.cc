#include "replay/request.h"

#include <gtest/gtest.h>

#include "http1/http1.h"

namespace sluice::replay {
namespace {

flow::Exchange recorded(std::string head, std::string method = "POST", std::string target = "/a?b=1") {
  flow::Exchange exchange;
  exchange.method = std::move(method);
  exchange.scheme = "https";
  exchange.host = "api.example";
  exchange.port = 443;
  exchange.target = std::move(target);
  exchange.request.head = std::move(head);
  exchange.request.body = {3, 3, true, true};
  return exchange;
}
const std::string kHead =
    "POST /a?b=1 HTTP/1.1\r\nhOST:  api.example\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 3\r\n\r\n";

std::string written(const proxy::SendRequest& request) {
  std::string octets;
  http1::append_head(octets, request.head);
  return octets + request.content;
}
proxy::SendRequest made(const flow::Exchange& exchange, std::string content, const Overrides& overrides = {}) {
  auto request = make_request(exchange, std::move(content), overrides);
  EXPECT_TRUE(request) << request.error().message;
  return request ? *std::move(request) : proxy::SendRequest();
}

TEST(ReplayRequest, IsTheRecordedOneOctetForOctet) {
  const std::string body("\0\xff\n", 3);
  const auto request = made(recorded(kHead), body);
  EXPECT_EQ(written(request), kHead + body);
  EXPECT_EQ(request.scheme, "https");
  EXPECT_EQ(request.host, "api.example");
  EXPECT_EQ(request.port, 443);
}

TEST(ReplayRequest, ThatWentToAProxyBecomesOriginForm) {
  auto exchange = recorded("GET http://api.example/x HTTP/1.1\r\nHost: api.example\r\n\r\n", "GET", "/x");
  exchange.request.body = {};
  EXPECT_EQ(written(made(exchange, "")), "GET /x HTTP/1.1\r\nHost: api.example\r\n\r\n");
}

TEST(ReplayRequest, GoesElsewhereWithTheHostOfThere) {
  Overrides overrides;
  overrides.url = rebased(recorded(kHead), *parse_url("http://127.0.0.1:8080/base/"));
  const auto request = made(recorded(kHead), "abc", overrides);
  EXPECT_EQ(written(request),
            "POST /base/a?b=1 HTTP/1.1\r\nhOST: 127.0.0.1:8080\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: "
            "3\r\n\r\nabc");
  EXPECT_EQ(request.port, 8080);
  EXPECT_EQ(request.scheme, "http");
}

TEST(ReplayRequest, HasTheLengthOfABodyThatIsNotTheRecordedOne) {
  Overrides overrides;
  overrides.content = "longer";
  EXPECT_NE(written(made(recorded(kHead), "abc", overrides)).find("Content-Length: 6\r\n\r\nlonger"),
            std::string::npos);
  const std::string chunked = "POST /a?b=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n";
  const std::string octets = written(made(recorded(chunked), "abc", overrides));
  EXPECT_EQ(octets, "POST /a?b=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nlonger");
  overrides.content = "";
  EXPECT_EQ(written(made(recorded(chunked), "abc", overrides)).find("chunked"), std::string::npos);
}

TEST(ReplayRequest, SetsAndRemovesFieldsWhereTheyStood) {
  Overrides overrides;
  overrides.fields = {{"x-twice", "3"}, {"hOST", std::nullopt}, {"X-New", "n"}};
  EXPECT_EQ(written(made(recorded(kHead), "abc", overrides)),
            "POST /a?b=1 HTTP/1.1\r\nX-Twice: 3\r\nContent-Length: 3\r\nX-New: n\r\n\r\nabc");
}

TEST(ReplayRequest, RefusesWhatCouldBecomeAnotherRequest) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"X", "a\r\nEvil: 1"}, {"X Y", "a"}, {"", "a"}, {"Content-Length", "0"}, {"transfer-encoding", "chunked"}}) {
    Overrides overrides;
    overrides.fields = {{name, value}};
    EXPECT_FALSE(make_request(recorded(kHead), "abc", overrides)) << name;
  }
  Overrides method;
  method.method = "GET / HTTP/1.1\r\nX:";
  EXPECT_FALSE(make_request(recorded(kHead), "abc", method));
}

TEST(ReplayRequest, RefusesSocketsTunnelsAndBodiesThatWereCut) {
  EXPECT_FALSE(check_replayable(
      recorded("GET /s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET", "/s"), {}));
  auto tunnel = recorded("", "CONNECT", "a:443");
  tunnel.protocol = flow::Protocol::kTcp;
  EXPECT_FALSE(check_replayable(tunnel, {}));
  auto cut = recorded(kHead);
  cut.request.body = {9, 3, false, true};
  EXPECT_FALSE(check_replayable(cut, {}));
  Overrides own;
  own.content = "mine";
  EXPECT_TRUE(check_replayable(cut, own));
}

TEST(ReplayRequest, OfHttp2IsOfferedAsHttp2WhereThatCanBe) {
  auto exchange = recorded("GET /x HTTP/2\r\nhost: api.example\r\n\r\n", "GET", "/x");
  exchange.protocol = flow::Protocol::kHttp2;
  exchange.request.body = {};
  EXPECT_EQ(made(exchange, "").head.version, http::Version::kHttp2);
  Overrides plain;
  plain.url = rebased(exchange, *parse_url("http://127.0.0.1:1"));
  EXPECT_EQ(made(exchange, "", plain).head.version, http::Version::kHttp11);
}

}  // namespace
}  // namespace sluice::replay

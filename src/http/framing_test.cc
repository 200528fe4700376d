#include "http/framing.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

TEST(Framing, OfARequestIsNothingUnlessItSaysSo) {
  EXPECT_EQ(request_framing(make_request("POST", "/"))->kind, Framing::kNone);
  EXPECT_EQ(request_framing(make_request("POST", "/", {{"Content-Length", "0"}}))->kind, Framing::kNone);
  const auto length = request_framing(make_request("GET", "/", {{"content-length", "9223372036854775807"}}));
  EXPECT_EQ(length->kind, Framing::kLength);
  EXPECT_EQ(length->length, 9223372036854775807u);
  EXPECT_EQ(request_framing(make_request("GET", "/", {{"Transfer-Encoding", "Chunked"}}))->kind, Framing::kChunked);
}

TEST(Framing, OfAnAnswerLastsUntilCloseUnlessItSaysOtherwise) {
  EXPECT_EQ(response_framing(make_response(200), "GET")->kind, Framing::kUntilClose);
  EXPECT_EQ(response_framing(make_response(200, {{"Content-Length", "3"}}), "GET")->length, 3u);
  for (int status : {100, 101, 199, 204, 304}) {
    EXPECT_EQ(response_framing(make_response(status, {{"Content-Length", "3"}}), "GET")->kind, Framing::kNone);
  }
  EXPECT_EQ(response_framing(make_response(200), "HEAD")->kind, Framing::kNone);
  EXPECT_EQ(response_framing(make_response(299), "CONNECT")->kind, Framing::kNone);
  EXPECT_EQ(response_framing(make_response(302), "CONNECT")->kind, Framing::kUntilClose);
}

TEST(Framing, RefusesDifferingLengthsInOneFieldOrSeveral) {
  EXPECT_FALSE(request_framing(make_request("GET", "/", {{"Content-Length", "3, 4"}})));
  EXPECT_FALSE(request_framing(make_request("GET", "/", {{"Content-Length", "3"}, {"content-length", "4"}})));
  const auto same = request_framing(make_request("GET", "/", {{"Content-Length", "3,3"}, {"content-length", "03"}}));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->anomalies, bit(Anomaly::kRepeatedLength));
}

TEST(KeepsAlive, FollowsVersionAndConnection) {
  const auto old = [](FieldInit fields) {
    auto head = make_request("GET", "/", fields);
    head.version = Version::kHttp10;
    return keeps_alive(head);
  };
  const auto now = [](FieldInit fields) { return keeps_alive(make_request("GET", "/", fields)); };
  EXPECT_TRUE(now({}));
  EXPECT_FALSE(now({{"Connection", "foo, Close"}}));
  EXPECT_FALSE(now({{"Proxy-Connection", "close"}}));
  EXPECT_TRUE(now({{"Connection", "upgrade"}, {"Proxy-Connection", "close"}}));
  EXPECT_FALSE(old({}));
  EXPECT_TRUE(old({{"Connection", "Keep-Alive"}}));
  EXPECT_TRUE(old({{"Proxy-Connection", "keep-alive"}}));
  EXPECT_FALSE(old({{"Connection", "keep-alive, close"}}));
  EXPECT_TRUE(keeps_alive(make_response(200, {{"Proxy-Connection", "close"}})));
  EXPECT_FALSE(keeps_alive(make_response(200, {{"Connection", "close"}})));
}

TEST(Host, IsOneHostWithAnOptionalPort) {
  for (const char* value : {"", "a", "a:", "a:80", "[::1]", "[::1]:80", "1.2.3.4", "a_b", "a%20b"}) {
    EXPECT_TRUE(check_host(make_request("GET", "/", {{"Host", value}}))) << value;
  }
  for (const char* value : {"a b", "a,b", "a/", "u@a", ":80", "a:80:80", "a:b", "[::1", "::1]", "[::1]x", "[a][b]",
                            "a\\b", "a?b", "a#b", "\xc3\xa4"}) {
    EXPECT_FALSE(check_host(make_request("GET", "/", {{"Host", value}}))) << value;
  }
  auto request = make_request("GET", "/");
  EXPECT_FALSE(check_host(request));
  EXPECT_EQ(host_field(request), std::nullopt);
  request.version = Version::kHttp10;
  EXPECT_TRUE(check_host(request));
  request.fields.append("Host", "a");
  request.fields.append("host", "a");
  EXPECT_FALSE(check_host(request));
}

TEST(Upgrade, NeedsBothFieldsAndHttp11) {
  auto request = make_request("GET", "/", {{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_TRUE(is_upgrade(request));
  request.version = Version::kHttp10;
  EXPECT_FALSE(is_upgrade(request));
  EXPECT_FALSE(is_upgrade(make_request("GET", "/", {{"Upgrade", "websocket"}})));
  EXPECT_FALSE(is_upgrade(make_request("GET", "/", {{"Connection", "upgrade"}})));
  EXPECT_TRUE(is_upgrade(make_response(101)));
  EXPECT_FALSE(is_upgrade(make_response(200)));
}

TEST(Connection, NamingAnEndToEndFieldIsMarked) {
  EXPECT_EQ(connection_anomalies(make_request("GET", "/", {{"Connection", "close, TE"}}).fields), 0u);
  EXPECT_EQ(connection_anomalies(make_request("GET", "/", {{"Connection", "close, Host"}}).fields),
            bit(Anomaly::kConnectionField));
}

}  // namespace
}  // namespace sluice::http

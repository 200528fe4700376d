// What each term means, on records made by hand. Bodies are asked for only when nothing else decides.
#include <gtest/gtest.h>

#include "analysis/filter.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

class Texts : public FilterBodies {
 public:
  std::string request, response;
  int asked = 0;
  Result<bool> hold(Direction direction, const TextPattern& pattern) override {
    ++asked;
    return pattern.is_in(direction == Direction::kRequest ? request : response);
  }
};

struct Case {
  flow::Exchange exchange;
  Texts bodies;
};

// A login that failed, from a browser, over TLS.
Case login() {
  Case made;
  flow::Exchange& exchange = made.exchange;
  exchange.method = "POST";
  exchange.scheme = "https";
  exchange.host = "api.Example.com";
  exchange.port = 443;
  exchange.target = "/v1/login?next=%2Fhome";
  exchange.status = 401;
  exchange.state = flow::State::kDone;
  exchange.request.head =
      "POST /v1/login HTTP/1.1\r\nHost: api.Example.com\r\nContent-Type: application/json\r\nX-Trace: abc\r\n\r\n";
  exchange.response.head =
      "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html; charset=utf-8\r\nServer: nginx\r\n\r\n";
  exchange.response.trailers = "X-Checksum: 99\r\n";
  exchange.request.body = {.size = 20, .stored = 20};
  exchange.response.body = {.size = 2'000, .stored = 2'000};
  made.bodies.request = R"({"user":"ada","pw":"x"})";
  made.bodies.response = "<p>\nWrong Password</p>";
  auto connection = std::make_shared<flow::Connection>();
  connection->client_address = "192.168.0.7";
  connection->client_port = 50'000;
  auto tls = std::make_shared<flow::ClientTls>();
  tls->ja3 = "aabbccdd";
  tls->ja4 = "t13d1516h2_8daaf6152771_b186095e22b6";
  connection->tls = std::move(tls);
  exchange.connection = connection;
  auto upstream = std::make_shared<flow::Upstream>();
  upstream->address = "2001:db8::1";
  upstream->port = 443;
  exchange.upstream = upstream;
  exchange.timings.end = 1'500'000;
  exchange.rule_ids = {3, 12};
  exchange.anomalies = http::bit(http::Anomaly::kBareLf) | http::bit(http::Anomaly::kObsFold);
  return made;
}

bool holds(Case& made, std::string_view text, const Redactor* redactor = nullptr) {
  const auto expression = FilterExpression::parse(text);
  EXPECT_TRUE(expression) << text << ": " << (expression ? "" : expression.error().message);
  return expression && *expression->matches(made.exchange, redactor, made.bodies);
}

TEST(FilterMatch, EachTermSaysWhatMitmproxysDoes) {
  Case made = login();
  for (const char* text : {"~all",
                           "~b password",
                           "~bs wrong",
                           "~bq ada",
                           "~bs p>.*wrong",
                           "~c 401",
                           "~c 400-499",
                           "~c 4..",
                           "~c 40x",
                           "~c >400",
                           "~d example.com",
                           "~d ^api\\.",
                           "~h trace",
                           "~hq \"^x-trace: abc$\"",
                           "~hs nginx",
                           "~hs x-checksum",
                           "~http",
                           "~m post",
                           "~m ^p",
                           "~s",
                           "~t json",
                           "~tq json",
                           "~ts html",
                           "~u /v1/login",
                           "login",
                           "~u ^https://api",
                           "~src 192\\.168\\.0\\.7:50000$",
                           "~dst api.example.com:443",
                           "~dst \"^\\[2001:db8::1\\]:443$\"",
                           "~rule 3",
                           "~rule rule_12",
                           "~rule *",
                           "~size >2000",
                           "~size 2020",
                           "~sizeq 20",
                           "~sizes 1k-2k",
                           "~dur >1s",
                           "~dur 1500",
                           "~ja3 ^aabb",
                           "~ja4 t13d",
                           "~anomaly bare_lf",
                           "~anomaly fold",
                           "~b \"wrong password\" & ~c 401",
                           "~d nowhere | ~m post",
                           "!~e",
                           "!~q",
                           "!~a",
                           "!~websocket",
                           "!~tcp",
                           "!~tls",
                           "!~grpc",
                           "!~sse",
                           "!~replay"}) {
    EXPECT_TRUE(holds(made, text)) << text;
  }
  for (const char* text : {"~bq password",
                           "~bs ada",
                           "~c 402",
                           "~c 40",
                           "~c 5..",
                           "~d example.org",
                           "~hq nginx",
                           "~hs trace",
                           "~h ^abc",
                           "~m get",
                           "~q",
                           "~e",
                           "~tq html",
                           "~ts json",
                           "~u ^/v1",
                           "~src 10\\.",
                           "~dst :80$",
                           "~rule 4",
                           "~size >3k",
                           "~dur >1500ms",
                           "~dur <=1s",
                           "~ja3 ^bb",
                           "~anomaly truncated",
                           "~a",
                           "~m post & ~d nowhere",
                           "!~all"}) {
    EXPECT_FALSE(holds(made, text)) << text;
  }
}

TEST(FilterMatch, KindsOfExchanges) {
  const auto with = [](auto change, std::string_view text) {
    Case made = login();
    change(made.exchange);
    return holds(made, text);
  };
  using flow::Exchange;
  using flow::Protocol;
  const auto type = [](std::string_view name) {
    return
        [name](Exchange& e) { e.response.head = "HTTP/1.1 200 OK\r\ncontent-type: " + std::string(name) + "\r\n\r\n"; };
  };
  EXPECT_TRUE(with([](Exchange& e) { e.status = 0; }, "~q & !~s"));
  EXPECT_FALSE(with([](Exchange& e) { e.status = 0; }, "~c 0-999"));
  EXPECT_TRUE(with([](Exchange& e) { e.failure.emplace(); }, "~e"));
  EXPECT_TRUE(with([](Exchange& e) { e.protocol = Protocol::kWebSocket; }, "~websocket & ~http"));
  EXPECT_TRUE(with([](Exchange& e) { e.protocol = Protocol::kHttp2; }, "~http & !~websocket"));
  EXPECT_TRUE(with([](Exchange& e) { e.protocol = Protocol::kTcp, e.status = 0; }, "~tcp & ~s & !~http"));
  EXPECT_TRUE(with([](Exchange& e) { e.protocol = Protocol::kTls; }, "~tls & !~http & !~tcp"));
  EXPECT_TRUE(with([](Exchange& e) { e.connection = nullptr; }, "~replay & !~src . & !~ja3 ."));
  EXPECT_TRUE(with([](Exchange& e) { e.timings.end = -1; }, "!~dur >=0"));
  EXPECT_TRUE(with([](Exchange& e) { e.rule_ids.clear(); }, "!~rule *"));
  for (const char* asset : {"text/css", "image/png", "font/woff2", "application/javascript",
                            "text/javascript; charset=x", "application/x-javascript", "application/font-woff"}) {
    EXPECT_TRUE(with(type(asset), "~a")) << asset;
  }
  EXPECT_FALSE(with(type("application/json"), "~a"));
  EXPECT_FALSE(with(type("text/html"), "~a"));
  EXPECT_TRUE(with(type("text/event-stream;charset=utf-8"), "~sse"));
  EXPECT_TRUE(with(type("application/grpc+proto"), "~grpc"));
  EXPECT_TRUE(with(type("application/grpc-web-text"), "~grpc"));
}

TEST(FilterMatch, BodiesAreReadOnlyWhenNothingElseDecides) {
  const auto asked = [](std::string_view text) {
    Case made = login();
    holds(made, text);
    return made.bodies.asked;
  };
  EXPECT_EQ(asked("~b password & ~c 200"), 0);
  EXPECT_EQ(asked("~b password | ~c 401"), 0);
  EXPECT_EQ(asked("!(~b password | ~c 401)"), 0);
  EXPECT_EQ(asked("(~b x | ~b y) & (~b z & ~m get)"), 0);
  EXPECT_EQ(asked("~bs password & ~c 401"), 1);
  EXPECT_EQ(asked("~b ada"), 1) << "the request first";
  EXPECT_EQ(asked("~b password"), 2);
  EXPECT_EQ(asked("~bq ada | ~bs password"), 1) << "the first that holds ends it";
  EXPECT_EQ(asked("~bq nobody & ~bs password"), 1);
  Case empty = login();
  empty.exchange.request.body = empty.exchange.response.body = {};
  EXPECT_FALSE(holds(empty, "~b ."));
  EXPECT_TRUE(holds(empty, "!~b ."));
  EXPECT_EQ(empty.bodies.asked, 0);
}

TEST(FilterMatch, AFailureToReadABodyIsNotAnAnswer) {
  class Cancelled : public FilterBodies {
    Result<bool> hold(Direction, const TextPattern&) override { return fail(Code::kCancelled, "stopped"); }
  } bodies;
  const Case made = login();
  for (const char* text : {"~b x", "!~b x", "~b x | ~b y", "~c 401 & !~b x"}) {
    const auto result = FilterExpression::parse(text)->matches(made.exchange, nullptr, bodies);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Code::kCancelled);
  }
}

// An agent that may not see a secret asks for one letter more, one class more, one length more.
TEST(FilterMatch, NothingIsToldOfWhatIsMasked) {
  SeededEntropy entropy{1};
  const Redactor redactor(entropy);
  const auto made_with = [](const std::string& secret) {
    Case made = login();
    made.exchange.target = "/v1/login?access_token=" + secret;
    made.exchange.request.head = "POST /v1/login?access_token=" + secret + " HTTP/1.1\r\nAuthorization: Bearer " +
                                 secret + "\r\nCookie: sid=" + secret + "\r\nX-Api-Key: " + secret + "\r\n\r\n";
    made.exchange.response.head =
        "HTTP/1.1 200 OK\r\nSet-Cookie: sid=" + secret + "; Path=/\r\nLocation: /?token=" + secret + "\r\n\r\n";
    return made;
  };
  Case one = made_with("Zq8redXw3tokenL"), other = made_with("0000-other-length-altogether-0000");
  const std::vector<std::string> patterns = {
      "Zq8",          "^Bearer Z",     "Bearer \\w", "token=Z",         "token=[^0]", "token=.", "token=.{15}",
      "token=.{15}$", "\\bZq8",        "sid=[A-Z]",  "tokenL",          "redacted",   "red",     "sid=[^;]{15}",
      "sid=[^;]{1}",  "api-key: .{2}", "\\x00",      "token=(\\x00|Z)", "[0-9]$",     "Z|q|8"};
  for (const std::string& pattern : patterns) {
    for (const char* term : {"~u", "~h", "~hq", "~hs"}) {
      const std::string text = std::string(term) + " \"" + pattern + "\"";
      EXPECT_EQ(holds(one, text, &redactor), holds(other, text, &redactor)) << text;
      EXPECT_EQ(holds(one, "!" + text, &redactor), holds(other, "!" + text, &redactor)) << text;
    }
  }
  EXPECT_TRUE(holds(one, "~u access_token= & ~hq \"^authorization: bearer\" & ~hs path=/", &redactor));
  EXPECT_FALSE(holds(one, "~h redacted | ~u redacted", &redactor)) << "a mask is no text to find something in";
  EXPECT_TRUE(holds(one, "~u Zq8 & ~hq Zq8 & ~hs Zq8")) << "whoever is shown secrets finds them";
}

}  // namespace
}  // namespace sluice::analysis

// Two sessions that talk to each other.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "base/text.h"
#include "http2/handmade.h"
#include "http2/http2.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

http::RequestHead get(std::string_view path = "/") { return http::make_request("GET", path, {{"Host", "a.example"}}); }

StreamId ask(Pair& pair, const http::RequestHead& head, Body body = Body::kNone,
             const Session::RequestOptions& options = {}) {
  const auto id = pair.client.session.submit_request(head, options, body);
  EXPECT_TRUE(id) << id.error().message;
  return id.value_or(0);
}

void answer(Pair& pair, StreamId id, const http::ResponseHead& head, Body body = Body::kNone) {
  const auto status = pair.server.session.submit_response(id, head, body);
  EXPECT_TRUE(status) << status.error().message;
}

// Without what every connection begins with.
std::string text(End& end) {
  std::string text = end.text();
  if (text.starts_with("settings 0\n")) text.erase(0, 11);
  return text;
}

TEST(Session, CarriesARequestAndItsAnswer) {
  Pair pair;
  const auto id = ask(pair, http::make_request("GET", "/x?y", {{"User-Agent", "t"}, {"Host", "a.example:8443"}}));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 GET /x?y [host: a.example:8443] [user-agent: t] scheme https ended\n");
  answer(pair, id, http::make_response(204, {{"X-A", "b"}}));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 204 [x-a: b] ended\n");
  EXPECT_EQ(pair.client.session.open_streams(), 0u);
  EXPECT_EQ(pair.server.session.open_streams(), 0u);
  EXPECT_FALSE(pair.client.session.is_open(id));
  EXPECT_FALSE(pair.client.session.wants_output());
  EXPECT_FALSE(pair.client.session.is_over());
}

TEST(Session, CarriesBodiesAndTrailersBothWays) {
  Pair pair;
  pair.client.source.content[1] = {std::string(300'000, 'q'), true, {}};
  pair.client.source.content[1].trailers.append("X-Sum", "1");
  pair.server.source.content[1] = {std::string(200'000, 'a'), true, {}};
  pair.server.source.content[1].trailers.append("grpc-status", "0");
  pair.server.source.content[1].trailers.append("connection", "close");  // cannot be said
  const auto id =
      ask(pair, http::make_request("POST", "/", {{"host", "a.example"}, {"content-length", "300000"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  answer(pair, id, http::make_response(200), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 POST / [host: a.example] [content-length: 300000] scheme https\ndata 1 [" +
                                   std::string(300'000, 'q') + "]\ntrailers 1 [x-sum: 1]\nend 1\n");
  EXPECT_EQ(text(pair.client),
            "head 1 200\ndata 1 [" + std::string(200'000, 'a') + "]\ntrailers 1 [grpc-status: 0]\nend 1\n");
  EXPECT_EQ(pair.client.session.open_streams(), 0u);
}

TEST(Session, EndsABodyThatTurnsOutEmpty) {
  Pair pair;
  pair.client.source.content[1] = {"", true, {}};
  ask(pair, http::make_request("POST", "/", {{"host", "a.example"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 POST / [host: a.example] scheme https\nend 1\n");
}

TEST(Session, WaitsForABodyUntilItIsResumed) {
  Pair pair;
  auto& body = pair.client.source.content[1] = {"one ", false, {}};
  const auto id = ask(pair, http::make_request("POST", "/", {{"host", "a.example"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  const auto pulls = pair.client.source.pulls;
  EXPECT_FALSE(pair.client.session.wants_output());
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.source.pulls, pulls);  // nobody asks in vain
  body.octets += "two";
  body.whole = true;
  pair.client.session.resume(id);
  EXPECT_TRUE(pair.client.session.wants_output());
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 POST / [host: a.example] scheme https\ndata 1 [one two]\nend 1\n");
}

TEST(Session, CarriesInterimAnswersBeforeTheFinalOne) {
  Pair pair;
  const auto id = ask(pair, get());
  ASSERT_TRUE(pair.talk());
  answer(pair, id, http::make_response(100));
  answer(pair, id, http::make_response(103, {{"link", "</x>"}}));
  pair.server.source.content[1] = {"hello", true, {}};
  answer(pair, id, http::make_response(200, {{"content-length", "5"}}), Body::kPulled);
  EXPECT_EQ(pair.server.session.submit_response(id, http::make_response(200), Body::kNone).error().code,
            Code::kConflict);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client),
            "head 1 100\nhead 1 103 [link: </x>]\nhead 1 200 [content-length: 5]\ndata 1 [hello]\nend 1\n");
  EXPECT_EQ(pair.server.session.submit_response(id, http::make_response(200), Body::kNone).error().code, Code::kClosed);
}

TEST(Session, AnswersBeforeTheRequestEnds) {
  Pair pair;
  pair.client.source.content[1] = {"begun", false, {}};
  const auto id = ask(pair, http::make_request("POST", "/", {{"host", "a.example"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  answer(pair, id, http::make_response(413));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 413 ended\n");
  EXPECT_TRUE(pair.client.session.is_open(id));  // the request can go on, or be given up
  pair.server.session.reset(id, ErrorCode::kNoError);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 413 ended\nreset 1 0 by the peer\n");
  EXPECT_FALSE(pair.client.session.is_open(id));
}

TEST(Session, WritesHeadsAsHttp2SaysThem) {
  Pair pair;
  auto request = http::make_request("GET", "/",
                                    {{"Connection", "keep-alive, X-Hop"},
                                     {"Keep-Alive", "1"},
                                     {"Proxy-Connection", "x"},
                                     {"Transfer-Encoding", "chunked"},
                                     {"Upgrade", "h2c"},
                                     {"HTTP2-Settings", "x"},
                                     {"TE", "gzip"},
                                     {"te", "Trailers"},
                                     {"X-Hop", "1"},
                                     {"X-Stays", " a\r\nb\t"},
                                     {"Bad Name", "1"},
                                     {"", "1"},
                                     {":path", "/other"},
                                     {"Cookie", "a=1"},
                                     {"Cookie", "b=2"},
                                     {"Host", "a.example"}});
  request.start_line = "GET / HTTP/1.1\r\n";  // of another version
  const auto id = ask(pair, request);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server),
            "head 1 GET / [host: a.example] [te: Trailers] [x-stays: a  b] [cookie: a=1] "
            "[cookie: b=2] scheme https ended\n");
  answer(pair, id, http::make_response(200, {{"Connection", "close"}, {"ETag", "\"x\""}, {":status", "500"}}));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 200 [etag: \"x\"] ended\n");
}

TEST(Session, WritesATargetSoThatItStaysOne) {
  Pair pair;
  ask(pair, http::make_request("GET", "/a b\r\nx: y", {{"host", "a.example"}}));
  ask(pair, http::make_request("GET", "", {{"host", "a.example"}}));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server),
            "head 1 GET /a%20b%0D%0Ax:%20y [host: a.example] scheme https ended\n"
            "head 3 GET / [host: a.example] scheme https ended\n");
}

// RFC 7541 §6.2.3 and §7.1.3: no proxy on the way may put these into a table.
TEST(Session, NeverIndexesSecrets) {
  MemorySource source;
  Session client(Role::kClient, {}, source);
  const auto fields = {std::pair<std::string_view, std::string_view>{"host", "a.example"},
                       {"Authorization", "Basic eDp5"},
                       {"cookie", "short"},
                       {"cookie", "a cookie that is too long to be guessed"}};
  ASSERT_TRUE(client.submit_request(http::make_request("GET", "/", fields), {}, Body::kNone));
  std::string out;
  for (Bytes part = client.output(); !part.empty(); part = client.output()) out += part;
  EXPECT_NE(out.find("\x1f\x08"), out.npos);  // authorization, index 23
  const auto cookie = out.find("\x1f\x11");   // index 32
  EXPECT_NE(cookie, out.npos);
  EXPECT_EQ(out.find("\x1f\x11", cookie + 1), out.npos);
}

TEST(Session, SaysWhatCannotBeSubmitted) {
  Pair pair;
  const auto id = ask(pair, get());
  ASSERT_TRUE(pair.talk());
  auto& server = pair.server.session;
  EXPECT_EQ(server.submit_response(3, http::make_response(200), Body::kNone).error().code, Code::kClosed);
  EXPECT_EQ(server.submit_response(id, http::make_response(101), Body::kNone).error().code, Code::kInvalid);
  EXPECT_EQ(server.submit_response(id, http::make_response(0), Body::kNone).error().code, Code::kInvalid);
  const std::string huge(1'100'000, 'x');
  EXPECT_EQ(server.submit_response(id, http::make_response(200, {{"x", huge}}), Body::kNone).error().code,
            Code::kTooLarge);
  answer(pair, id, http::make_response(200));  // still possible
  EXPECT_EQ(
      pair.client.session.submit_request(http::make_request("GET", "/", {{"x", huge}}), {}, Body::kNone).error().code,
      Code::kTooLarge);
  Session::RequestOptions options;
  options.priority = Priority{3, 1, false};
  EXPECT_EQ(pair.client.session.submit_request(get(), options, Body::kNone).error().code, Code::kInvalid);
}

TEST(Session, CarriesHeadsAsLargeAsTheLimitAllows) {
  Options options;
  options.head_size = 900'000;
  Pair pair(options, options);
  auto request = get();
  auto response = http::make_response(200);
  std::string expected;
  for (int i = 0; i < 14; ++i) {
    const std::string value(60'000, static_cast<char>('a' + i));
    request.fields.append("x", value);
    response.fields.append("x", value);
    expected += " [x: " + value + "]";
  }
  const auto id = ask(pair, request);
  ASSERT_TRUE(pair.talk());
  answer(pair, id, response);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 GET / [host: a.example]" + expected + " scheme https ended\n");
  EXPECT_EQ(text(pair.client), "head 1 200" + expected + " ended\n");
}

TEST(Session, OpensATunnelWithConnect) {
  Pair pair;
  pair.client.source.content[1] = {"ping", false, {}};
  pair.server.source.content[1] = {"pong", false, {}};
  const auto id = ask(pair, http::make_request("CONNECT", "b.example:443", {{"Host", "b.example:443"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  answer(pair, id, http::make_response(200, {{"content-length", "77"}}), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 1 CONNECT b.example:443 [host: b.example:443]\ndata 1 [ping]\n");
  EXPECT_EQ(text(pair.client), "head 1 200 [content-length: 77]\ndata 1 [pong]\n");
}

TEST(Session, CarriesExtendedConnectWhereThePeerTakesIt) {
  Pair pair;
  Session::RequestOptions options;
  options.protocol = "websocket";
  const auto head = http::make_request("CONNECT", "/chat", {{"host", "a.example"}, {"sec-websocket-version", "13"}});
  EXPECT_EQ(pair.client.session.submit_request(head, options, Body::kPulled).error().code, Code::kConflict);
  ASSERT_TRUE(pair.talk());  // now its SETTINGS were read
  EXPECT_TRUE(pair.client.session.peer_takes_extended_connect());
  pair.client.source.content[1] = {"frames", false, {}};
  ask(pair, head, Body::kPulled, options);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server),
            "head 1 CONNECT /chat [host: a.example] [sec-websocket-version: 13] scheme https "
            "protocol websocket\ndata 1 [frames]\n");
}

TEST(Session, OffersNoExtendedConnectWhenToldNotTo) {
  Options options;
  options.extended_connect = false;
  Pair pair({}, options);
  ASSERT_TRUE(pair.talk());
  EXPECT_FALSE(pair.client.session.peer_takes_extended_connect());
}

TEST(Session, ShowsAndSaysPriorities) {
  Pair pair;
  Session::RequestOptions options;
  options.priority = Priority{0, 256, true};
  ask(pair, get(), Body::kNone, options);
  options.priority = Priority{1, 1, false};
  ask(pair, get("/2"), Body::kNone, options);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server),
            "head 1 GET / [host: a.example] scheme https priority 0/256x ended\n"
            "head 3 GET /2 [host: a.example] scheme https priority 1/1 ended\n");
}

TEST(Session, SwitchesFromHttp1) {
  Pair pair;
  const auto settings = base64url_encode(std::string("\0\3\0\0\0\7", 6));
  ASSERT_TRUE(pair.server.session.upgraded(settings, "GET"));
  ASSERT_TRUE(pair.client.session.upgraded(settings, "GET"));
  EXPECT_TRUE(pair.server.session.is_open(1));
  pair.server.source.content[1] = {"hello", true, {}};
  answer(pair, 1, http::make_response(200), Body::kPulled);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 200\ndata 1 [hello]\nend 1\n");
  EXPECT_EQ(pair.server.session.peer_max_streams(), 7u);
  const auto id = ask(pair, get());
  EXPECT_EQ(id, 3);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.server), "head 3 GET / [host: a.example] scheme https ended\n");
  EXPECT_EQ(pair.server.session.upgraded(settings, "GET").error().code, Code::kConflict);
}

TEST(Session, KnowsThatAnUpgradedHeadHasNoContent) {
  Pair pair;
  ASSERT_TRUE(pair.server.session.upgraded("", "HEAD"));
  ASSERT_TRUE(pair.client.session.upgraded("", "HEAD"));
  answer(pair, 1, http::make_response(200, {{"content-length", "5"}}));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(text(pair.client), "head 1 200 [content-length: 5] ended\n");
}

TEST(Session, RefusesAnUpgradeWithoutSettings) {
  for (const std::string_view bad : {"!", "AAAA", "AAQAAAAB"}) {
    MemorySource source;
    Session server(Role::kServer, {}, source);
    EXPECT_EQ(server.upgraded(bad, "GET").error().code, Code::kInvalid) << bad;
  }
  MemorySource source;
  Session server(Role::kServer, {}, source);  // INITIAL_WINDOW_SIZE of 2^31
  EXPECT_EQ(server.upgraded(base64url_encode(std::string("\0\4\x80\0\0\0", 6)), "GET").error().code, Code::kInvalid);
}

TEST(Session, SaysAgainHowAClientIntroducedItself) {
  Options as_browser;
  as_browser.profile.settings = {{1, 65536}, {2, 0}, {0x1a2a, 5}, {4, 6291456}, {6, 262144}};
  as_browser.profile.window_increment = 15663105;
  as_browser.profile.pseudo_order = "mpas";
  Pair pair(as_browser);
  ask(pair, get());
  ASSERT_TRUE(pair.talk());
  const Preface& seen = pair.server.session.peer_preface();
  EXPECT_EQ(seen.settings, as_browser.profile.settings);
  EXPECT_EQ(seen.window_increment, 15663105u);
  EXPECT_EQ(seen.pseudo_order, "mpas");
  EXPECT_TRUE(seen.priorities.empty());
}

TEST(Session, KeepsAPrefaceAsItStood) {
  MemorySource source;
  Session server(Role::kServer, {}, source);
  Transcript transcript(server);
  using namespace handmade;
  const std::string octets =
      std::string(kMagic) + settings({{4, 100}, {4, 70000}, {0xff, 1}}) + window_update(0, 99) + priority(3, 0, 201) +
      priority(5, 0x80000003, 1) + settings({{3, 1}}) + window_update(0, 5) +
      headers(15, {{":path", "/"}, {":method", "GET"}, {":authority", "a"}, {":scheme", "https"}}, kEndStream) +
      priority(7, 0, 1) + headers(17, handmade::get(), kEndStream);
  ASSERT_TRUE(transcript.feed(octets));
  const Preface& seen = server.peer_preface();
  const handmade::Entries expected = {{4, 100}, {4, 70000}, {0xff, 1}};
  EXPECT_EQ(seen.settings, expected);
  EXPECT_EQ(seen.window_increment, 99u);
  EXPECT_EQ(seen.pseudo_order, "pmas");
  ASSERT_EQ(seen.priorities.size(), 2u);
  EXPECT_EQ(seen.priorities[0].stream, 3);
  EXPECT_EQ(seen.priorities[0].priority.weight, 201);
  EXPECT_EQ(seen.priorities[1].priority.dependency, 3u);
  EXPECT_TRUE(seen.priorities[1].priority.exclusive);
}

TEST(Session, BringsDangerousProfilesDown) {
  Options options;
  options.profile.settings = {{1, 0xffffffff}, {4, 0x7fffffff}};
  Pair pair(options);
  ASSERT_TRUE(pair.talk());
  const handmade::Entries expected = {{1, 1024 * 1024}, {4, 16 * 1024 * 1024}};
  EXPECT_EQ(pair.server.session.peer_preface().settings, expected);
}

// A bug of the caller's is not lost in nghttp2, and does no harm there.
TEST(Session, LetsWhatABodySourceThrowsPass) {
  class Throwing final : public BodySource {
    Pulled pull(StreamId, MutableBytes) override { throw std::logic_error("a bug"); }
  } source;
  Session client(Role::kClient, {}, source);
  ASSERT_TRUE(client.submit_request(get(), {}, Body::kPulled));
  EXPECT_THROW(client.output(), std::logic_error);
  EXPECT_FALSE(client.feed(handmade::settings()));
  while (!client.output().empty()) {
  }
  EXPECT_TRUE(client.is_over());
}

TEST(Session, NamesErrorCodes) {
  EXPECT_EQ(to_string(ErrorCode::kCancel), "CANCEL");
  EXPECT_EQ(to_string(ErrorCode::kHttp11Required), "HTTP_1_1_REQUIRED");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(99)), "");
}

}  // namespace
}  // namespace sluice::http2

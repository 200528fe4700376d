// How streams and connections end: resets, GOAWAY either way, protocol errors, pushes.
#include <gtest/gtest.h>

#include <string>

#include "http2/handmade.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

using namespace handmade;

std::string all_output(Session& session) {
  std::string out;
  for (Bytes part = session.output(); !part.empty(); part = session.output()) out += part;
  return out;
}

const http::RequestHead kGet = http::make_request("GET", "/", {{"host", "a.example"}});

TEST(Endings, TellsOfThePeersReset) {
  Pair pair;
  ASSERT_TRUE(pair.client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(pair.talk());
  pair.client.session.reset(1, ErrorCode::kCancel);
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.server.text().ends_with("reset 1 8 by the peer\n"));
  EXPECT_EQ(pair.server.session.submit_response(1, http::make_response(200), Body::kNone).error().code, Code::kClosed);
}

// An answer without content to a request that is not over yet (RFC 9113 §8.1), and one whose content breaks off.
TEST(Endings, AnAnswersHeadLeavesBeforeTheResetThatFollows) {
  for (const Body body : {Body::kNone, Body::kPulled}) {
    Pair pair;
    pair.client.source.content[1].whole = pair.server.source.content[1].whole = false;
    ASSERT_TRUE(pair.client.session.submit_request(http::make_request("POST", "/", {{"host", "a.example"}}), {},
                                                   Body::kPulled));
    ASSERT_TRUE(pair.talk());
    ASSERT_TRUE(pair.server.session.submit_response(1, http::make_response(401), body));
    pair.server.session.reset(1, ErrorCode::kNoError);
    ASSERT_TRUE(pair.talk());
    EXPECT_TRUE(pair.client.text().starts_with("settings 0\nhead 1 401")) << pair.client.text();
    EXPECT_TRUE(pair.client.text().ends_with("reset 1 0 by the peer\n")) << pair.client.text();
  }
}

TEST(Endings, DrainsAServer) {
  Pair pair;
  ASSERT_TRUE(pair.client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(pair.talk());
  pair.server.session.go_away(ErrorCode::kNoError);
  pair.server.session.go_away(ErrorCode::kNoError);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.text(), "settings 0\ngoaway 1 0\n");
  EXPECT_EQ(pair.client.session.submit_request(kGet, {}, Body::kNone).error().code, Code::kUnavailable);
  EXPECT_FALSE(pair.server.session.is_over());
  EXPECT_FALSE(pair.client.session.is_over());
  ASSERT_TRUE(pair.server.session.submit_response(1, http::make_response(200), Body::kNone));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.text(), "settings 0\ngoaway 1 0\nhead 1 200 ended\n");
  EXPECT_TRUE(pair.server.session.is_over());
  EXPECT_TRUE(pair.client.session.is_over());
}

TEST(Endings, DrainsAClient) {
  Pair pair;
  ASSERT_TRUE(pair.client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(pair.talk());
  pair.client.session.go_away(ErrorCode::kNoError);
  EXPECT_EQ(pair.client.session.submit_request(kGet, {}, Body::kNone).error().code, Code::kUnavailable);
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.server.text().ends_with("goaway 0 0\n"));
  ASSERT_TRUE(pair.server.session.submit_response(1, http::make_response(200), Body::kNone));
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.server.session.is_over());
  EXPECT_TRUE(pair.client.session.is_over());
}

TEST(Endings, TellsWhichStreamsTheServerRefused) {
  End client(Role::kClient, {});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));
  all_output(client.session);
  ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));  // not yet written
  client.transcript.feed(settings() + goaway(3, 0));
  EXPECT_EQ(client.text(),
            "settings 0\ngoaway 3 0\nreset 5 7 by the peer\nreset 7 7 by the peer\nreset 9 7 by the peer\n");
  EXPECT_TRUE(client.session.is_open(3));
  EXPECT_EQ(all_output(client.session).find(std::string("\x03\0\0\0\0", 5)), std::string::npos);  // no RST_STREAM
  client.transcript.feed(headers(3, {{":status", "200"}}, kEndStream) + headers(1, {{":status", "200"}}, kEndStream));
  EXPECT_TRUE(client.text().ends_with("head 3 200 ended\nhead 1 200 ended\n"));
  all_output(client.session);
  EXPECT_TRUE(client.session.is_over());
}

TEST(Endings, RefusesWhatWaitedWhenTheServerWentAway) {
  End client(Role::kClient, {});
  ASSERT_TRUE(client.transcript.feed(settings({{3, 1}})));
  ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));  // the server takes one at a time
  all_output(client.session);
  // The first of two GOAWAY: nothing that was sent is refused, but nothing new is taken.
  ASSERT_TRUE(client.transcript.feed(goaway(0x7fffffff, 0)));
  EXPECT_EQ(client.text(), "settings 0\ngoaway 2147483647 0\nreset 3 7 by the peer\n");
  ASSERT_TRUE(client.transcript.feed(headers(1, {{":status", "200"}}, kEndStream)));
  EXPECT_EQ(all_output(client.session).find("a.example"), std::string::npos);
  EXPECT_TRUE(client.text().ends_with("head 1 200 ended\n"));
  EXPECT_TRUE(client.session.is_over());
}

TEST(Endings, LetsRequestsWaitForTheirTurn) {
  Options one;
  one.max_streams = 1;
  Pair pair({}, one);
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.client.session.peer_max_streams(), 1u);
  ASSERT_TRUE(pair.client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(pair.client.session.submit_request(kGet, {}, Body::kNone));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.server.session.open_streams(), 1u);
  ASSERT_TRUE(pair.server.session.submit_response(1, http::make_response(200), Body::kNone));
  ASSERT_TRUE(pair.talk());
  EXPECT_TRUE(pair.server.text().ends_with("head 3 GET / [host: a.example] scheme https ended\n"));
}

TEST(Endings, RefusesStreamsBeyondTheLimitAlsoWhereAProfileNamesNone) {
  Options options;
  options.max_streams = 2;
  options.profile.settings = {{4, 100'000}};
  End server(Role::kServer, options);
  ASSERT_TRUE(server.transcript.feed(client_preface() + headers(1, get()) + headers(3, get()) + headers(5, get()) +
                                     data(5, "x") + headers(7, get())));
  EXPECT_EQ(server.session.open_streams(), 2u);
  const auto out = all_output(server.session);
  EXPECT_NE(out.find(rst_stream(5, 7)), out.npos);
  EXPECT_NE(out.find(rst_stream(7, 7)), out.npos);
  EXPECT_EQ(server.text().find("head 5"), std::string::npos);
}

TEST(Endings, EndsAConnectionThatIsNoHttp2) {
  End server(Role::kServer, {});
  EXPECT_FALSE(server.transcript.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(server.text(), "failed invalid: the peer does not speak HTTP/2 (RFC 9113 §3.4)\n");
  const auto frames = all_output(server.session);
  EXPECT_NE(frames.find(goaway(0, 1)), frames.npos);
  EXPECT_TRUE(server.session.is_over());
  EXPECT_FALSE(server.transcript.feed(client_preface()));  // and stays so
}

struct Broken {
  std::string_view name;
  std::string frames;
  std::uint32_t code;  // of the GOAWAY
};

std::vector<Broken> broken_frames() {
  const std::string request = headers(1, post());
  return {
      {"no SETTINGS first", "", 1},
      {"DATA on stream 0", data(0, "x"), 1},
      {"DATA on an idle stream", data(1, "x"), 1},
      {"DATA after the end", headers(1, get(), kEndStream) + data(1, "x"), 5},
      {"HEADERS after the end", headers(1, get(), kEndStream) + headers(1, {{"x", "y"}}, kEndStream), 5},
      {"HEADERS on stream 0", headers(0, get()), 1},
      {"HEADERS on an even stream", headers(2, get()), 1},
      {"HEADERS with too much padding",
       frame(FrameType::kHeaders, kPadded | kEndHeaders, 1,
             "\xff"
             "abc"),
       1},
      {"DATA with too much padding",
       request + frame(FrameType::kData, kPadded, 1,
                       "\xff"
                       "abc"),
       1},
      {"a field section that is no HPACK", frame(FrameType::kHeaders, kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff"), 9},
      {"a table that grows beyond the setting", frame(FrameType::kHeaders, kEndHeaders, 1, "\x3f\xff\xff\x7f"), 9},
      {"PING of a wrong size", frame(FrameType::kPing, 0, 0, "1234567"), 6},
      {"PING on a stream", frame(FrameType::kPing, 0, 1, "12345678"), 1},
      {"SETTINGS of a wrong size", frame(FrameType::kSettings, 0, 0, "12345"), 6},
      {"SETTINGS on a stream", frame(FrameType::kSettings, 0, 1, ""), 1},
      {"SETTINGS with a window of 2^31", settings({{4, 0x80000000}}), 3},
      {"SETTINGS with tiny frames", settings({{5, 100}}), 1},
      {"SETTINGS acknowledged that were not sent", settings_ack() + settings_ack(), 1},
      {"WINDOW_UPDATE of 0", window_update(0, 0), 1},
      {"WINDOW_UPDATE beyond 2^31", window_update(0, 0x7fffffff), 3},
      {"WINDOW_UPDATE on an idle stream", window_update(9, 1), 1},
      {"RST_STREAM on an idle stream", rst_stream(9, 0), 1},
      {"CONTINUATION of nothing", frame(FrameType::kContinuation, kEndHeaders, 1, ""), 1},
      {"PING inside a field section", frame(FrameType::kHeaders, 0, 1, section(get())) + ping(), 1},
      {"PUSH_PROMISE from a client", request + frame(FrameType::kPushPromise, kEndHeaders, 1, number(2, 4)), 1},
      {"a frame above the limit", frame(FrameType::kData, 0, 1, std::string(16'385, 'x')), 6},
      {"PRIORITY of a wrong size", frame(FrameType::kPriority, 0, 1, "1234"), 6},
      {"GOAWAY of a wrong size", frame(FrameType::kGoAway, 0, 0, "1234"), 6},
  };
}

// Whoever sends one octet of it now and then keeps the connection from everything else: somebody has to look at a
// clock.
TEST(Endings, AFieldSectionLastsFromItsFirstOctetToTheEndOfItsLastFrame) {
  End server(Role::kServer, {});
  const std::string block = section(get());
  const std::string octets = frame(FrameType::kHeaders, kEndStream, 1, block.substr(0, 5)) +
                             frame(FrameType::kContinuation, 0, 1, "") +
                             frame(FrameType::kContinuation, kEndHeaders, 1, block.substr(5));
  ASSERT_TRUE(server.session.feed(std::string(kMagic) + settings() + ping()));
  for (std::size_t at = 0; at < octets.size(); ++at) {
    EXPECT_EQ(server.session.head_under_way(), at >= kFrameHeaderSize ? 1u : 0u) << at;
    ASSERT_TRUE(server.session.feed(Bytes(octets).substr(at, 1))) << at;
  }
  EXPECT_EQ(server.session.head_under_way(), 0u);
  // The rest of one and the beginning of the next in one read.
  const std::string second = frame(FrameType::kHeaders, kEndHeaders | kEndStream, 3, block);
  const std::string third = frame(FrameType::kHeaders, kEndHeaders | kEndStream, 5, block);
  ASSERT_TRUE(server.session.feed(second.substr(0, 12)));
  EXPECT_EQ(server.session.head_under_way(), 2u);
  ASSERT_TRUE(server.session.feed(second.substr(12) + third.substr(0, 12)));
  EXPECT_EQ(server.session.head_under_way(), 3u);
  ASSERT_TRUE(server.session.feed(third.substr(12) + ping()));
  EXPECT_EQ(server.session.head_under_way(), 0u);
}

TEST(Endings, EndsAConnectionThatBreaksTheProtocol) {
  for (const Broken& broken : broken_frames()) {
    End server(Role::kServer, {});
    const bool first = broken.frames.empty();
    server.transcript.feed(first ? std::string(kMagic) + ping() : client_preface());
    if (!first) {
      EXPECT_FALSE(server.transcript.feed(broken.frames)) << broken.name;
    }
    const auto text = server.text();
    EXPECT_NE(text.find("failed invalid: "), text.npos) << broken.name << "\n" << text;
    EXPECT_NE(text.find("RFC 9113 §"), text.npos) << broken.name << "\n" << text;
    const auto out = all_output(server.session);
    const auto at = out.rfind(std::string("\x07\0\0\0\0\0", 6));
    ASSERT_NE(at, out.npos) << broken.name;
    EXPECT_EQ(out.substr(at + 10, 4), number(broken.code, 4)) << broken.name << "\n" << text;
    EXPECT_TRUE(server.session.is_over()) << broken.name;
  }
}

TEST(Endings, KnowsAtOnceThatAFrameIsTooLarge) {
  End server(Role::kServer, {});
  server.transcript.feed(client_preface());
  EXPECT_FALSE(server.transcript.feed(data(1, std::string(16'385, 'x')).substr(0, 9)));
  End other(Role::kServer, {});
  other.transcript.feed(client_preface() + frame(FrameType::kHeaders, 0, 1, section(get())));
  EXPECT_FALSE(other.transcript.feed(frame(FrameType::kContinuation, 0, 1, std::string(16'385, 'x')).substr(0, 9)));
}

TEST(Endings, RefusesPushesThatAProfileSeemsToAllow) {
  Options options;
  options.profile.settings = {{4, 100'000}};  // says nothing of ENABLE_PUSH
  End client(Role::kClient, options);
  ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));
  all_output(client.session);
  const auto promise = frame(FrameType::kPushPromise, kEndHeaders, 1, number(2, 4) + section(get()));
  ASSERT_TRUE(client.transcript.feed(settings() + settings_ack() + promise +
                                     headers(2, {{":status", "200"}}, kEndStream) +
                                     headers(1, {{":status", "200"}}, kEndStream)));
  EXPECT_NE(all_output(client.session).find(rst_stream(2, 8)), std::string::npos);
  EXPECT_EQ(client.text(), "settings 0\nhead 1 200 ended\n");
}

TEST(Endings, IgnoresFramesItDoesNotKnow) {
  End client(Role::kClient, {});
  ASSERT_TRUE(client.session.submit_request(kGet, {}, Body::kNone));
  all_output(client.session);
  const auto altsvc = frame(static_cast<FrameType>(0xa), 0, 0, number(9, 2) + "a.exampleh3=\":443\"");
  const auto origin = frame(static_cast<FrameType>(0xc), 0, 0, number(9, 2) + "a.example");
  const auto update = frame(static_cast<FrameType>(0x10), 0, 0, number(1, 4) + "u=1");
  const auto unknown = frame(static_cast<FrameType>(0xee), 0xff, 77, "whatever");
  ASSERT_TRUE(client.transcript.feed(settings() + altsvc + origin + update + unknown +
                                     headers(1, {{":status", "200"}}, kEndStream)));
  EXPECT_EQ(client.text(), "settings 0\nhead 1 200 ended\n");
}

TEST(Endings, TakesFramesThatCrossedAReset) {
  End server(Role::kServer, {});
  ASSERT_TRUE(server.transcript.feed(client_preface() + headers(1, post())));
  server.session.reset(1, ErrorCode::kCancel);
  all_output(server.session);
  ASSERT_TRUE(server.transcript.feed(data(1, "x") + window_update(1, 5) + headers(1, {{"x", "y"}}, kEndStream) +
                                     rst_stream(1, 8) + headers(3, get(), kEndStream)));
  EXPECT_TRUE(server.text().ends_with("reset 1 8 by us\nhead 3 GET / [host: a.example] scheme https ended\n"));
}

}  // namespace
}  // namespace sluice::http2

// What costs work and carries nothing: each attack ends its connection, and honest use does not.
#include <gtest/gtest.h>

#include <string>

#include "http2/handmade.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

using namespace handmade;

constexpr int kMany = 70'000;

std::string repeated(const std::string& frame, int times) {
  std::string out;
  out.reserve(frame.size() * static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i) out += frame;
  return out;
}

// How the connection ended, when all of `octets` came in reads of 16 KiB and every answer was written; or "".
std::string outcome(End& end, Bytes octets) {
  for (; !octets.empty(); octets.remove_prefix(std::min<std::size_t>(octets.size(), 16'384))) {
    const auto status = end.session.feed(octets.substr(0, 16'384));
    while (end.session.next()) {
    }
    if (!status) {
      std::string out;
      for (Bytes part = end.session.output(); !part.empty(); part = end.session.output()) out += part;
      EXPECT_NE(out.find(std::string("\x07\0\0\0\0\0", 6)), out.npos) << "no GOAWAY";
      EXPECT_TRUE(end.session.is_over());
      return std::string(to_string(status.error().code)) + ": " + status.error().message;
    }
    while (!end.session.output().empty()) {
    }
  }
  return "";
}

std::string outcome(const std::string& frames, const Options& options = {}) {
  End server(Role::kServer, options);
  return outcome(server, client_preface() + frames);
}

constexpr std::string_view kNothing = "too_large: the peer sends too many frames that carry nothing (RFC 9113 §10.5)";

TEST(Floods, OfFramesThatCarryNothing) {
  const std::string request = headers(1, post());
  EXPECT_EQ(outcome(repeated(ping(), kMany)), kNothing);
  EXPECT_EQ(outcome(repeated(settings(), kMany / 8)), kNothing);
  EXPECT_EQ(outcome(repeated(settings({{4, 1}, {4, 2}}), kMany / 8)), kNothing);
  EXPECT_EQ(outcome(repeated(priority(3, 0, 16), kMany)), kNothing);
  EXPECT_EQ(outcome(repeated(window_update(0, 1), kMany)), kNothing);
  EXPECT_EQ(outcome(request + repeated(window_update(1, 1), kMany)), kNothing);
  EXPECT_EQ(outcome(request + repeated(data(1, ""), kMany)), kNothing);
  EXPECT_EQ(outcome(repeated(frame(static_cast<FrameType>(0xbb), 0, 0, ""), kMany)), kNothing);
  EXPECT_EQ(outcome(repeated(goaway(0, 0), kMany / 8)), kNothing);
}

TEST(Floods, OfFramesThatNghttp2Ignores) {
  const std::string closed = headers(1, get(), kEndStream) + rst_stream(1, 8);
  EXPECT_EQ(outcome(closed + repeated(data(1, ""), kMany)), kNothing);
  EXPECT_EQ(outcome(closed + repeated(window_update(1, 1), kMany)), kNothing);
}

TEST(Floods, OfStreamsThatAreReset) {
  std::string frames;
  for (std::uint32_t id = 1; id < 4000; id += 2) frames += headers(id, get(), kEndStream) + rst_stream(id, 8);
  EXPECT_EQ(outcome(frames), "too_large: the peer resets streams faster than anybody needs (RFC 9113 §10.5)");
}

// CVE-2025-8671: the server is made to reset what it was asked for.
TEST(Floods, OfStreamsThatAreMadeToBeReset) {
  std::string frames;
  std::uint32_t id = 1;
  for (; id < 2'000; id += 2) frames += headers(id, get(), kEndStream) + window_update(id, 0x7fffffff);
  EXPECT_EQ(outcome(frames), kNothing);
}

TEST(Floods, OfSettingsInOneFrame) {
  Entries entries(33, {0x99, 1});
  EXPECT_EQ(
      outcome(settings(entries)),
      "too_large: the peer broke HTTP/2: ENHANCE_YOUR_CALM, SETTINGS: too many setting entries (RFC 9113 §5.4.1)");
}

TEST(Floods, OfStreamsBeyondTheLimit) {
  Options options;
  options.max_streams = 1;
  std::string frames = settings_ack() + headers(1, post());
  // Acknowledged, so that they are the connection's error (RFC 9113 §5.1.2 leaves it open).
  frames += headers(3, post());
  EXPECT_NE(outcome(frames, options), "");
  options.profile.settings = {{4, 100'000}};  // names no limit
  frames.clear();
  for (std::uint32_t id = 1; id < 20'000; id += 2) frames += headers(id, post());
  EXPECT_EQ(outcome(frames, options), kNothing);
  // Not acknowledged, so that nghttp2 refuses them without asking.
  EXPECT_EQ(outcome(frames), kNothing);
}

// Whatever it is that nobody reads: here refusals.
TEST(Floods, OfAnswersThatNobodyReads) {
  Options options;
  options.max_streams = 1;
  End server(Role::kServer, options);
  ASSERT_TRUE(server.session.feed(client_preface() + headers(1, post())));
  std::string error;
  for (std::uint32_t id = 3; id < 100'000 && error.empty(); id += 2) {
    if (auto status = server.session.feed(headers(id, post())); !status) error = status.error().message;
  }
  EXPECT_EQ(error, "the peer sends faster than it reads what is answered (RFC 9113 §10.5)");
}

TEST(Floods, OfMalformedRequests) {
  End server(Role::kServer, {});
  ASSERT_TRUE(server.session.feed(client_preface()));
  std::string error;
  for (std::uint32_t id = 1; id < 20'000 && error.empty(); id += 2) {
    if (auto status = server.session.feed(headers(id, {{"x", "y"}}, kEndStream)); !status)
      error = status.error().message;
    while (auto event = server.session.next()) {
      if (const auto* bad = std::get_if<Malformed>(&*event))
        server.session.reset(bad->stream, ErrorCode::kProtocolError);
    }
    while (!server.session.output().empty()) {
    }
  }
  EXPECT_EQ(error, "the peer sends too many frames that carry nothing (RFC 9113 §10.5)");
}

TEST(Floods, OfContinuations) {
  const std::string begin = frame(FrameType::kHeaders, 0, 1, section(get()));
  const std::string more = frame(FrameType::kContinuation, 0, 1, section({{"x", "y"}}));
  const std::string_view reason =
      "too_large: the peer continues a field section over too many frames (RFC 9113 §10.5.1)";
  EXPECT_EQ(outcome(begin + repeated(more, 41)), reason);
  EXPECT_EQ(outcome(begin + repeated(frame(FrameType::kContinuation, 0, 1, ""), 41)), reason);
  // On a stream that is not read, too.
  EXPECT_EQ(outcome(headers(1, get(), kEndStream) + rst_stream(1, 8) + begin + repeated(more, 41)), reason);
  const std::string end = frame(FrameType::kContinuation, kEndHeaders, 1, "");
  EXPECT_EQ(outcome(begin + repeated(more, 39) + end), "");
}

TEST(Floods, OfFieldsThatUnfold) {
  // One entry of 4,000 octets in the table, then named by one octet each time (RFC 7541 §6.1).
  const std::string entry = "\x40" + hpack_string("x") + hpack_string(std::string(4'000, 'x'));
  const std::string bomb = section(get()) + entry + std::string(12'000, '\xbe');
  EXPECT_EQ(outcome(frame(FrameType::kHeaders, kEndHeaders, 1, bomb)),
            "too_large: a field section unfolds to many times the limit (RFC 9113 §10.5.1)");
  // A smaller one can still be answered, and the table stays in step.
  End server(Role::kServer, {});
  const std::string small = section(get()) + entry + std::string(200, '\xbe');
  EXPECT_TRUE(server.transcript.feed(client_preface() + frame(FrameType::kHeaders, kEndHeaders | kEndStream, 1, small) +
                                     frame(FrameType::kHeaders, kEndHeaders | kEndStream, 3, section(get()) + "\xbe")));
  EXPECT_NE(server.text().find("malformed 1 head too large"), std::string::npos);
  EXPECT_NE(server.text().find("head 3 GET / [host: a.example] [x: xxx"), std::string::npos);
}

TEST(Floods, OfPingsWhoseAnswersNobodyReads) {
  End server(Role::kServer, {});
  ASSERT_TRUE(server.session.feed(client_preface()));
  std::string error;
  int pings = 0;
  for (; pings < 10'000 && error.empty(); ++pings) {
    if (auto status = server.session.feed(ping()); !status) error = status.error().message;
  }
  EXPECT_EQ(error, "the peer sends faster than it reads what is answered (RFC 9113 §10.5)");
  std::size_t waiting = 0;
  for (Bytes out = server.session.output(); !out.empty(); out = server.session.output()) waiting += out.size();
  EXPECT_LT(waiting, 100'000u);
}

TEST(Floods, OfCrumbsOfWindow) {
  End server(Role::kServer, {});
  server.source.content[1] = {std::string(1'000'000, 'x'), true, {}};
  ASSERT_TRUE(server.session.feed(client_preface() + settings({{4, 0}}) + headers(1, get(), kEndStream)));
  ASSERT_TRUE(server.session.submit_response(1, http::make_response(200), Body::kPulled));
  while (!server.session.output().empty()) {
  }
  std::string error;
  int crumbs = 0;
  for (; crumbs < 100'000 && error.empty(); ++crumbs) {
    if (auto status = server.session.feed(window_update(1, 1)); !status) error = status.error().message;
    while (!server.session.output().empty()) {
    }
  }
  EXPECT_EQ(error, "the peer sends too many frames that carry nothing (RFC 9113 §10.5)");
  EXPECT_LT(crumbs, 40'000);  // each costs twice
}

TEST(Floods, ThatAreNone) {
  // A client that reads a stream of small messages and answers each with two updates and a ping.
  End server(Role::kServer, {});
  auto& body = server.source.content[1] = {"", false, {}};
  ASSERT_TRUE(server.session.feed(client_preface() + headers(1, get(), kEndStream)));
  ASSERT_TRUE(server.session.submit_response(1, http::make_response(200), Body::kPulled));
  for (int i = 0; i < kMany; ++i) {
    body.octets = std::string(100, 'x');
    body.given = 0;
    server.session.resume(1);
    while (!server.session.output().empty()) {
    }
    ASSERT_TRUE(server.session.feed(window_update(0, 100) + window_update(1, 100))) << i;
  }
  // A page that goes away: all of its streams are cancelled, some times.
  std::string frames;
  for (std::uint32_t id = 3; id < 3 + 2 * 400; id += 2) frames += headers(id, get(), kEndStream) + rst_stream(id, 8);
  EXPECT_EQ(outcome(server, frames), "");
  // Small messages upwards.
  EXPECT_EQ(outcome(server, headers(1001, post()) + repeated(data(1001, "x") + ping(), 10'000)), "");
}

TEST(Floods, KeepNoMemoryOfWhatWasTaken) {
  End server(Role::kServer, {});
  // Six thousand events of one octet each in one read.
  const std::string frames = client_preface() + headers(1, post()) + repeated(data(1, "x"), 6'000);
  ASSERT_TRUE(server.session.feed(frames));
  int events = 0;
  while (server.session.next()) ++events;
  EXPECT_EQ(events, 6'002);
  EXPECT_FALSE(server.session.next());
}

}  // namespace
}  // namespace sluice::http2

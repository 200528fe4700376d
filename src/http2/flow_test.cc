// Windows: who waits for whom, and who does not.
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

struct Seen {
  FrameHeader header;
  std::string payload;
};
std::vector<Seen> frames_in(Bytes octets) {
  std::vector<Seen> seen;
  FrameScanner scanner(0);
  while (!octets.empty()) {
    const auto piece = scanner.take(octets);
    if (piece.begins) seen.push_back({scanner.header(), ""});
    seen.back().payload += piece.payload;
  }
  return seen;
}
std::uint32_t increment_for(Bytes octets, std::uint32_t stream) {
  std::uint32_t sum = 0;
  for (const auto& frame : frames_in(octets)) {
    if (frame.header.type != FrameType::kWindowUpdate || frame.header.stream != stream) continue;
    for (std::size_t i = 0, value = 0; i < 4; ++i) {
      value = value << 8 | static_cast<unsigned char>(frame.payload[i]);
      if (i == 3) sum += static_cast<std::uint32_t>(value);
    }
  }
  return sum;
}

// A server with a request on stream 1, whose SETTINGS were acknowledged.
struct Receiving {
  explicit Receiving(const Options& options = {}) : server(Role::kServer, options) {
    server.transcript.consumes = false;
    EXPECT_TRUE(server.transcript.feed(client_preface()));
    all_output(server.session);
    EXPECT_TRUE(server.transcript.feed(settings_ack() + headers(1, post())));
  }
  // In frames of 16,000.
  void send(std::size_t octets) {
    for (; octets > 0; octets -= std::min<std::size_t>(octets, 16'000)) {
      ASSERT_TRUE(server.transcript.feed(data(1, std::string(std::min<std::size_t>(octets, 16'000), 'x'))));
    }
  }
  End server;
};

TEST(Flow, ReturnsTheConnectionsWindowOnDelivery) {
  Options options;
  options.connection_window = 100'000;
  options.stream_window = 90'000;
  Receiving it(options);
  it.send(60'000);
  const auto out = all_output(it.server.session);
  EXPECT_GE(increment_for(out, 0), 50'000u);
  EXPECT_EQ(increment_for(out, 1), 0u);  // nobody read it
}

TEST(Flow, ReturnsAStreamsWindowWhenItWasConsumed) {
  Receiving it;
  it.send(60'000);
  EXPECT_EQ(increment_for(all_output(it.server.session), 1), 0u);
  it.server.session.consumed(1, 60'000);
  EXPECT_EQ(increment_for(all_output(it.server.session), 1), 60'000u);
  it.server.session.consumed(1, 1'000'000);  // more than there was
  it.server.session.consumed(99, 1);
  EXPECT_EQ(increment_for(all_output(it.server.session), 1), 0u);
}

TEST(Flow, GrowsTheWindowOfAStreamThatIsReadInTime) {
  Options options;
  options.stream_window_max = 300 * 1024;
  Receiving it(options);
  std::uint64_t window = 64 * 1024, sent = 0;
  for (int i = 0; i < 200; ++i) {
    it.send(10'000);
    it.server.session.consumed(1, 10'000);
    sent += 10'000;
    window += increment_for(all_output(it.server.session), 1);
  }
  EXPECT_LE(window - sent, options.stream_window_max);
  EXPECT_GT(window - sent, options.stream_window_max / 2);
}

TEST(Flow, LeavesTheWindowOfASlowReaderAsItIs) {
  Receiving it;
  std::uint64_t window = 64 * 1024, sent = 0;
  it.send(20'000);  // and these stay
  sent += 20'000;
  for (int i = 0; i < 200; ++i) {
    it.send(5'000);
    it.server.session.consumed(1, 5'000);
    sent += 5'000;
    window += increment_for(all_output(it.server.session), 1);
  }
  EXPECT_LE(window - sent + 20'000, 64u * 1024);
}

TEST(Flow, EndsAStreamThatOverrunsItsWindow) {
  Receiving it;
  it.send(64 * 1024 + 1);
  const auto out = all_output(it.server.session);
  it.server.transcript.drain();
  EXPECT_NE(out.find(rst_stream(1, 3)), out.npos);
  EXPECT_TRUE(it.server.text().ends_with("reset 1 3 by us\n"));
  EXPECT_TRUE(it.server.transcript.feed(headers(3, get(), kEndStream)));  // the others go on
}

TEST(Flow, PassesPaddingByWithoutATrace) {
  Receiving it;
  for (int i = 0; i < 2000; ++i) {
    const std::string padded = std::string(1, '\xff') + "x" + std::string(255, '\0');
    ASSERT_TRUE(it.server.transcript.feed(data(1, padded, kPadded)));
    it.server.session.consumed(1, 1);
    all_output(it.server.session);
  }
  EXPECT_TRUE(it.server.text().ends_with("data 1 [" + std::string(2000, 'x') + "]\n"));
}

TEST(Flow, SendsAsWindowsAllow) {
  Pair pair;
  pair.server.source.content[1] = {std::string(500'000, 'a'), true, {}};
  pair.client.transcript.consumes = false;
  ASSERT_TRUE(pair.client.session.submit_request(http::make_request("GET", "/", {{"host", "a"}}), {}, Body::kNone));
  ASSERT_TRUE(pair.talk());
  ASSERT_TRUE(pair.server.session.submit_response(1, http::make_response(200), Body::kPulled));
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.server.source.content[1].given, 64u * 1024);
  pair.client.session.consumed(1, 64 * 1024);
  ASSERT_TRUE(pair.talk());
  EXPECT_GT(pair.server.source.content[1].given, 100'000u);
}

// engine.md: a held stream never stops its siblings.
TEST(Flow, AHundredStreamsOneHeldOneSlowOneReset) {
  Options options;
  options.connection_window = 200'000;  // far less than all of them want
  Pair pair(options, options);
  constexpr int kStreams = 100;
  constexpr std::size_t kSize = 100'000;
  const StreamId held = 1, slow = 3, gone = 5;
  pair.client.transcript.consumes = false;
  for (int i = 0; i < kStreams; ++i) {
    const auto id =
        pair.client.session.submit_request(http::make_request("GET", "/", {{"host", "a"}}), {}, Body::kNone);
    ASSERT_TRUE(id);
    pair.server.source.content[*id] = {std::string(kSize, static_cast<char>('a' + i % 26)), true, {}};
  }
  ASSERT_TRUE(pair.talk());
  std::map<StreamId, std::size_t> received;
  std::map<StreamId, bool> ended;
  for (StreamId id = 1; id < 2 * kStreams; id += 2) {
    ASSERT_TRUE(pair.server.session.submit_response(id, http::make_response(200), Body::kPulled));
  }
  for (int round = 0; round < 1000 && ended.size() < kStreams - 2; ++round) {
    for (Bytes out = pair.server.session.output(); !out.empty(); out = pair.server.session.output()) {
      ASSERT_TRUE(pair.client.session.feed(std::string(out)));
      while (auto event = pair.client.session.next()) {
        if (const auto* data_read = std::get_if<DataRead>(&*event)) {
          received[data_read->stream] += data_read->content.size();
          if (data_read->stream == gone) {
            pair.client.session.reset(gone, ErrorCode::kCancel);
          } else if (data_read->stream == slow) {
            pair.client.session.consumed(slow, 100);
          } else if (data_read->stream != held) {
            pair.client.session.consumed(data_read->stream, data_read->content.size());
          }
        } else if (const auto* end = std::get_if<StreamEnded>(&*event)) {
          ended[end->stream] = true;
        }
      }
    }
    for (Bytes out = pair.client.session.output(); !out.empty(); out = pair.client.session.output()) {
      ASSERT_TRUE(pair.server.session.feed(std::string(out)));
      while (pair.server.session.next()) {
      }
    }
  }
  EXPECT_FALSE(ended[held]);
  EXPECT_FALSE(ended[slow]);
  EXPECT_FALSE(ended[gone]);
  EXPECT_EQ(received[held], 64u * 1024);
  for (StreamId id = 7; id < 2 * kStreams; id += 2) {
    EXPECT_TRUE(ended[id]) << id;
    EXPECT_EQ(received[id], kSize) << id;
  }
  EXPECT_FALSE(pair.server.session.is_open(gone));
  EXPECT_EQ(pair.client.session.open_streams(), 2u);
}

TEST(Flow, GathersManyFramesForOneWrite) {
  Options wide;
  wide.stream_window = wide.stream_window_max = 1024 * 1024;
  Pair pair(wide, wide);
  pair.client.source.content[1] = {std::string(400'000, 'q'), true, {}};
  ASSERT_TRUE(pair.talk());
  ASSERT_TRUE(pair.client.session.submit_request(http::make_request("POST", "/", {{"host", "a"}}), {}, Body::kPulled));
  std::size_t writes = 0;
  for (Bytes out = pair.client.session.output(); !out.empty(); out = pair.client.session.output()) {
    EXPECT_LT(out.size(), 64u * 1024 + 16'384 + 9);
    ++writes;
  }
  EXPECT_LE(writes, 8u);
  EXPECT_EQ(pair.client.source.content[1].given, 400'000u);
}

TEST(Flow, PullsNothingWhileTheWindowIsShut) {
  End client(Role::kClient, {});
  client.source.content[1] = {std::string(100'000, 'x'), true, {}};
  ASSERT_TRUE(client.transcript.feed(settings({{4, 0}})));
  ASSERT_TRUE(client.session.submit_request(http::make_request("POST", "/", {{"host", "a"}}), {}, Body::kPulled));
  all_output(client.session);
  EXPECT_EQ(client.source.pulls, 0u);
  ASSERT_TRUE(client.transcript.feed(window_update(1, 10)));
  all_output(client.session);
  EXPECT_EQ(client.source.content[1].given, 10u);
}

TEST(Flow, DropsWhatWasQueuedForAStreamThatIsReset) {
  Receiving it;
  std::string part = data(1, "late") + headers(3, get(), kEndStream) + data(1, "later", kEndStream);
  ASSERT_TRUE(it.server.session.feed(part));
  it.server.session.reset(1, ErrorCode::kCancel);
  it.server.session.reset(1, ErrorCode::kCancel);  // once is enough
  it.server.transcript.drain();
  const auto text = it.server.text();
  EXPECT_EQ(text.find("late"), text.npos);
  EXPECT_TRUE(text.ends_with("head 3 GET / [host: a.example] scheme https ended\nreset 1 8 by us\n")) << text;
  EXPECT_NE(all_output(it.server.session).find(rst_stream(1, 8)), std::string::npos);
  EXPECT_FALSE(it.server.session.is_open(1));
}

TEST(Flow, WritesNothingMoreOfAStreamThatIsReset) {
  Pair pair;
  pair.client.source.content[1] = {std::string(10'000, 'x'), true, {}};
  ASSERT_TRUE(pair.client.session.submit_request(http::make_request("POST", "/", {{"host", "a"}}), {}, Body::kPulled));
  pair.client.session.reset(1, ErrorCode::kCancel);  // before anything was written
  ASSERT_TRUE(pair.talk());
  EXPECT_EQ(pair.server.text(), "settings 0\n");
  EXPECT_EQ(pair.client.source.pulls, 0u);
  EXPECT_EQ(pair.client.session.open_streams(), 0u);
}

}  // namespace
}  // namespace sluice::http2

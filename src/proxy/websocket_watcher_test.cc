// What the record says of a WebSocket whose octets come in any parts.
#include "proxy/websocket_watcher.h"

#include "proxy/websocket_test_world.h"

namespace sluice::proxy {
namespace {

using http::Anomaly;
using http::bit;

class WebSocketWatcherTest : public WebSocketWorld {};

TEST_F(WebSocketWatcherTest, RecordsMessagesAndControlFramesAtTheirPlaces) {
  upgrade();
  const std::string from_client = masked(Opcode::kText, "first") + masked(Opcode::kPing, "there?") +
                                  masked(Opcode::kBinary, "sec", false) + masked(Opcode::kPong, "") +
                                  masked(Opcode::kContinuation, "ond") + masked(Opcode::kClose, Bytes("\x03\xe8ok", 4));
  const std::string from_server = plain(Opcode::kPong, "there?") + plain(Opcode::kText, "") +
                                  plain(Opcode::kText, "answer") + plain(Opcode::kClose, "");
  watcher_->see(Direction::kRequest, from_client);
  EXPECT_TRUE(watcher_->has_closed(Direction::kRequest));
  EXPECT_FALSE(watcher_->has_closed_both());
  watcher_->see(Direction::kResponse, from_server);
  EXPECT_TRUE(watcher_->has_closed_both());
  watcher_->ended(Direction::kRequest);
  watcher_->ended(Direction::kResponse);
  EXPECT_EQ(messages(),
            "client 1 [first]\nclient 9 [there?]\nclient 10 []\nclient 2 [second]\nclient 8 [\x03\xe8ok]\n"
            "server 10 [there?]\nserver 1 []\nserver 1 [answer]\nserver 8 []\n");
  EXPECT_EQ(record().request_body, "firstsecond");
  EXPECT_EQ(record().response_body, "answer");
  EXPECT_EQ(record().anomalies, 0u);
  EXPECT_EQ(record().messages[0].seen.at, clock_.wall());
}

TEST_F(WebSocketWatcherTest, SaysTheSameWhereverTheOctetsAreCut) {
  const std::string octets = masked(Opcode::kText, "one message", false) + masked(Opcode::kPing, "p") +
                             masked(Opcode::kContinuation, std::string(200, 'x')) +
                             masked(Opcode::kBinary, std::string(9'000, 'y')) + masked(Opcode::kText, "cut", false);
  std::string expected;
  for (std::size_t part = octets.size(); part > 0; part = part > 40 ? part / 3 : part - 1) {
    for (const bool in_place : {false, true}) {
      upgrade();
      for (std::size_t at = 0; at < octets.size(); at += part) {
        std::string now = octets.substr(at, part);
        if (in_place) {
          watcher_->see_sent(Direction::kRequest, now);
        } else {
          watcher_->see(Direction::kRequest, now);
          ASSERT_EQ(now, octets.substr(at, part));
        }
      }
      watcher_->ended(Direction::kRequest);
      if (expected.empty()) expected = messages();
      ASSERT_EQ(messages(), expected) << part;
    }
  }
  EXPECT_TRUE(expected.ends_with("client 1 cut [cut]\n"));
}

TEST_F(WebSocketWatcherTest, RecordsCompressedMessagesAsTheyTravelled) {
  upgrade("permessage-deflate");
  watcher_->see(Direction::kRequest, masked(Opcode::kText, "\xf2\x48\xcd", false, websocket::kRsv1));
  watcher_->see(Direction::kRequest, masked(Opcode::kContinuation, Bytes("\xc9\xc9\x07\0", 4)));
  EXPECT_EQ(messages(), std::string("client 1 compressed [\xf2\x48\xcd\xc9\xc9\x07\0]\n", 30));
  EXPECT_EQ(record().anomalies, 0u);
}

TEST_F(WebSocketWatcherTest, GoesOnRawBehindAFrameThatBreaksTheProtocol) {
  const std::string good = plain(Opcode::kText, "good");
  const std::string begun = plain(Opcode::kText, "begun", false);
  const std::string bad("\x83\x04what", 6), after = plain(Opcode::kText, "after");
  for (std::size_t cut = 0; cut <= bad.size(); ++cut) {
    upgrade();
    watcher_->see(Direction::kResponse, good + begun + bad.substr(0, cut));
    watcher_->see(Direction::kResponse, bad.substr(cut) + after);
    std::string more = after;
    watcher_->see_sent(Direction::kResponse, more);
    watcher_->see(Direction::kRequest, masked(Opcode::kText, "the other direction"));
    watcher_->ended(Direction::kResponse);
    EXPECT_EQ(messages(), "server 1 [good]\nserver 1 cut [begun]\nclient 1 [the other direction]\n");
    EXPECT_EQ(record().response_body, "goodbegun" + bad + after + after) << cut;
    EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketError));
  }
}

TEST_F(WebSocketWatcherTest, ReadsNoUnmaskedFrameOfAClient) {
  upgrade();
  const std::string frame = plain(Opcode::kText, "not masked");
  watcher_->see(Direction::kRequest, frame);
  EXPECT_EQ(messages(), "");
  EXPECT_EQ(record().request_body, frame);
  EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketError));
}

TEST_F(WebSocketWatcherTest, MarksWhatIsOnlyOdd) {
  upgrade();
  watcher_->see(Direction::kResponse, masked(Opcode::kText, "a masked server"));
  EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketOdd));
  EXPECT_EQ(messages(), "server 1 [a masked server]\n");
  upgrade();
  watcher_->see(Direction::kResponse, plain(Opcode::kText, "\xff"));
  EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketText));
}

TEST_F(WebSocketWatcherTest, GoesByWhatTheAnswerAgreedTo) {
  upgrade();  // no extension
  watcher_->see(Direction::kResponse, plain(Opcode::kText, "x", true, websocket::kRsv1));
  EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketError));
  upgrade("x-of-their-own; a=b");
  watcher_->see(Direction::kResponse, plain(Opcode::kText, "x", true, websocket::kRsv2));
  EXPECT_EQ(messages(), "server 1 [x]\n");
  EXPECT_EQ(record().anomalies, 0u);
  upgrade("permessage-deflate; server_max_window_bits=99");  // a client would fail; these two went on
  watcher_->see(Direction::kResponse, plain(Opcode::kText, "x", true, websocket::kRsv1));
  EXPECT_EQ(messages(), "server 1 compressed [x]\n");
  EXPECT_EQ(record().anomalies, bit(Anomaly::kWebSocketOdd));
}

TEST_F(WebSocketWatcherTest, SaysThatAnEndCameInsideAMessageOrFrame) {
  upgrade();
  watcher_->see(Direction::kRequest, masked(Opcode::kText, "begun", false));
  watcher_->see(Direction::kResponse, plain(Opcode::kPing, "ping").substr(0, 4));
  watcher_->ended(Direction::kRequest);
  watcher_->ended(Direction::kResponse);
  EXPECT_EQ(messages(), "client 1 cut [begun]\n");
  EXPECT_EQ(record().anomalies, bit(Anomaly::kTruncatedBody));
}

TEST_F(WebSocketWatcherTest, IsSmallEnoughForTenThousandIdleOnes) { EXPECT_LE(sizeof(WebSocketWatcher), 1024u); }

}  // namespace
}  // namespace sluice::proxy

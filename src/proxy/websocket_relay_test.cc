// The relay over streams in memory: what arrives on the other side and when, and how it all ends.
#include "proxy/websocket_relay.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "net/memory_stream.h"
#include "proxy/websocket_test_world.h"

namespace sluice::proxy {
namespace {

class WebSocketRelayTest : public WebSocketWorld {
 protected:
  void start(std::size_t capacity = 64 * 1024, std::size_t slice = SIZE_MAX) {
    upgrade();
    std::tie(client_, client_near_) = net::MemoryStream::pair(io_.get_executor(), capacity);
    std::tie(origin_, origin_near_) = net::MemoryStream::pair(io_.get_executor(), capacity);
    client_near_->set_slice(slice);
    origin_near_->set_slice(slice);
    const auto relay = [this]() -> net::Task<void> {
      end_ = co_await relay_websocket(*client_near_, *origin_near_, *watcher_, options_);
    };
    net::asio::co_spawn(io_, relay, [](std::exception_ptr bug) { EXPECT_FALSE(bug); });
    turn();
  }
  void turn() {
    io_.restart();
    io_.poll();
  }
  // All that can be read now, and how it stands then.
  std::string take(net::MemoryStream& from) {
    std::string got;
    for (;;) {
      char space[4096];
      const tls::IoResult read = from.read(space);
      if (read.status == tls::IoStatus::kOk) {
        got.append(space, read.count);
        turn();
        continue;
      }
      if (read.status == tls::IoStatus::kEof) got += "<end>";
      if (read.status == tls::IoStatus::kError) got += "<reset>";
      return got;
    }
  }
  std::string pass(net::MemoryStream& from, net::MemoryStream& to, Bytes octets) {
    std::string got;
    while (!octets.empty()) {
      octets.remove_prefix(from.write(octets).count);
      turn();
      got += take(to);
    }
    return got;
  }
  std::string to_origin(Bytes octets) { return pass(*client_, *origin_, octets); }
  std::string to_client(Bytes octets) { return pass(*origin_, *client_, octets); }

  net::asio::io_context io_{1};
  std::unique_ptr<net::MemoryStream> client_, client_near_, origin_, origin_near_;
  net::Deadlines deadlines_;
  Timeouts timeouts_;
  WebSocketRelayOptions options_{sink_, deadlines_, timeouts_};
  std::optional<WebSocketEnd> end_;
};

TEST_F(WebSocketRelayTest, PassesOctetsAsTheyStandBeforeTheirFrameIsWhole) {
  start();
  const std::string frame = masked(Opcode::kText, "a text of the client's");
  for (const char octet : frame) EXPECT_EQ(to_origin(Bytes(&octet, 1)), std::string(1, octet));
  const std::string answer = plain(Opcode::kText, "an answer");
  EXPECT_EQ(to_client(answer.substr(0, 3)), answer.substr(0, 3));
  EXPECT_EQ(to_client(answer.substr(3)), answer.substr(3));
  EXPECT_FALSE(end_);
  client_->close();
  origin_->close();
  turn();
  ASSERT_TRUE(end_);
  EXPECT_EQ(messages(), "client 1 [a text of the client's]\nserver 1 [an answer]\n");
}

TEST_F(WebSocketRelayTest, PassesAtAnySpeed) {
  std::string large;
  for (int i = 0; i < 60'000; ++i) large += std::to_string(i);
  for (const std::size_t capacity : {64 * 1024, 5'000, 100}) {
    for (const std::size_t slice : {SIZE_MAX, std::size_t{777}}) {
      end_.reset();
      start(capacity, slice);
      const std::string up = masked(Opcode::kBinary, large) + masked(Opcode::kText, "behind");
      const std::string down = plain(Opcode::kBinary, large);
      ASSERT_TRUE(to_origin(up) == up);
      ASSERT_TRUE(to_client(down) == down);
      client_->close_write();
      origin_->close_write();
      turn();
      ASSERT_TRUE(end_);
      EXPECT_TRUE(end_->status);
      EXPECT_TRUE(record().request_body == large + "behind") << capacity << " " << slice;
      EXPECT_TRUE(record().response_body == large);
      ASSERT_EQ(record().messages.size(), 3u);
      EXPECT_EQ(record().messages[1].seen.offset, large.size());
    }
  }
}

TEST_F(WebSocketRelayTest, ReadsNoMoreThanASlowReceiverTakes) {
  start(10'000);
  const std::string frame = masked(Opcode::kBinary, std::string(1'000'000, 'x'));
  std::size_t taken = 0;
  for (int i = 0; i < 50; ++i) {
    taken += client_->write(Bytes(frame).substr(taken)).count;
    turn();
  }
  EXPECT_LE(taken, 40'000u);                                                 // both pipes, and one read between them
  EXPECT_EQ(to_client(plain(Opcode::kPing, "")), plain(Opcode::kPing, ""));  // the other direction is free
  origin_->reset();
  turn();
  EXPECT_TRUE(end_);
}

TEST_F(WebSocketRelayTest, ClosesEachDirectionOnItsOwn) {
  start();
  std::string close;
  append_close(close, 1000, "done", std::nullopt);
  EXPECT_EQ(to_client(close), close);
  origin_->close_write();
  turn();
  EXPECT_EQ(take(*client_), "<end>");
  EXPECT_FALSE(end_);
  close.clear();
  append_close(close, 1000, "", kTestKey);
  EXPECT_EQ(to_origin(close), close);
  client_->close_write();
  turn();
  EXPECT_EQ(take(*origin_), "<end>");
  ASSERT_TRUE(end_);
  EXPECT_TRUE(end_->status);
  EXPECT_EQ(messages(),
            "server 8 [\x03\xe8"
            "done]\nclient 8 [\x03\xe8]\n");
}

TEST_F(WebSocketRelayTest, ACutBeforeAnyCloseIsAFailureOfTheSideThatCut) {
  for (const bool client : {true, false}) {
    end_.reset();
    start();
    to_origin(masked(Opcode::kText, "begun", false));
    (client ? client_ : origin_)->reset();
    turn();
    ASSERT_TRUE(end_);
    EXPECT_FALSE(end_->status);
    EXPECT_EQ(end_->client_failed, client);
    EXPECT_EQ(take(client ? *origin_ : *client_), "<reset>");
    watcher_->ended(Direction::kRequest);
    EXPECT_EQ(messages(), "client 1 cut [begun]\n");
  }
}

TEST_F(WebSocketRelayTest, ACutAfterACloseHarmsNobody) {
  for (const bool client : {true, false}) {
    end_.reset();
    start();
    to_origin(masked(Opcode::kClose, ""));
    (client ? client_ : origin_)->reset();
    turn();
    ASSERT_TRUE(end_);
    EXPECT_TRUE(end_->status);
  }
}

TEST_F(WebSocketRelayTest, FramesThatBreakTheProtocolPassAsWell) {
  start();
  const std::string bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff not a frame", 22);
  EXPECT_EQ(to_origin(bad), bad);
  EXPECT_EQ(to_origin("more"), "more");
  EXPECT_EQ(to_client(bad), bad);
  client_->close();
  origin_->close();
  turn();
  ASSERT_TRUE(end_);
  EXPECT_TRUE(end_->status);
  EXPECT_EQ(record().request_body, bad + "more");
  EXPECT_EQ(record().response_body, bad);
}

TEST_F(WebSocketRelayTest, EndsWhenItIsToldTo) {
  start();
  client_near_->cancel(Code::kCancelled);
  turn();
  ASSERT_TRUE(end_);
  ASSERT_FALSE(end_->status);
  EXPECT_EQ(end_->status.error().code, Code::kCancelled);
  EXPECT_EQ(take(*origin_), "<reset>");
}

}  // namespace
}  // namespace sluice::proxy

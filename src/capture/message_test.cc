// WebSocket messages: reported by a worker, read back by anyone.
#include <gtest/gtest.h>

#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

using flow::Direction;

class MessageTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(open());
    start();
  }
  void reopen() {
    ring.reset();
    ASSERT_TRUE(open());
    start();
  }
  void start() {
    sent_ = received_ = 0;
    socket_ = begin({.target = "/socket"});
    respond(socket_, {.status = 101});
    ring->pump();
    id_ = ring->list({.states = {flow::State::kOpen}}, 0, 1).exchanges.at(0).id;
  }
  void say(Direction direction, Bytes payload, std::uint8_t opcode = 1) {
    ByteCount& passed = direction == Direction::kRequest ? sent_ : received_;
    sink().body(socket_, direction, payload);
    sink().message(
        socket_,
        {.direction = direction, .opcode = opcode, .offset = passed, .length = payload.size(), .at = clock.wall()});
    passed += payload.size();
  }
  MessagePage page(std::int64_t offset, std::size_t limit, ByteCount payload = UINT64_MAX) {
    auto page = ring->messages(id_, offset, limit, payload);
    EXPECT_TRUE(page);
    return page.value_or(MessagePage());
  }
  std::vector<std::string> texts(std::int64_t offset, std::size_t limit) {
    std::vector<std::string> found;
    for (const Message& message : page(offset, limit).messages) found.push_back(message.octets);
    return found;
  }
  using Texts = std::vector<std::string>;

  ExchangeSeq socket_;
  std::string id_;
  ByteCount sent_ = 0, received_ = 0;
};

TEST_F(MessageTest, AreListedInTheOrderOfTheirEndsWithTheirPayloads) {
  say(Direction::kRequest, "hello");
  clock.advance(std::chrono::seconds(3));
  say(Direction::kResponse, "world", 2);
  sink().message(socket_, {.direction = Direction::kResponse, .opcode = 9, .at = clock.wall(), .control = "ping"});
  say(Direction::kRequest, "");
  sink().body(socket_, Direction::kRequest, "half of it");
  sink().message(socket_, {.direction = Direction::kRequest,
                           .opcode = 2,
                           .compressed = true,
                           .complete = false,
                           .offset = 5,
                           .length = 10,
                           .at = clock.wall()});
  ring->pump();
  const MessagePage found = page(0, 100);
  EXPECT_EQ(found.total, 5u);
  ASSERT_EQ(found.messages.size(), 5u);
  EXPECT_EQ(texts(0, 100), (Texts{"hello", "world", "ping", "", "half of it"}));
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(found.messages[i].number, i);
  EXPECT_EQ(found.messages[0].direction, Direction::kRequest);
  EXPECT_EQ(found.messages[1].direction, Direction::kResponse);
  EXPECT_EQ(found.messages[1].opcode, 2);
  EXPECT_EQ(found.messages[1].at - found.messages[0].at, std::chrono::seconds(3));
  EXPECT_EQ(found.messages[2].opcode, 9);
  EXPECT_EQ(found.messages[2].length, 4u);
  EXPECT_EQ(found.messages[2].stored, 4u);
  EXPECT_FALSE(found.messages[3].compressed);
  EXPECT_TRUE(found.messages[3].complete);
  EXPECT_TRUE(found.messages[4].compressed);
  EXPECT_FALSE(found.messages[4].complete);
  EXPECT_EQ(found.messages[4].offset, 5u);
  const auto slice = ring->read_body(id_, Direction::kRequest, found.messages[4].offset + 8, 100);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->octets, "it");
}

TEST_F(MessageTest, PagesFromEitherEndAndCutsPayloads) {
  for (int i = 0; i < 10; ++i) {
    say(i % 2 == 0 ? Direction::kRequest : Direction::kResponse, std::to_string(i) + "-payload");
    if (i % 3 == 0) ring->pump();
  }
  ring->pump();
  EXPECT_EQ(texts(3, 2), (Texts{"3-payload", "4-payload"}));
  EXPECT_EQ(texts(-2, 5), (Texts{"8-payload", "9-payload"}));
  EXPECT_EQ(texts(-100, 1), (Texts{"0-payload"}));
  EXPECT_EQ(texts(100, 1), Texts{});
  EXPECT_EQ(page(0, 0).total, 10u);
  EXPECT_EQ(page(0, SIZE_MAX).messages.size(), 10u);
  const MessagePage cut = page(-1, 1, 3);
  ASSERT_EQ(cut.messages.size(), 1u);
  EXPECT_EQ(cut.offset, 9u);
  EXPECT_EQ(cut.messages[0].octets, "9-p");
  EXPECT_EQ(cut.messages[0].length, 9u);
  EXPECT_EQ(cut.messages[0].stored, 9u);
}

TEST_F(MessageTest, OfNoExchangeOrOfNoSocketAreNone) {
  EXPECT_EQ(ring->messages("nonsense", 0, 1, 1).error().code, Code::kNotFound);
  exchange({.target = "/plain"});
  ring->pump();
  const auto none = ring->messages(all().exchanges.at(0).id, -5, 10, 10);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->total, 0u);
}

TEST_F(MessageTest, TakeNoMemoryWhileTheyTrickleIn) {
  ring->pump();
  const ByteCount before = ring->counters().memory_bytes;
  for (int i = 0; i < 20'000; ++i) {
    say(Direction::kResponse, "event " + std::to_string(i));
    if (i % 50 == 0) ring->pump();
  }
  ring->pump();
  EXPECT_LT(ring->counters().memory_bytes, before + 2'000);
  EXPECT_EQ(texts(12'345, 2), (Texts{"event 12345", "event 12346"}));
  EXPECT_EQ(page(0, 1).total, 20'000u);
}

TEST_F(MessageTest, TheNewestStayWhenOldSegmentsGo) {
  options.limits.spool_disk = 4 * kMiB;
  reopen();
  for (int i = 0; i < 60; ++i) {
    say(Direction::kResponse, std::string(100'000, static_cast<char>('a' + i % 26)));
    exchange({.response_body = std::string(50'000, '#')});
    ring->pump();
  }
  const MessagePage found = page(0, 100);
  EXPECT_EQ(found.total, 60u);
  ASSERT_GT(found.messages.size(), 20u);
  ASSERT_LT(found.messages.size(), 35u);
  EXPECT_EQ(found.messages.back().number, 59u);
  for (const Message& message : found.messages) {
    if (message.stored < message.length) {
      EXPECT_EQ(message.number, found.messages.front().number);  // its beginning stood in a segment that is gone
      continue;
    }
    EXPECT_TRUE(message.octets == std::string(100'000, static_cast<char>('a' + message.number % 26)));
  }
}

TEST_F(MessageTest, ThoseWhosePayloadWasCutSaySo) {
  options.limits.max_body = 8;
  reopen();
  say(Direction::kRequest, "12345");
  say(Direction::kRequest, "67890");
  say(Direction::kRequest, "abcde");
  ring->pump();
  const MessagePage found = page(0, 10);
  ASSERT_EQ(found.messages.size(), 3u);
  EXPECT_EQ(texts(0, 10), (Texts{"12345", "678", ""}));
  EXPECT_EQ(found.messages[1].stored, 3u);
  EXPECT_EQ(found.messages[1].length, 5u);
  EXPECT_EQ(found.messages[2].stored, 0u);
}

// A socket lives long: one moment without room must not be the end of what is kept of it.
TEST_F(MessageTest, AfterAGapLaterOnesAreKeptAgain) {
  say(Direction::kResponse, "one");
  ring->pump();
  // Without a free chunk the worker cuts; without room in the queue too.
  sink().body(socket_, Direction::kResponse, "tw");
  std::vector<ExchangeSeq> noise;
  for (std::size_t i = 0; i < options.queue * 3 / 4; ++i) sink().body(socket_, Direction::kRequest, "x");
  sink().body(socket_, Direction::kResponse, "o");  // the queue is full for bodies
  received_ += 3;
  sink().message(socket_, {.direction = Direction::kResponse, .opcode = 1, .offset = 3, .length = 3});
  ring->pump();
  say(Direction::kResponse, "three");
  ring->pump();
  EXPECT_EQ(texts(0, 10), (Texts{"one", "tw", "three"}));
  const MessagePage found = page(0, 10);
  EXPECT_EQ(found.messages[1].length, 3u);
  EXPECT_EQ(found.messages[1].stored, 2u);
  EXPECT_EQ(found.messages[2].stored, 5u);
  const auto slice = ring->read_body(id_, Direction::kResponse, 6, 100);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->octets, "three");
  EXPECT_EQ(slice->size, 11u);
  EXPECT_EQ(slice->stored, 10u);
  EXPECT_FALSE(slice->complete);
  EXPECT_EQ(ring->read_body(id_, Direction::kResponse, 0, 100)->octets, "onetw");  // up to the gap
  EXPECT_EQ(ring->counters().bodies_cut, 1u);
  EXPECT_EQ(ring->counters().bytes_cut, 1u);
}

// max_body bounds what is kept at a time: what left the spool counts no more.
TEST_F(MessageTest, ALongLivedSocketIsKeptBeyondTheLimitOfABody) {
  options.limits.spool_disk = 4 * kMiB;
  options.limits.max_body = 5 * kMiB;
  reopen();
  for (int i = 0; i < 150; ++i) {
    say(Direction::kResponse, std::string(100'000, static_cast<char>('a' + i % 26)));
    ring->pump();
  }
  const MessagePage found = page(-5, 5);
  ASSERT_EQ(found.messages.size(), 5u);
  for (const Message& message : found.messages) {
    EXPECT_TRUE(message.octets == std::string(100'000, static_cast<char>('a' + message.number % 26)));
  }
  EXPECT_EQ(ring->counters().bodies_cut, 0u);
  EXPECT_LT(ring->counters().memory_bytes, 10'000u);
  EXPECT_EQ(ring->read_body(id_, Direction::kResponse, 0, 1).error().code, Code::kNotFound);
}

TEST_F(MessageTest, WhatTheDiskRefusesIsAGapOnly) {
  say(Direction::kResponse, "before");
  exchange({.response_body = std::string(300'000, '#')});
  ring->pump();
  disk.set_capacity(disk.stored());
  say(Direction::kResponse, "refused");
  exchange({.response_body = std::string(300'000, '#')});
  ring->pump();
  disk.heal();
  clock.advance(std::chrono::seconds(2));
  say(Direction::kResponse, "marks the gap");
  say(Direction::kResponse, "after");
  ring->pump();
  EXPECT_EQ(page(0, 10).total, 4u);
  EXPECT_EQ(texts(0, 10), (Texts{"before", "", "after"}));
}

TEST_F(MessageTest, NumbersGoOnWhenTheDiskSaysNo) {
  say(Direction::kRequest, "before");
  exchange({.response_body = std::string(300'000, '#')});  // fills the chunk: it is written
  ring->pump();
  disk.set_capacity(disk.stored());
  say(Direction::kRequest, "lost");
  exchange({.response_body = std::string(300'000, '#')});
  ring->pump();
  disk.heal();
  clock.advance(std::chrono::seconds(2));
  sink().message(socket_, {.opcode = 10, .control = "after"});
  ring->pump();
  const MessagePage found = page(0, 10);
  EXPECT_EQ(found.total, 3u);
  ASSERT_EQ(found.messages.size(), 2u);
  EXPECT_EQ(found.messages[1].number, 2u);
  EXPECT_EQ(texts(0, 10), (Texts{"before", "after"}));
}

// A socket that says more than can be written down leaves room for others, and says that it did not keep all.
TEST_F(MessageTest, AFloodCostsItsOwnMessagesAndSaysSo) {
  options.queue = 64;
  reopen();
  constexpr int kSent = 500;
  for (int i = 0; i < kSent; ++i) {
    sink().message(socket_, {.direction = Direction::kRequest, .opcode = 9, .at = clock.wall(), .control = "ping"});
  }
  std::vector<ExchangeSeq> others;
  for (int i = 0; i < 2; ++i) {
    others.push_back(begin({.target = "/other"}));
    respond(others.back(), {.status = 200});
  }
  for (const ExchangeSeq seq : others) end(seq, {});
  ring->pump();
  const std::uint64_t kept = page(0, 1).total;
  EXPECT_GT(kept, 30u);
  EXPECT_LT(kept, 64u);
  const Page listed = ring->list({.states = {flow::State::kDone}}, 0, 100);
  ASSERT_EQ(listed.total, 2u);
  for (const flow::Exchange& other : listed.exchanges) {
    EXPECT_EQ(other.status, 200);
    EXPECT_EQ(other.anomalies, 0u);
  }
  // And once there is room again, messages are kept again.
  say(Direction::kRequest, "later");
  end(socket_, {});
  ring->pump();
  EXPECT_EQ(page(0, 1).total, kept + 1);
  const flow::Exchange flood = ring->list({.url_contains = "/socket"}, 0, 1).exchanges.at(0);
  EXPECT_NE(flood.anomalies & http::bit(http::Anomaly::kCaptureCut), 0u);
}

// Each gap takes a place in memory for as long as the exchange is kept: they are few and long.
TEST_F(MessageTest, AFloodLeavesFewGaps) {
  options.queue = 64;
  reopen();
  for (int i = 0; i < 20'000; ++i) {
    say(Direction::kRequest, "m");
    if (i % 100 == 50) ring->pump();  // some find room, and the next do not
  }
  ring->pump();
  const auto found = page(0, 10, 0);
  EXPECT_GT(found.total, 2'000u);
  EXPECT_LT(found.total, 19'000u);
  EXPECT_LT(ring->counters().memory_bytes, 64 * kKiB);
}

}  // namespace
}  // namespace sluice::capture

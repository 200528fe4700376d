// A disk that does not answer, and what is read before it is written.
#include <gtest/gtest.h>

#include <thread>

#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

class SlowDiskTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(open());
    ring->set_disk_thread(true);
    disk_thread_ = std::thread([this] { ring->write_until_stopped(); });
  }
  void TearDown() override {
    disk.stall(false);
    ring->set_disk_thread(false);
    disk_thread_.join();
  }
  // Until the disk's thread has written all that is full.
  void wait_for_disk() {
    while (ring->counters().unwritten_bytes > 2 * options.limits.chunk) std::this_thread::yield();
  }
  static std::string large(int number) { return std::string(1'000'000, static_cast<char>('a' + number % 26)); }

 private:
  std::thread disk_thread_;
};

TEST_F(SlowDiskTest, HoldsUpNothingButBodiesWhichAreCutAndCounted) {
  disk.stall(true);
  exchange({.response_body = large(0)});
  ring->pump();
  disk.wait_for_stalled_append();
  for (int i = 1; i < 40; ++i) {
    const ExchangeSeq seq = begin({.target = "/" + std::to_string(i)});
    read_body_in(seq, large(i));
    respond(seq, {});
    end(seq, {});
    ring->pump();
  }
  const Page page = all();
  ASSERT_EQ(page.total, 40u);
  Counters counters = ring->counters();
  EXPECT_EQ(counters.records_lost, 0u);
  EXPECT_GT(counters.bodies_cut, 20u);
  EXPECT_LE(counters.unwritten_bytes, options.limits.in_flight);
  EXPECT_GE(counters.unwritten_bytes, options.limits.in_flight / 2);
  ByteCount missing = 0;
  for (int i = 0; i < 40; ++i) {
    const flow::Exchange& exchange = page.exchanges[i];
    EXPECT_EQ(exchange.state, flow::State::kDone);
    EXPECT_EQ(exchange.response.body.size, 1'000'000u);
    EXPECT_TRUE(body(exchange) == large(i).substr(0, exchange.response.body.stored)) << i;  // from memory
    missing += exchange.response.body.size - exchange.response.body.stored;
  }
  EXPECT_EQ(counters.bytes_cut, missing);
  EXPECT_TRUE(page.exchanges[5].response.body.complete);
  EXPECT_EQ(page.exchanges[39].response.body.stored, 0u);

  disk.stall(false);
  wait_for_disk();
  exchange({.target = "/after", .response_body = large(40)});
  ring->pump();
  counters = ring->counters();
  EXPECT_EQ(counters.bytes_cut, missing);
  EXPECT_TRUE(body(all().exchanges.back()) == large(40));
  for (const flow::Exchange& exchange : page.exchanges) {  // from the disk
    const int number = exchange.target == "/" ? 0 : std::stoi(exchange.target.substr(1));
    EXPECT_TRUE(body(exchange) == large(number).substr(0, exchange.response.body.stored)) << number;
  }
}

// Smaller than what the pool holds, in many exchanges: their own copies of heads wait for nobody.
TEST_F(SlowDiskTest, SmallExchangesGoOnForAsLongAsItTakes) {
  disk.stall(true);
  for (int i = 0; i < 20'000; ++i) {
    exchange({.target = "/" + std::to_string(i), .response_body = std::string(1'000, 'x')});
    if (i % 100 == 99) ring->pump();
  }
  ring->pump();
  EXPECT_EQ(ring->size(), options.limits.ring_exchanges);
  const Counters counters = ring->counters();
  EXPECT_EQ(counters.records_lost, 0u);
  EXPECT_EQ(counters.exchanges, 20'000u);
  EXPECT_GT(counters.bodies_cut, 1'000u);
  EXPECT_EQ(all().exchanges.back().target, "/19999");
}

TEST_F(SlowDiskTest, WhatItRefusesLaterIsTakenBack) {
  disk.stall(true);
  exchange({.target = "/refused", .response_body = large(1)});
  const ExchangeSeq open_one = begin({.target = "/open"});
  sink().body(open_one, flow::Direction::kResponse, "octets");
  ring->pump();
  EXPECT_TRUE(body(all().exchanges.at(0)) == large(1));
  const std::uint64_t before = ring->last_rev();
  disk.wait_for_stalled_append();
  disk.set_capacity(disk.stored());
  disk.stall(false);
  while (ring->counters().write_errors == 0) std::this_thread::yield();
  ring->pump();
  const flow::Exchange refused = all().exchanges.at(0);
  EXPECT_EQ(refused.response.body.stored, 0u);
  EXPECT_EQ(refused.response.body.size, 1'000'000u);
  EXPECT_TRUE(refused.anomalies & http::bit(http::Anomaly::kCaptureCut));
  const Page changed = ring->list({.after_rev = before}, 0, 10);
  ASSERT_EQ(changed.total, 1u);
  EXPECT_EQ(changed.exchanges[0].target, "/open");
  EXPECT_EQ(changed.exchanges[0].response.body.stored, 0u);
  EXPECT_EQ(ring->counters().bodies_cut, 2u);
  disk.heal();
  end(open_one, {});
}

TEST_F(SlowDiskTest, RemovingAndClearingWaitForNobody) {
  disk.stall(true);
  exchange({.response_body = large(1)});
  ring->pump();
  disk.wait_for_stalled_append();
  EXPECT_EQ(ring->clear(), 1u);
  ring->pump();
  EXPECT_EQ(ring->counters().spool_bytes, 0u);
  exchange({.target = "/next", .response_body = large(2)});
  ring->pump();
  EXPECT_TRUE(body(all().exchanges.at(0)) == large(2));
  disk.stall(false);
  wait_for_disk();
  EXPECT_TRUE(body(all().exchanges.at(0)) == large(2));
}

}  // namespace
}  // namespace sluice::capture

// Orders, filters, cursors, and readers on other threads.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

using flow::Direction;
using flow::State;
using Spec = RingFixture::Spec;

class ListingTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override {
    options.workers = 2;
    ASSERT_TRUE(open());
  }
  std::vector<std::string> targets(const Filter& filter, std::int64_t offset = 0, std::size_t limit = 100) {
    std::vector<std::string> found;
    for (const auto& exchange : ring->list(filter, offset, limit).exchanges) found.push_back(exchange.target);
    return found;
  }
  using Targets = std::vector<std::string>;
};

TEST_F(ListingTest, ListsEndedOnesInTheOrderOfCompletionOverAllWorkers) {
  const ExchangeSeq a = begin({.target = "/a"}, 0);
  const ExchangeSeq b = begin({.target = "/b"}, 1);
  exchange({.target = "/c", .state = State::kFailed}, 1);
  end(b, {}, 1);
  begin({.target = "/open"}, 0);
  exchange({.target = "/d", .state = State::kDropped}, 0);
  end(a, {}, 0);
  ring->pump();
  EXPECT_EQ(targets({}), (Targets{"/c", "/b", "/d", "/a"}));
  EXPECT_EQ(ring->size(), 4u);
}

TEST_F(ListingTest, PagesFromEitherEnd) {
  for (int i = 0; i < 10; ++i) exchange({.target = "/" + std::to_string(i)});
  ring->pump();
  EXPECT_EQ(targets({}, 0, 3), (Targets{"/0", "/1", "/2"}));
  EXPECT_EQ(targets({}, 8, 3), (Targets{"/8", "/9"}));
  EXPECT_EQ(targets({}, -2, 3), (Targets{"/8", "/9"}));
  EXPECT_EQ(targets({}, -100, 1), (Targets{"/0"}));
  EXPECT_EQ(targets({}, 100, 1), Targets{});
  EXPECT_EQ(targets({}, INT64_MIN, 1), (Targets{"/0"}));
  const Page page = ring->list({}, -3, 1);
  EXPECT_EQ(page.total, 10u);
  EXPECT_EQ(page.offset, 7u);
  EXPECT_EQ(page.last_rev, 10u);
  EXPECT_EQ(ring->list({}, 3, 0).total, 10u);
}

TEST_F(ListingTest, FiltersAreJoinedWithAnd) {
  exchange({.method = "GET", .host = "api.example.com", .target = "/Users?q=1", .status = 200});
  exchange({.method = "POST", .host = "api.example.com", .target = "/users", .status = 201});
  exchange({.method = "GET",
            .host = "www.example.org",
            .target = "/",
            .status = 404,
            .connection = connection(2, flow::Source::kTransparent)});
  exchange({.method = "GET", .target = "/internal", .connection = nullptr});
  ring->pump();
  EXPECT_EQ(targets({.method = "get"}).size(), 3u);
  EXPECT_EQ(targets({.url_contains = "/USERS"}).size(), 2u);
  EXPECT_EQ(targets({.url_contains = "https://api.example.com/users?"}), (Targets{"/Users?q=1"}));
  EXPECT_EQ(targets({.host_contains = "Example.ORG"}), (Targets{"/"}));
  EXPECT_EQ(targets({.status = 404}), (Targets{"/"}));
  EXPECT_EQ(targets({.source = flow::Source::kTransparent}), (Targets{"/"}));
  EXPECT_EQ(targets({.source = flow::Source::kExplicit}).size(), 2u);
  EXPECT_EQ(targets({.method = "GET", .host_contains = "api"}), (Targets{"/Users?q=1"}));
  EXPECT_EQ(targets({.method = "DELETE"}), Targets{});
  EXPECT_EQ(ring->list({.url_contains = "users"}, 1, 1).total, 2u);
}

TEST_F(ListingTest, AUrlFilterFindsNothingInWhatIsMasked) {
  exchange({.target = "/pay?token=s3cret&page=2"});
  ring->pump();
  const auto mask = [](std::string& url) { url.replace(url.find("s3cret"), 6, "[redacted]"); };
  EXPECT_EQ(targets({.url_contains = "token=s"}).size(), 1u);
  EXPECT_EQ(targets({.url_contains = "token=s", .mask_url = mask}), Targets{});
  EXPECT_EQ(targets({.url_contains = "page=2", .mask_url = mask}).size(), 1u);
  EXPECT_EQ(ring->list({.url_contains = "s3cret", .mask_url = mask}, 0, 1).total, 0u);
}

TEST_F(ListingTest, StatesNarrowOrAddOpenOnes) {
  begin({.target = "/open"});
  exchange({.target = "/done"});
  exchange({.target = "/failed", .state = State::kFailed});
  ring->pump();
  EXPECT_EQ(targets({.states = {State::kFailed}}), (Targets{"/failed"}));
  EXPECT_EQ(targets({.states = {State::kOpen}}), (Targets{"/open"}));
  EXPECT_EQ(targets({.states = {State::kOpen, State::kDone}}), (Targets{"/done", "/open"}));
}

TEST_F(ListingTest, ACursorSeesEachChangeOnceAndInOrder) {
  const ExchangeSeq a = begin({.target = "/a"});
  ring->pump();
  Page page = ring->list({.after_rev = 0}, 0, 10);
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].state, State::kOpen);
  const std::uint64_t first = page.last_rev;
  ring->pump();
  EXPECT_EQ(ring->list({.after_rev = first}, 0, 10).total, 0u);

  exchange({.target = "/b"});
  sink().body(a, Direction::kResponse, "more");
  ring->pump();
  page = ring->list({.after_rev = first}, 0, 10);
  ASSERT_EQ(page.total, 2u);
  EXPECT_EQ(page.exchanges[0].target, "/b");
  EXPECT_EQ(page.exchanges[1].target, "/a");
  EXPECT_EQ(page.exchanges[1].response.body.stored, 4u);
  EXPECT_LT(page.exchanges[0].rev, page.exchanges[1].rev);
  EXPECT_EQ(page.last_rev, ring->last_rev());
  EXPECT_EQ(ring->list({.states = {State::kDone}, .after_rev = first}, 0, 10).total, 1u);

  end(a, {});
  ring->pump();
  page = ring->list({.after_rev = page.last_rev}, 0, 10);
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].state, State::kDone);
}

TEST_F(ListingTest, AnExchangeIsWhatItBecameWithItsAnswer) {
  const ExchangeSeq socket = begin({.method = "CONNECT", .target = "/socket", .protocol = flow::Protocol::kHttp2});
  const auto seen = [&] {
    ring->pump();
    return ring->list({.states = {State::kOpen}}, 0, 1).exchanges.at(0).protocol;
  };
  EXPECT_EQ(seen(), flow::Protocol::kHttp2);
  respond(socket, {.protocol = flow::Protocol::kHttp2});
  EXPECT_EQ(seen(), flow::Protocol::kHttp2);
  respond(socket, {.protocol = flow::Protocol::kWebSocket});
  EXPECT_EQ(seen(), flow::Protocol::kWebSocket);
}

TEST_F(ListingTest, ACursorSeesThatAnOpenSocketHasNewMessages) {
  const ExchangeSeq socket = begin({.target = "/socket"});
  ring->pump();
  const std::uint64_t before = ring->last_rev();
  for (int i = 0; i < 5; ++i) sink().message(socket, {.direction = Direction::kResponse, .opcode = 9, .control = "hi"});
  ring->pump();
  const Page page = ring->list({.after_rev = before}, 0, 10);
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].target, "/socket");
  EXPECT_EQ(page.last_rev, before + 1);  // five that came together are one change
}

TEST_F(ListingTest, TellsOfChangesOnceForEachPump) {
  int calls = 0;
  ring->on_change([&] { ++calls; });
  ring->pump();
  EXPECT_EQ(calls, 0);
  for (int i = 0; i < 5; ++i) exchange({});
  ring->pump();
  EXPECT_EQ(calls, 1);
}

TEST_F(ListingTest, VisitsOldestFirstAndMayStop) {
  for (int i = 0; i < 150; ++i) exchange({.target = "/" + std::to_string(i)});
  ring->pump();
  int seen = 0;
  ring->for_each({}, [&](const flow::Exchange& exchange) {
    EXPECT_EQ(exchange.target, "/" + std::to_string(seen));
    if (seen == 0) ring->clear();  // entries that leave meanwhile are skipped
    return ++seen < 200;
  });
  EXPECT_EQ(seen, 64);
  exchange({.target = "/last"});
  ring->pump();
  int glances = 0;
  ring->glance({}, [&](const Glance& glance) {
    EXPECT_EQ(glance.url, "https://example.com/last");
    EXPECT_EQ(glance.response_head, "HTTP/1.1 200 Fine\r\n\r\n");
    EXPECT_EQ(glance.id().size(), 36u);
    ++glances;
    return false;
  });
  EXPECT_EQ(glances, 1);
}

TEST_F(ListingTest, SyncShowsWhatWasEmittedBeforeWithoutAThread) {
  exchange({});
  ring->sync();
  EXPECT_EQ(all().total, 1u);
}

// Two workers at full speed, a pump thread, and readers of every kind.
TEST_F(ListingTest, SyncShowsWhatWasEmittedBeforeWithAThreadAndReadersMayDoAnything) {
  ring->set_pump_thread(true);
  std::atomic<bool> stop{false};
  std::thread pump([&] {
    while (!stop) {
      ring->pump();
      ring->wait(std::chrono::milliseconds(1));
    }
  });
  std::atomic<int> working{2};
  const auto work = [&](std::size_t worker) {
    for (int i = 0; i < 1'500; ++i) {
      const ExchangeSeq seq = begin({.target = "/" + std::to_string(worker)}, worker);
      read_body_in(seq, std::string(3'000, 'x'), worker);
      const flow::Held held = sink(worker).hold(read_in(std::string(9'000, 'y'), worker));
      respond(seq, {}, worker);
      end(seq, {}, worker);
    }
    --working;
  };
  std::thread one([&] { work(0); }), two([&] { work(1); });
  std::uint64_t rev = 0;
  std::map<std::uint64_t, State> seen;
  do {
    ring->sync();
    const Page page = ring->list({.after_rev = rev}, 0, SIZE_MAX);
    for (const auto& exchange : page.exchanges) {
      EXPECT_GT(exchange.rev, rev);
      rev = exchange.rev;
      EXPECT_TRUE(seen.emplace(exchange.seq.value, exchange.state).second ||
                  std::exchange(seen[exchange.seq.value], exchange.state) == State::kOpen);
    }
    if (!page.exchanges.empty()) {
      const auto& some = page.exchanges.front();
      const auto slice = ring->read_body(some.id, Direction::kResponse, 0, 100);
      if (slice && !slice->octets.empty()) EXPECT_EQ(slice->octets.front(), 'x');
      EXPECT_TRUE(ring->find(some.id) || some.seq.value > 0);
    }
    (void)ring->counters();
  } while (working > 0);
  one.join();
  two.join();
  ring->sync();
  for (const auto& exchange : ring->list({.after_rev = rev}, 0, SIZE_MAX).exchanges) {
    seen[exchange.seq.value] = exchange.state;
  }
  stop = true;
  pump.join();
  ring->set_pump_thread(false);
  const Counters counters = ring->counters();
  EXPECT_EQ(seen.size() + counters.records_lost, 3'000u);
  for (const auto& [seq, state] : seen) EXPECT_EQ(state, State::kDone) << seq;
}

TEST_F(ListingTest, ClearingAndEvictingWhileTrafficRunsLeaveNothingBehind) {
  options.limits.ring_exchanges = 20;
  options.limits.spool_disk = 4 * kMiB;
  ring.reset();
  ASSERT_TRUE(open());
  std::atomic<int> working{2};
  std::vector<std::thread> workers;
  for (const std::size_t worker : {0u, 1u}) {
    workers.emplace_back([&, worker] {
      for (int i = 0; i < 1'000; ++i) exchange({.response_body = std::string(9'000, 'x')}, worker);
      --working;
    });
  }
  do {
    ring->sync();
    ring->for_each({}, [&](const flow::Exchange& exchange) {
      const auto slice = ring->read_body(exchange.id, Direction::kResponse, 5, 10);
      EXPECT_TRUE(!slice || slice->octets.empty() || slice->octets == "xxxxxxxxxx");
      return true;
    });
    EXPECT_LE(ring->size(), 20u);
    ring->clear();
  } while (working > 0);
  for (std::thread& worker : workers) worker.join();
  ring->sync();
  ring->clear();
  ring->pump();
  EXPECT_EQ(ring->counters().memory_bytes, 0u);
  EXPECT_EQ(ring->counters().spool_bytes, 0u);
}

}  // namespace
}  // namespace sluice::capture

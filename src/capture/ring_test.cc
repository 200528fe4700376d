#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

using flow::Direction;
using flow::State;
using Spec = RingFixture::Spec;

class RingTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  void reopen() {
    ring.reset();
    ASSERT_TRUE(open());
  }
};

TEST_F(RingTest, ShowsOneExchangeWithEverythingThatWasReported) {
  flow::Opened opened;
  opened.connection = connection(9, flow::Source::kTransparent);
  opened.method = "POST";
  opened.scheme = "https";
  opened.host = "api.example.com";
  opened.target = "/v1?x=1";
  opened.port = 8443;
  opened.started = clock.wall();
  opened.head = "POST /v1?x=1 HTTP/1.1\r\nHost: api\r\n\r\n";
  const ExchangeSeq seq = sink().opened(opened);
  EXPECT_EQ(seq.value, 1u);
  sink().request_sent(seq, "POST /v2 HTTP/1.1\r\n\r\n");
  sink().body(seq, Direction::kRequest, "question");
  sink().trailers(seq, Direction::kRequest, "A: 1\r\n");
  auto upstream = std::make_shared<flow::Upstream>();
  upstream->id = 4;
  upstream->address = "192.0.2.1";
  flow::Responded responded;
  responded.status = 201;
  responded.head = "HTTP/1.1 200 OK\r\n\r\n";
  responded.effective = "HTTP/1.1 201 Created\r\n\r\n";
  responded.upstream = upstream;
  responded.upstream_reused = true;
  sink().responded(seq, responded);
  sink().body(seq, Direction::kResponse, "ans");
  sink().body(seq, Direction::kResponse, "wer");
  sink().trailers(seq, Direction::kResponse, "B: 2\r\n");
  const flow::Failure failure{"client_aborted", flow::Phase::kResponseBody, "the client went away"};
  const std::uint32_t rules[] = {3, 7};
  flow::Ended ended;
  ended.state = State::kAborted;
  ended.failure = &failure;
  ended.request_ended = true;
  ended.timings.request_head = 5;
  ended.timings.end = 99;
  ended.anomalies = http::bit(http::Anomaly::kBareLf);
  ended.rule_ids = rules;
  ended.matched_rule = 7;
  ended.protocol = flow::Protocol::kHttp1;
  sink().ended(seq, ended);
  EXPECT_EQ(ring->pump(), 9u);

  const Page page = all();
  ASSERT_EQ(page.total, 1u);
  const auto found = ring->find(page.exchanges[0].id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id.size(), 36u);
  EXPECT_EQ(found->id[14], '4');
  EXPECT_EQ(flow::url_of(*found), "https://api.example.com:8443/v1?x=1");
  EXPECT_EQ(found->request.head, opened.head);
  EXPECT_EQ(found->request.effective, "POST /v2 HTTP/1.1\r\n\r\n");
  EXPECT_EQ(found->request.trailers, "A: 1\r\n");
  EXPECT_EQ(found->response.head, responded.head);
  EXPECT_EQ(found->response.effective, responded.effective);
  EXPECT_EQ(found->response.trailers, "B: 2\r\n");
  EXPECT_EQ(found->status, 201);
  EXPECT_EQ(found->state, State::kAborted);
  EXPECT_EQ(found->started, clock.wall());
  EXPECT_EQ(found->connection->id.value, 9u);
  EXPECT_EQ(found->upstream->address, "192.0.2.1");
  EXPECT_TRUE(found->upstream_reused);
  ASSERT_TRUE(found->failure);
  EXPECT_EQ(found->failure->code, "client_aborted");
  EXPECT_EQ(found->failure->phase, flow::Phase::kResponseBody);
  EXPECT_EQ(found->failure->message, "the client went away");
  EXPECT_EQ(found->timings.end, 99);
  EXPECT_EQ(found->rule_ids, (std::vector<std::uint32_t>{3, 7}));
  EXPECT_EQ(found->matched_rule, 7u);
  EXPECT_EQ(found->anomalies, http::bit(http::Anomaly::kBareLf));
  EXPECT_EQ(found->request.body.size, 8u);
  EXPECT_TRUE(found->request.body.complete);
  EXPECT_TRUE(found->request.body.ended);
  EXPECT_FALSE(found->response.body.ended);
  EXPECT_EQ(body(*found, Direction::kRequest), "question");
  EXPECT_EQ(body(*found), "answer");
}

TEST_F(RingTest, KeepsBodiesInTheReadSpaceByReferenceAndUnchanged) {
  std::string sent;
  const ExchangeSeq seq = begin({});
  for (int i = 0; i < 200; ++i) {
    const std::string piece(5'000 + 37 * i, static_cast<char>('a' + i % 26));
    const Bytes content = read_in(piece);
    sink().body(seq, Direction::kResponse, content.substr(10, content.size() - 20));
    sent += piece.substr(10, content.size() - 20);
    if (i % 50 == 49) ring->pump();
  }
  end(seq, {});
  ring->pump();
  const Page page = all();
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].response.body.size, sent.size());
  EXPECT_TRUE(body(page.exchanges[0]) == sent);
  for (const ByteCount offset :
       {ByteCount{0}, ByteCount{4'979}, ByteCount{600'000}, sent.size() - 1, sent.size() + 5}) {
    const auto slice = ring->read_body(page.exchanges[0].id, Direction::kResponse, offset, 3'000);
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->octets, Bytes(sent).substr(std::min(offset, ByteCount{sent.size()}), 3'000));
    EXPECT_EQ(slice->stored, sent.size());
  }
}

TEST_F(RingTest, HeldOctetsStayWhileOthersAreRead) {
  const std::string text(16'000, 'h');
  const Bytes view = read_in(text);
  const flow::Held in_place = sink().hold(view);
  EXPECT_EQ(in_place.view().data(), view.data());
  const flow::Held small = sink().hold(view.substr(0, 100));
  EXPECT_NE(small.view().data(), view.data());
  for (int i = 0; i < 100; ++i) read_in(std::string(60'000, 'x'));
  EXPECT_EQ(in_place.view(), text);
  EXPECT_EQ(small.view(), text.substr(0, 100));
}

TEST_F(RingTest, TheReadSpaceIsUsedAgainWhenNobodyHoldsIt) {
  const char* const first = sink().read_space(64 * kKiB).data();
  const ExchangeSeq seq = begin({});
  read_body_in(seq, std::string(50'000, 'x'));
  EXPECT_NE(sink().read_space(64 * kKiB).data(), first);
  ring->pump();
  EXPECT_EQ(sink().read_space(64 * kKiB).data(), first);
}

TEST_F(RingTest, WithoutChunksBodiesAreCutAndHeadsAreKept) {
  options.limits.in_flight = 0;
  reopen();
  const ExchangeSeq seq = begin({});
  const MutableBytes space = sink().read_space(64 * kKiB);
  ASSERT_GE(space.size(), 16 * kKiB);
  std::fill(space.begin(), space.end(), 'x');
  sink().body(seq, Direction::kResponse, Bytes(space.data(), 1'000));
  sink().body(seq, Direction::kResponse, Bytes(space.data(), 500));
  EXPECT_EQ(sink().hold(Bytes(space.data(), space.size())).view().size(), space.size());
  respond(seq, {});
  end(seq, {});
  ring->pump();
  const Page page = all();
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].request.head, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
  EXPECT_EQ(page.exchanges[0].response.body.size, 1'500u);
  EXPECT_EQ(page.exchanges[0].response.body.stored, 0u);
  EXPECT_FALSE(page.exchanges[0].response.body.complete);
  EXPECT_TRUE(page.exchanges[0].anomalies & http::bit(http::Anomaly::kCaptureCut));
  EXPECT_EQ(ring->counters().bodies_cut, 1u);
  EXPECT_EQ(ring->counters().bytes_cut, 1'500u);
}

TEST_F(RingTest, StoresABeginningOfABodyWhenChunksRunOut) {
  options.limits.in_flight = 8 * options.limits.chunk;
  reopen();
  const ExchangeSeq seq = begin({});
  std::string sent;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(60'000, static_cast<char>('a' + i % 26));
    read_body_in(seq, piece);
    sent += piece;
    if (i == 30) ring->pump();  // room again, but a body has no holes
  }
  end(seq, {});
  ring->pump();
  const flow::Exchange exchange = all().exchanges.at(0);
  EXPECT_EQ(exchange.response.body.size, sent.size());
  EXPECT_GT(exchange.response.body.stored, 1'000'000u);
  EXPECT_LT(exchange.response.body.stored, 1'600'000u);
  EXPECT_TRUE(body(exchange) == sent.substr(0, exchange.response.body.stored));
}

TEST_F(RingTest, AFullQueueCostsBodiesFirstThenExchangesAndNeverAnEnd) {
  options.queue = 64;
  reopen();
  const ExchangeSeq first = begin({});
  for (int i = 0; i < 100; ++i) sink().body(first, Direction::kResponse, "x");
  std::vector<ExchangeSeq> opened;
  for (int i = 0; i < 30; ++i) opened.push_back(begin({}));
  for (const ExchangeSeq seq : opened) end(seq, {});
  end(first, {});
  ring->pump();
  const Page page = all();
  const Counters counters = ring->counters();
  EXPECT_EQ(counters.exchanges, 31u);
  EXPECT_EQ(page.total + counters.records_lost, 31u);
  EXPECT_GT(page.total, 5u);
  for (const flow::Exchange& exchange : page.exchanges) EXPECT_EQ(exchange.state, State::kDone);
  EXPECT_EQ(page.exchanges.back().seq, first);
  EXPECT_EQ(page.exchanges.back().response.body.size, 100u);
  EXPECT_LT(page.exchanges.back().response.body.stored, 64u);
  EXPECT_EQ(counters.bodies_cut, 1u);
  // And it goes on.
  exchange({});
  ring->pump();
  EXPECT_EQ(all().total, page.total + 1);
}

TEST_F(RingTest, ABodyIsKeptUpToItsLimit) {
  options.limits.max_body = 10;
  reopen();
  const ExchangeSeq seq = begin({});
  sink().body(seq, Direction::kResponse, "12345678");
  ring->pump();
  sink().body(seq, Direction::kResponse, "90abcdef");
  sink().body(seq, Direction::kResponse, "more");
  end(seq, {});
  ring->pump();
  const flow::Exchange exchange = all().exchanges.at(0);
  EXPECT_EQ(body(exchange), "1234567890");
  EXPECT_EQ(exchange.response.body.size, 20u);
  EXPECT_FALSE(exchange.response.body.complete);
}

TEST_F(RingTest, AFullDiskCutsBodiesAndTrafficGoesOn) {
  const std::string large(200'000, 'k');
  exchange({.response_body = large});
  exchange({.target = "/half-written", .response_body = large});  // a chunk is full and written, the next begun
  ring->pump();
  disk.set_capacity(disk.stored() + 100);
  exchange({.target = "/big", .response_body = std::string(500'000, 'x')});
  ring->pump();
  exchange({.target = "/next"});
  ring->pump();
  Page page = all();
  ASSERT_EQ(page.total, 4u);
  EXPECT_TRUE(body(page.exchanges[0]) == large);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(page.exchanges[i].response.body.stored, 0u) << i;
    EXPECT_FALSE(page.exchanges[i].response.body.complete) << i;
    EXPECT_TRUE(page.exchanges[i].anomalies & http::bit(http::Anomaly::kCaptureCut)) << i;
    EXPECT_EQ(body(page.exchanges[i]), "") << i;
  }
  Counters counters = ring->counters();
  EXPECT_EQ(counters.write_errors, 1u);
  EXPECT_EQ(counters.bodies_cut, 3u);
  EXPECT_EQ(counters.bytes_cut, 700'005u);
  EXPECT_NE(counters.last_error.find("No space left"), std::string::npos);
  // The disk heals: a second later a new segment is tried.
  disk.heal();
  exchange({.target = "/too-early"});
  ring->pump();
  clock.advance(std::chrono::seconds(2));
  exchange({.target = "/again", .response_body = "well"});
  ring->pump();
  page = all();
  EXPECT_FALSE(page.exchanges[4].response.body.complete);
  EXPECT_EQ(body(page.exchanges[5]), "well");
  EXPECT_TRUE(body(page.exchanges[0]) == large);
}

TEST_F(RingTest, EveryFailingDiskOperationLeavesHeadsWhole) {
  options.limits.spool_disk = 4 * kMiB;  // segments of one or two chunks: many operations
  const std::string sent(300'000, 'b');
  std::size_t cut = 0;
  for (std::size_t nth = 1; nth < 40; ++nth) {
    reopen();
    disk.fail_operation(nth);
    for (int i = 0; i < 8; ++i) {
      exchange({.response_body = sent});
      ring->pump();
      clock.advance(std::chrono::seconds(2));
    }
    const Page page = all();
    ASSERT_EQ(page.total, 8u) << nth;
    disk.heal();
    for (const flow::Exchange& exchange : page.exchanges) {
      const flow::BodyInfo& info = exchange.response.body;
      EXPECT_EQ(info.size, sent.size());
      EXPECT_EQ(info.complete, info.stored == info.size);
      cut += !info.complete;
      EXPECT_TRUE(body(exchange) == sent.substr(0, info.stored)) << nth;
    }
  }
  EXPECT_GT(cut, 10u);
}

TEST_F(RingTest, TheOldestSegmentsGoAtTheBudget) {
  options.limits.spool_disk = 4 * kMiB;
  options.limits.ring_exchanges = 100;
  reopen();
  for (int i = 0; i < 40; ++i) {
    exchange({.response_body = std::string(200'000, static_cast<char>('a' + i % 26))});
    ring->pump();
    EXPECT_LE(disk.stored(), 4 * kMiB + 300'000);
  }
  const Page page = all();
  ASSERT_EQ(page.total, 40u);
  EXPECT_EQ(page.exchanges[0].response.body.size, 200'000u);
  EXPECT_EQ(page.exchanges[0].response.body.stored, 0u);
  const auto gone = ring->read_body(page.exchanges[0].id, Direction::kResponse, 0, 10);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  EXPECT_EQ(gone.error().message, "This body has left the spool, which keeps the newest traffic only.");
  EXPECT_TRUE(body(page.exchanges[39]) == std::string(200'000, 'n'));
}

TEST_F(RingTest, SegmentsThatNobodyNeedsGoEarly) {
  options.limits.spool_disk = 16 * kMiB;
  options.limits.ring_exchanges = 2;
  reopen();
  for (int i = 0; i < 40; ++i) {
    exchange({.response_body = std::string(200'000, 'x')});
    ring->pump();
  }
  EXPECT_LE(disk.stored(), 3 * kMiB);
  EXPECT_EQ(ring->counters().evicted, 38u);
}

TEST_F(RingTest, ClearForgetsEndedOnesAndEmptiesTheDisk) {
  exchange({.response_body = "secret-octets"});
  const ExchangeSeq open_one = begin({.target = "/open"});
  ring->pump();
  EXPECT_EQ(ring->size(), 1u);
  const std::string id = all().exchanges[0].id;
  EXPECT_EQ(ring->clear(), 1u);
  EXPECT_EQ(ring->size(), 0u);
  EXPECT_FALSE(ring->find(id));
  EXPECT_EQ(ring->read_body(id, Direction::kResponse, 0, 1).error().code, Code::kNotFound);
  ring->pump();
  const auto names = disk.list(options.spool_directory);
  ASSERT_TRUE(names);
  for (const std::string& name : *names) {
    EXPECT_EQ(disk.content(options.spool_directory + "/" + name)->find("secret-octets"), std::string::npos);
  }
  end(open_one, {});
  ring->pump();
  EXPECT_EQ(all().total, 1u);
}

TEST_F(RingTest, TheOldestEndedLeaveFirstAndOpenOnesLast) {
  options.limits.ring_exchanges = 3;
  reopen();
  const ExchangeSeq open_one = begin({.target = "/open"});
  for (int i = 0; i < 5; ++i) exchange({.target = "/" + std::to_string(i)});
  ring->pump();
  const Page page = all();
  ASSERT_EQ(page.total, 3u);
  EXPECT_EQ(page.exchanges[0].target, "/2");
  EXPECT_EQ(ring->list({.states = {State::kOpen}}, 0, 10).total, 1u);
  end(open_one, {});
  ring->pump();
  EXPECT_EQ(all().exchanges.back().target, "/open");
}

TEST_F(RingTest, MemoryIsBoundedEvenByOpenExchanges) {
  options.limits.ring_memory = 1 * kMiB;
  reopen();
  std::vector<ExchangeSeq> opened;
  for (int i = 0; i < 200; ++i) {
    opened.push_back(begin({.target = "/" + std::string(20'000, 'x')}));
    if (i % 10 == 0) ring->pump();
  }
  ring->pump();
  EXPECT_LE(ring->counters().memory_bytes, 1 * kMiB);
  EXPECT_LT(ring->list({.states = {State::kOpen}}, 0, 1).total, 60u);
  for (const ExchangeSeq seq : opened) end(seq, {});  // those of evicted ones mean nothing any more
  ring->pump();
  EXPECT_LT(all().total, 60u);
  EXPECT_GT(all().total, 5u);
  ring->clear();
  EXPECT_EQ(ring->counters().memory_bytes, 0u);
}

TEST_F(RingTest, ABodyThatTricklesInTakesLittleMemory) {
  const ExchangeSeq seq = begin({});
  std::string sent;
  for (int i = 0; i < 3'000; ++i) {
    const std::string piece = "event " + std::to_string(i) + "\n";
    sink().body(seq, Direction::kResponse, piece);
    exchange({});
    sent += piece;
    if (i % 3 == 0) ring->pump();
  }
  ring->pump();
  ring->clear();
  EXPECT_LT(ring->counters().memory_bytes, 4'000u);
  end(seq, {});
  ring->pump();
  EXPECT_TRUE(body(all().exchanges.at(0)) == sent);
}

TEST_F(RingTest, TheSpoolIsThereWhileTheRingIs) {
  EXPECT_TRUE(disk.exists(options.spool_directory + "/lock"));
  ring.reset();
  EXPECT_FALSE(disk.exists(options.spool_directory));
}

TEST_F(RingTest, KeepsHeadsThatAreLargerThanAChunk) {
  exchange({.target = "/" + std::string(300'000, 'x'), .response_fields = "A: " + std::string(300'000, 'y') + "\r\n"});
  ring->pump();
  const Page page = all();
  ASSERT_EQ(page.total, 1u);
  EXPECT_EQ(page.exchanges[0].target.size(), 300'001u);
  EXPECT_EQ(flow::parse_fields(page.exchanges[0].response.head).value(0).size(), 300'000u);
  EXPECT_EQ(body(page.exchanges[0]), "hello");
  EXPECT_EQ(ring->counters().records_lost, 0u);
}

TEST(RealDisk, ASpoolIsLockedWhileItsRingLivesAndGoneAfterwards) {
  std::string root = testing::TempDir() + "sluice-spool-XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  SystemFileSystem files;
  SystemClock clock;
  SystemEntropy entropy;
  Ring::Options options;
  options.spool_directory = root + "/1-living";
  {
    Ring ring(options, files, clock, entropy);
    ASSERT_TRUE(ring.open());
    const ExchangeSeq seq = ring.sink(0).opened({.method = "GET", .scheme = "http", .host = "a"});
    ring.sink(0).body(seq, Direction::kResponse, "kept on a disk");
    ring.sink(0).ended(seq, {});
    ring.sync();
    ASSERT_TRUE(files.make_directories(root + "/2-dead"));
    ASSERT_TRUE(files.save_file(root + "/2-dead/lock", ""));
    EXPECT_EQ(remove_stale_spools(files, root), 1u);
    EXPECT_EQ(ring.read_body(ring.list({}, 0, 1).exchanges.at(0).id, Direction::kResponse, 0, 100)->octets,
              "kept on a disk");
  }
  EXPECT_TRUE(files.list(root)->empty());
  EXPECT_TRUE(files.remove_tree(root));
}

TEST_F(RingTest, SpoolsOfTheDeadAreRemovedAndThoseOfTheLivingStay) {
  disk.put("/home/spool/7-dead/lock", "");
  disk.put("/home/spool/7-dead/00000001.seg", "x");
  disk.put("/home/spool/8-living/lock", "");
  disk.hold_lock("/home/spool/8-living/lock");
  disk.put("/home/spool/notes.txt", "mine");
  disk.add_directory("/home/spool/.9-nascent.new");
  EXPECT_EQ(remove_stale_spools(disk, "/home/spool"), 1u);
  EXPECT_FALSE(disk.exists("/home/spool/7-dead"));
  EXPECT_TRUE(disk.exists("/home/spool/8-living"));
  EXPECT_TRUE(disk.exists("/home/spool/notes.txt"));
  EXPECT_TRUE(disk.exists("/home/spool/.9-nascent.new"));
  EXPECT_TRUE(disk.exists(options.spool_directory));
  disk.release_lock("/home/spool/8-living/lock");
}

TEST_F(RingTest, OpenSaysWhyThereIsNoSpool) {
  ring.reset();
  disk.fail_operation(1);
  const Status status = open();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kIo);
}

TEST_F(RingTest, NonsenseIdsFindNothing) {
  exchange({});
  ring->pump();
  for (const char* id : {"", "x", "00000000-0000-0000-0000-000000000000", "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"}) {
    EXPECT_FALSE(ring->find(id));
    EXPECT_EQ(ring->read_body(id, Direction::kRequest, 0, 1).error().code, Code::kNotFound);
  }
}

}  // namespace
}  // namespace sluice::capture

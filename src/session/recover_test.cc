#include "session/recover.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "session/session_test_support.h"

namespace sluice::session {
namespace {

namespace fs = std::filesystem;

struct Recovering : StoreFixture, testing::Test {
  std::string made() {
    return record({{.target = "/1", .request_body = "question"},
                   {.target = "/2", .response_body = "second"},
                   {.target = "/3", .response_body = "third"}});
  }
  std::vector<std::string> targets(const std::string& id) {
    std::vector<std::string> found;
    const auto reader = store->open(id);
    if (!reader) return {"error: " + reader.error().message};
    for (const Row& row : rows(**reader)) found.push_back(row.target);
    return found;
  }
  // Around each end of a frame and of a payload, and inside both; ascending.
  std::set<std::size_t> near_boundaries(const std::string& id, const std::string& whole) {
    std::set<std::size_t> places{48, whole.size()};
    SystemFileSystem files;
    const auto file = files.open(segment(id), OpenMode::kRead);
    auto reader = capture::SegmentReader::create(**file);
    while (reader &&
           reader->next().value_or(capture::SegmentReader::Step::kEnd) == capture::SegmentReader::Step::kRecord) {
      const auto& place = reader->record().place;
      for (const std::size_t at : {0u, 1u, 3u, 4u, 8u, 16u, 20u, 23u, 24u, 25u, place.length / 2, place.length - 1}) {
        places.insert(static_cast<std::size_t>(place.offset) + at);
      }
    }
    return places;
  }
};

TEST_F(Recovering, ATornEndCostsWhatWasTornWhereverItIs) {
  const std::string id = made(), whole = content_of(segment(id));
  std::size_t last = 0;
  for (const std::size_t length : near_boundaries(id, whole)) {
    write_content(segment(id), whole.substr(0, length));
    const auto report = store->recover(id);
    ASSERT_TRUE(report) << length << ": " << report.error().message;
    EXPECT_GE(report->exchanges, last) << length;
    last = report->exchanges;
    EXPECT_EQ(report->damaged_bytes, 0u) << length;
    EXPECT_EQ(content_of(segment(id)), whole.substr(0, length)) << "segments are never changed";
  }
  EXPECT_EQ(last, 3u);
}

TEST_F(Recovering, AFlippedBitCostsOneRecordWhereverItIs) {
  const std::string id = made(), whole = content_of(segment(id));
  const std::uint64_t records = store->verify(id)->records;
  for (const std::size_t at : near_boundaries(id, whole)) {
    if (at == whole.size()) continue;
    std::string hurt = whole;
    hurt[at] = static_cast<char>(hurt[at] ^ (1 << (at % 8)));
    write_content(segment(id), hurt);
    const auto report = store->recover(id);
    ASSERT_TRUE(report) << at << ": " << report.error().message;
    EXPECT_EQ(report->records, records - 1) << at;
    EXPECT_EQ(report->damaged_ranges, 1u) << at;
    EXPECT_GE(report->exchanges, 2u) << at;
    const auto& range = report->damaged.at(0);
    EXPECT_TRUE(range.offset <= at && at < range.offset + range.length) << at;
    EXPECT_EQ(content_of(segment(id)), hurt) << at;
  }
}

TEST_F(Recovering, TwiceSaysTheSame) {
  const std::string id = made();
  std::string hurt = content_of(segment(id));
  hurt[hurt.size() / 2] ^= 1;
  hurt.resize(hurt.size() - 7);
  write_content(segment(id), hurt);
  const auto first = store->recover(id);
  const auto found = targets(id);
  const auto second = store->recover(id);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->damaged_ranges, second->damaged_ranges);
  EXPECT_EQ(first->torn_bytes, second->torn_bytes);
  EXPECT_EQ(first->exchanges, second->exchanges);
  EXPECT_EQ(targets(id), found);
  EXPECT_EQ(store->get(id)->recovery, Recovery::kRecovered);
}

TEST_F(Recovering, ALostManifestAndALostIndexAreMadeAgain) {
  const std::string id = start({.name = "kept", .profile = Profile::kFull, .max_disk_mb = 77});
  exchange({.target = "/1"});
  stop();
  fs::remove(manifest_path(place(id)));
  fs::remove(index_path(place(id)));
  EXPECT_EQ(store->list()->at(0).recovery, Recovery::kError) << "it is listed all the same";
  EXPECT_EQ(targets(id), std::vector<std::string>{"/1"}) << "opening it recovers it";
  const auto manifest = store->get(id);
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->name, "kept");
  EXPECT_EQ(manifest->profile, Profile::kFull);
  EXPECT_EQ(manifest->max_disk_mb, 77u);
  EXPECT_EQ(manifest->exchanges, 1u);
  EXPECT_FALSE(manifest->active);
}

TEST_F(Recovering, ADamagedManifestOrIndexIsMadeAgain) {
  const std::string id = made();
  write_content(manifest_path(place(id)), "{\"schemaVersion\": 1");
  EXPECT_EQ(targets(id).size(), 3u);
  write_content(index_path(place(id)), "this is no database at all, but long enough to be looked at as one");
  EXPECT_EQ(targets(id).size(), 3u);
  EXPECT_TRUE(store->verify(id)->good());
}

TEST_F(Recovering, OneWhoseRunDiedIsRecoveredWhenItIsOpened) {
  const std::string id = start();
  exchange({.target = "/done"});
  const ExchangeSeq seq = begin({.target = "/cut"});
  respond(seq, {});
  sink().body(seq, flow::Direction::kResponse, "what had arrived");
  (void)store->open(id);  // nothing works here but this thread: it is handed over
  ring->pump();
  // As a kill leaves it: what was written is there, nothing was closed, nobody holds the lock.
  const std::string dead = "20250101000000_abcdefgh";
  std::thread writer([&] { store->write_until_stopped(); });
  (void)store->open(id);
  store->end();
  writer.join();
  fs::copy(place(id), place(dead), fs::copy_options::recursive);
  const auto reader = store->open(dead);
  ASSERT_TRUE(reader) << reader.error().message;
  const auto found = rows(**reader);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].state, flow::State::kDone);
  EXPECT_EQ(found[1].state, flow::State::kAborted);
  EXPECT_EQ(body_of(**reader, found[1]), "what had arrived");
  const auto manifest = store->get(dead);
  EXPECT_FALSE(manifest->active);
  EXPECT_EQ(manifest->recovery, Recovery::kRecovered);
}

TEST_F(Recovering, VerifyChangesNothing) {
  const std::string id = made();
  std::string hurt = content_of(segment(id));
  hurt[hurt.size() - 3] ^= 4;
  write_content(segment(id), hurt);
  const std::string manifest = content_of(manifest_path(place(id))), index = content_of(index_path(place(id)));
  const auto report = store->verify(id);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->good());
  EXPECT_EQ(content_of(manifest_path(place(id))), manifest);
  EXPECT_EQ(content_of(index_path(place(id))), index);
}

TEST_F(Recovering, ASegmentThatIsNoneIsNamedAndPassedOver) {
  const std::string id = made();
  write_content(segment(id, 2), "not a segment");
  const auto report = store->recover(id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->exchanges, 3u);
  ASSERT_EQ(report->damaged.size(), 1u);
  EXPECT_EQ(report->damaged[0].segment, 2u);
  EXPECT_FALSE(report->damaged[0].reason.empty());
}

}  // namespace
}  // namespace sluice::session

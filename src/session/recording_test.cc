#include "session/recording.h"

#include <gtest/gtest.h>

#include <thread>

#include "capture/records.h"
#include "session/segments.h"
#include "session/session_test_support.h"

namespace sluice::session {
namespace {

// Segments and manifest on a disk in memory that fails to order; the index is on the real one.
struct Faults : capture::RingFixture, testing::Test {
  static constexpr const char* kDirectory = "/home/sessions/20250101000000_abcdefgh";
  TemporaryDirectory directory;
  FakeFileSystem faulty;
  std::unique_ptr<Recording> recording;

  Faults() {
    faulty.add_directory("/home/sessions");
    EXPECT_TRUE(open());
  }
  ~Faults() override {
    ring->hand_to(nullptr);
    recording.reset();
  }
  Status start(Profile profile = Profile::kFull) {
    RecordingOptions options;
    options.manifest.id = "20250101000000_abcdefgh";
    options.manifest.profile = profile;
    options.directory = kDirectory;
    options.index = directory.path() + "/index-" + std::to_string(++indexes) + ".db";
    auto begun = Recording::begin(options, faulty, clock, entropy);
    if (!begun) return fail(begun.error());
    recording = *std::move(begun);
    ring->hand_to(recording.get());
    return {};
  }
  void go_on() {
    ring->pump();
    recording->work();
    clock.advance(std::chrono::seconds(2));
    recording->work();
  }
  Status finish() {
    ring->pump();
    ring->hand_to(nullptr);
    return recording->finish();
  }
  // Whole exchanges that the segments hold, read as recovery does.
  std::size_t readable() {
    RowBuilder builder;
    std::size_t done = 0;
    const auto numbers = list_segments(faulty, kDirectory);
    if (!numbers) return 0;
    for (const std::uint32_t number : *numbers) {
      builder.begin_segment();
      const auto file = faulty.open(segment_path(kDirectory, number), OpenMode::kRead);
      if (!file) continue;
      auto reader = capture::SegmentReader::create(**file);
      if (!reader) continue;
      for (;;) {
        const auto step = reader->next();
        if (!step || *step == capture::SegmentReader::Step::kEnd) break;
        if (*step != capture::SegmentReader::Step::kRecord) continue;
        const auto& record = reader->record();
        const auto row = builder.take(record.type, record.subject, {number, 0, 0}, record.payload);
        if (row && row->state == flow::State::kDone) ++done;
      }
    }
    return done;
  }
  int indexes = 0;
};

TEST_F(Faults, AFullDiskCostsWhatDoesNotFitAndIsGoneOnWithLater) {
  ASSERT_TRUE(start());
  exchange({.target = "/before"});
  go_on();
  faulty.set_capacity(faulty.stored() + 200);
  exchange({.target = "/lost", .response_body = std::string(5'000, 'x')});
  go_on();
  EXPECT_EQ(ring->list({}, 0, 10).total, 2u) << "traffic goes on";
  EXPECT_GT(recording->manifest().dropped_writes, 0u);
  EXPECT_TRUE(recording->manifest().last_error);
  EXPECT_EQ(recording->manifest().recovery, Recovery::kError);
  faulty.heal();
  faulty.set_capacity(std::nullopt);
  clock.advance(std::chrono::seconds(2));
  exchange({.target = "/after"});
  go_on();
  ASSERT_TRUE(finish());
  EXPECT_EQ(recording->manifest().exchanges, 2u);
  EXPECT_EQ(readable(), 2u);
}

TEST_F(Faults, WhatEndedIsCountedBeforeTheIndexHasIt) {
  ASSERT_TRUE(start());
  for (int i = 0; i < 3; ++i) exchange({.target = "/" + std::to_string(i)});
  ring->pump();
  recording->work();
  EXPECT_EQ(recording->manifest().exchanges, 3u);
  ASSERT_TRUE(finish());
  EXPECT_EQ(recording->manifest().exchanges, 3u);
}

TEST_F(Faults, WhateverOperationFailsTheRestIsThere) {
  ASSERT_TRUE(start());
  const std::size_t before = faulty.operations();
  for (int i = 0; i < 3; ++i) exchange({.target = "/" + std::to_string(i)});
  go_on();
  ASSERT_TRUE(finish());
  const std::size_t steps = faulty.operations() - before;
  recording.reset();
  ASSERT_GT(steps, 3u);
  for (std::size_t step = 1; step <= steps; ++step) {
    ASSERT_TRUE(faulty.remove_tree(kDirectory));
    ASSERT_TRUE(start());
    exchange({.target = "/first"});
    go_on();
    faulty.fail_operation(step);
    for (int i = 0; i < 3; ++i) {
      exchange({.target = "/" + std::to_string(i)});
      go_on();
    }
    faulty.heal();
    (void)finish();
    const std::uint64_t counted = recording->manifest().exchanges;
    EXPECT_GE(readable(), 3u) << "step " << step << ": one failure costs one batch at most";
    EXPECT_GE(counted, readable()) << step;
    recording.reset();
  }
}

TEST_F(Faults, NothingIsLeftOfAStartThatFails) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(finish());
  recording.reset();
  ASSERT_TRUE(faulty.remove_tree(kDirectory));
  const std::size_t before = faulty.operations();
  ASSERT_TRUE(start());
  const std::size_t steps = faulty.operations() - before;
  ASSERT_TRUE(finish());
  recording.reset();
  for (std::size_t step = 2; step <= steps; ++step) {  // the first asks whether it is there
    ASSERT_TRUE(faulty.remove_tree(kDirectory));
    faulty.fail_operation(step);
    if (start()) continue;  // that one did not matter
    faulty.heal();
    EXPECT_FALSE(faulty.exists(manifest_path(kDirectory))) << step;
  }
}

TEST_F(Faults, AfterAPowerCutAllButTheLastSecondIsThere) {
  ASSERT_TRUE(start());
  exchange({.target = "/synced"});
  go_on();  // two seconds pass
  exchange({.target = "/lost"});
  ring->pump();
  recording->work();
  faulty.lose_unsynced();
  EXPECT_EQ(readable(), 1u);
}

TEST_F(Faults, ADiskThatDoesNotAnswerHoldsUpNothing) {
  ASSERT_TRUE(start());
  faulty.stall(true);
  exchange({.target = "/0"});
  ring->pump();
  std::thread writer([&] { recording->work(); });
  faulty.wait_for_stalled_append();
  const std::string large(100'000, 'x');
  for (int i = 0; i < 400; ++i) {
    exchange({.target = "/" + std::to_string(i), .response_body = large});
    ring->pump();  // returns
  }
  EXPECT_LE(recording->unwritten(), 32 * kMiB);
  EXPECT_EQ(ring->list({}, 0, 1'000).total, 401u);
  faulty.stall(false);
  writer.join();
  ASSERT_TRUE(finish());
  const Manifest manifest = recording->manifest();
  EXPECT_EQ(manifest.exchanges, 401u) << "small ones find room";
  EXPECT_GT(manifest.bytes_cut, 20 * kMiB) << "bodies are cut, and counted";
  EXPECT_NE(manifest.last_error.value_or("").find("bodies were not stored whole"), std::string::npos);
}

// What capture had no memory for, as its end says.
struct Cutting final : capture::Tap {
  capture::Tap& behind;
  ByteCount cut;
  Cutting(capture::Tap& tap, ByteCount octets) : behind(tap), cut(octets) {}
  void on_opened(std::uint64_t seq, Bytes uuid, Bytes payload, const flow::ConnectionPtr& connection) override {
    behind.on_opened(seq, uuid, payload, connection);
  }
  void on_record(capture::RecordType type, std::uint64_t seq, Bytes payload,
                 const flow::UpstreamPtr& upstream) override {
    std::string changed(payload);
    if (type == capture::RecordType::kEnded) capture::add_cuts(changed.data(), {0, cut});
    behind.on_record(type, seq, changed, upstream);
  }
  void on_body(capture::RecordType type, std::uint64_t seq, std::span<const Bytes> pieces) override {
    behind.on_body(type, seq, pieces);
  }
  void on_round_done() override { behind.on_round_done(); }
};

TEST_F(Faults, WhatWasCutBeforeItCameIsCountedToo) {
  ASSERT_TRUE(start());
  Cutting cutting(*recording, 5'000);
  ring->hand_to(&cutting);
  exchange({.target = "/1"});
  exchange({.target = "/2"});
  go_on();
  EXPECT_EQ(recording->manifest().bytes_cut, 10'000u);
  EXPECT_EQ(recording->manifest().last_error.value_or("").substr(0, 8), "2 bodies");
  ASSERT_TRUE(finish());
}

TEST_F(Faults, WhatTheProfileLeavesOutIsNoLoss) {
  ASSERT_TRUE(start(Profile::kPreview));
  Cutting cutting(*recording, 70'000);
  ring->hand_to(&cutting);
  exchange({.response_body = std::string(kPreviewBody, 'x')});
  go_on();
  EXPECT_EQ(recording->manifest().bytes_cut, 0u) << "behind the part that is kept";
  ring->hand_to(recording.get());
  exchange({.response_body = std::string(200'000, 'x')});
  go_on();
  EXPECT_EQ(recording->manifest().bytes_cut, 0u);
  EXPECT_FALSE(recording->manifest().last_error);
  ring->hand_to(&cutting);
  exchange({.response_body = std::string(kPreviewBody - 100, 'x')});
  go_on();
  EXPECT_EQ(recording->manifest().bytes_cut, 100u) << "so much of it would have been kept";
  ASSERT_TRUE(finish());
}

}  // namespace
}  // namespace sluice::session

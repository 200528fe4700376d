#include "capture/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "capture/capture_test_support.h"

namespace sluice::capture {
namespace {

struct Known {
  RecordType type;
  std::uint64_t subject;
  std::string payload;
  FramePlace place;
};

class SegmentTest : public testing::Test {
 protected:
  SegmentTest() { disk_.add_directory("/s"); }

  void write(const std::vector<std::string>& payloads) {
    SegmentText segment({1, 0x1234, WallTime(Duration(5))});
    std::uint64_t subject = 0;
    for (const std::string& payload : payloads) {
      const auto type = subject % 2 == 0 ? RecordType::kOpened : RecordType::kResponseBody;
      const Bytes pieces[] = {Bytes(payload).substr(0, payload.size() / 2), Bytes(payload).substr(payload.size() / 2)};
      const FramePlace place = segment.add(type, ++subject, pieces);
      known_.push_back({type, subject, payload, place});
    }
    content_ = segment.octets;
  }

  struct Found {
    std::vector<Known> records;
    std::vector<SegmentReader::Damage> damage;
    ByteCount padding = 0;
  };
  Found read(const std::string& content) {
    Found found;
    disk_.put("/s/read.seg", content);
    const auto file = disk_.open("/s/read.seg", OpenMode::kRead);
    auto reader = SegmentReader::create(**file);
    if (!reader) return found;
    for (;;) {
      const auto step = reader->next();
      found.padding = reader->padding();
      if (!step || *step == SegmentReader::Step::kEnd) return found;
      if (*step == SegmentReader::Step::kDamage) {
        found.damage.push_back(reader->damage());
      } else {
        const auto& record = reader->record();
        found.records.push_back({record.type, record.subject, std::string(record.payload), record.place});
      }
    }
  }
  // All records but those that touch [from, until), in order.
  void expect_all_but(const Found& found, ByteCount from, ByteCount until) {
    std::size_t next = 0;
    for (const Known& record : known_) {
      const bool touched = record.place.offset < until && record.place.offset + record.place.length > from;
      if (touched) continue;
      ASSERT_LT(next, found.records.size());
      EXPECT_EQ(found.records[next].payload, record.payload);
      EXPECT_EQ(found.records[next].subject, record.subject);
      EXPECT_EQ(found.records[next].place.offset, record.place.offset);
      ++next;
    }
    EXPECT_EQ(next, found.records.size());
  }

  FakeFileSystem disk_;
  std::vector<Known> known_;
  std::string content_;
};

TEST_F(SegmentTest, ReadsBackWhatWasWritten) {
  write({"one", "", std::string(20'000, 'x'), "four"});
  const Found found = read(content_);
  EXPECT_TRUE(found.damage.empty());
  expect_all_but(found, 0, 0);
}

TEST_F(SegmentTest, ReadsWhatStandsBeforeACutAnywhere) {
  write({"one", "two", std::string(100, 'x'), "four"});
  for (std::size_t cut = kSegmentHeaderSize; cut < content_.size(); ++cut) {
    const Found found = read(content_.substr(0, cut));
    expect_all_but(found, cut, content_.size());
    ASSERT_LE(found.damage.size(), 1u);
    if (!found.damage.empty()) {
      EXPECT_TRUE(found.damage[0].torn);
      EXPECT_EQ(found.damage[0].offset + found.damage[0].length, cut);
    }
  }
}

// A writer that was killed leaves the zeros of its last block (base/direct_file.h).
TEST_F(SegmentTest, TakesZerosAtTheEndForWhatAWriterLeft) {
  write({"one", "two", "three"});
  for (const std::size_t zeros : {1u, 23u, 24u, 4'095u}) {
    const Found found = read(content_ + std::string(zeros, '\0'));
    EXPECT_TRUE(found.damage.empty()) << zeros;
    EXPECT_EQ(found.padding, zeros);
    expect_all_but(found, 0, 0);
  }
}

TEST_F(SegmentTest, ZerosThatNoWriterLeavesAreDamage) {
  write({"one", "two", "three"});
  for (const std::string& rest :
       {std::string(4'096, '\0'), std::string(100, '\0') + '\1', '\1' + std::string(100, '\0')}) {
    const Found found = read(content_ + rest);
    ASSERT_EQ(found.damage.size(), 1u);
    EXPECT_EQ(found.damage[0].offset, content_.size());
    EXPECT_EQ(found.damage[0].length, rest.size());
    EXPECT_EQ(found.padding, 0u);
  }
}

TEST_F(SegmentTest, LosesOnlyTheRecordWhoseBitFlipped) {
  write({"one", "two", std::string(40, 'x'), "four", "five"});
  for (std::size_t at = kSegmentHeaderSize; at < content_.size(); ++at) {
    std::string flipped = content_;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    const Found found = read(flipped);
    expect_all_but(found, at, at + 1);
    ASSERT_EQ(found.damage.size(), 1u);
    EXPECT_LE(found.damage[0].offset, at);
    EXPECT_GT(found.damage[0].offset + found.damage[0].length, at);
  }
}

TEST_F(SegmentTest, GoesOnBehindOctetsThatWereWrittenOver) {
  write({"one", "two", std::string(300'000, 'x'), std::string(300'000, 'y'), "five"});
  std::string damaged = content_;
  const ByteCount from = known_[1].place.offset + 3, until = known_[3].place.offset + 5;
  for (ByteCount at = from; at < until; ++at) damaged[at] = '#';
  expect_all_but(read(damaged), from, until);
}

TEST_F(SegmentTest, TakesNoRecordThatAPeerPutIntoABody) {
  // A whole segment as a body, framed as records are: with another salt it is octets only.
  SegmentText forged({1, 0x9999, WallTime()});
  forged.add(RecordType::kEnded, 1, "forged");
  const std::string inner = forged.octets.substr(kSegmentHeaderSize);
  write({"one", inner + inner + inner, "three"});
  std::string damaged = content_;
  damaged[known_[1].place.offset] ^= 1;  // its length is not known any more: the search goes through the body
  const Found found = read(damaged);
  expect_all_but(found, known_[1].place.offset, known_[1].place.offset + 1);
}

// docs/formats/segment.md, "Example".
TEST_F(SegmentTest, WritesTheExampleOfTheDocument) {
  SegmentText segment({1, 0x0123456789abcdef, WallTime(std::chrono::seconds(1'700'000'000))});
  segment.add(RecordType::kResponseBody, 7, "hello");
  segment.add(RecordType::kResponseTrailers, 7, "Digest: x\r\n");
  EXPECT_EQ(hex_encode(segment.octets),
            "534c554943450d0a0100000000000000"
            "0100000000000000efcdab8967452301"
            "00002a36fe9c971700000000a328b6e0"
            "05000000070000000700000000000000"
            "9cd7b9e8ad35984368656c6c6f"
            "0b000000090000000700000000000000"
            "a511d8c616c0be76"
            "4469676573743a20780d0a");
}

TEST_F(SegmentTest, RefusesWhatIsNoSegmentOrALaterVersion) {
  write({"one"});
  const auto error_of = [&](std::string content) {
    disk_.put("/s/x", content);
    const auto file = disk_.open("/s/x", OpenMode::kRead);
    const auto reader = SegmentReader::create(**file);
    return reader ? std::string() : reader.error().message;
  };
  EXPECT_EQ(error_of(""), "not a segment");
  EXPECT_EQ(error_of(std::string(100, 'x')), "not a segment");
  std::string later = content_;
  later[8] = 3;
  EXPECT_EQ(error_of(later), "a segment of version 3; this program reads up to 2");
  std::string damaged = content_;
  damaged[20] ^= 1;
  EXPECT_EQ(error_of(damaged), "the segment's header is damaged");
  EXPECT_EQ(error_of(content_.substr(0, kSegmentHeaderSize - 1)), "the segment's header is damaged");
}

TEST_F(SegmentTest, SurvivesRandomOctets) {
  write({"one", std::string(600, 'x'), "three"});
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = content_;
    for (int hits = 0; hits < 20; ++hits) {
      damaged[kSegmentHeaderSize + random() % (damaged.size() - kSegmentHeaderSize)] = static_cast<char>(random());
    }
    const Found found = read(damaged);
    ByteCount at = kSegmentHeaderSize;
    for (const auto& damage : found.damage) EXPECT_GE(damage.offset, std::exchange(at, damage.offset + damage.length));
  }
}

}  // namespace
}  // namespace sluice::capture

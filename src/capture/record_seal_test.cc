#include "capture/record_seal.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "capture/capture_test_support.h"
#include "capture/octets.h"

namespace sluice::capture {
namespace {

Secret key_of(const SegmentHeader& header) {
  return derive_key("a session's key", std::to_string(header.salt) + "/" + std::to_string(header.number), "segment");
}

struct Found {
  std::vector<std::pair<std::uint64_t, std::string>> records;  // subject, payload
  std::vector<SegmentReader::Damage> damage;
  bool sealed = false;
};

class RecordSealTest : public testing::Test {
 protected:
  RecordSealTest() { disk_.add_directory("/s"); }

  static std::string header_octets(const SegmentHeader& header) {
    const auto octets = format_segment_header(header);
    return {octets.begin(), octets.end()};
  }
  static SegmentHeader header(std::uint64_t number = 1, std::uint64_t salt = 0x1234) {
    return {number, salt, WallTime(Duration(5)), true};
  }
  // A record as it stands at `offset`.
  static std::string record(const SegmentHeader& in, ByteCount offset, RecordType type, std::uint64_t subject,
                            Bytes payload) {
    RecordSeal seal(key_of, in, Aead::Use::kSeal);
    std::string octets(kFrameHeaderSize + payload.size() + kTagSize, '\0');
    EXPECT_TRUE(seal.write(octets.data(), type, subject, payload, offset, checksum_seed(in.salt)));
    return octets;
  }
  static std::string segment(const SegmentHeader& in, const std::vector<std::string>& payloads) {
    std::string octets = header_octets(in);
    std::uint64_t subject = 0;
    for (const std::string& payload : payloads) {
      octets += record(in, octets.size(), RecordType::kResponseBody, ++subject, payload);
    }
    return octets;
  }
  Found read(const std::string& content, bool with_key = true) {
    Found found;
    disk_.put("/s/read.seg", content);
    const auto file = disk_.open("/s/read.seg", OpenMode::kRead);
    const SealKey key = key_of;
    auto reader = SegmentReader::create(**file, with_key ? &key : nullptr);
    if (!reader) {
      found.damage.push_back({});
      return found;
    }
    for (;;) {
      const auto step = reader->next();
      if (!step || *step == SegmentReader::Step::kEnd) return found;
      if (*step == SegmentReader::Step::kDamage) {
        found.damage.push_back(reader->damage());
      } else {
        found.records.emplace_back(reader->record().subject, reader->record().payload);
        found.sealed = found.sealed || reader->record().sealed;
      }
    }
  }
  // With checksums made right again, as somebody would who can write the file.
  static void forge(std::string& content, std::size_t at, const std::string& frame_and_payload) {
    content.replace(at, frame_and_payload.size(), frame_and_payload);
    const std::uint32_t seed = checksum_seed(header().salt);
    std::uint32_t length = 0;
    std::memcpy(&length, content.data() + at, sizeof(length));
    std::uint64_t subject = 0;
    std::memcpy(&subject, content.data() + at + 8, sizeof(subject));
    write_frame(content.data() + at, static_cast<RecordType>(content[at + 4]), subject, length, seed);
  }
  static std::size_t span(std::size_t payload) { return kFrameHeaderSize + payload + kTagSize; }

  FakeFileSystem disk_;
};

TEST_F(RecordSealTest, GivesBackWhatWasWrittenAndShowsNothing) {
  const std::string content = segment(header(), {"first secret", "", std::string(300'000, 'x'), "last secret"});
  EXPECT_EQ(content.find("secret"), std::string::npos);
  EXPECT_EQ(content.find("xxxx"), std::string::npos);
  const Found found = read(content);
  ASSERT_EQ(found.records.size(), 4u);
  EXPECT_EQ(found.records[0].second, "first secret");
  EXPECT_EQ(found.records[1].second, "");
  EXPECT_EQ(found.records[2].second, std::string(300'000, 'x'));
  EXPECT_EQ(found.records[3], std::pair(std::uint64_t{4}, std::string("last secret")));
  EXPECT_TRUE(found.damage.empty());
  EXPECT_FALSE(found.sealed);
}

TEST_F(RecordSealTest, WithoutTheKeyFramesAndChecksumsCanBeLookedAt) {
  std::string content = segment(header(), {"one secret", "two secret"});
  const Found found = read(content, false);
  ASSERT_EQ(found.records.size(), 2u);
  EXPECT_TRUE(found.sealed);
  EXPECT_EQ(found.records[0].second.find("secret"), std::string::npos);
  content[kSegmentHeaderSize + kFrameHeaderSize + 2] ^= 1;
  EXPECT_EQ(read(content, false).damage.size(), 1u);
}

TEST_F(RecordSealTest, AFlippedBitCostsItsRecordAloneWhereverItIs) {
  const std::string content = segment(header(), {"first", "second", "third"});
  for (std::size_t at = kSegmentHeaderSize; at < content.size(); ++at) {
    std::string hurt = content;
    hurt[at] = static_cast<char>(hurt[at] ^ (1 << (at % 8)));
    const Found found = read(hurt);
    EXPECT_EQ(found.records.size(), 2u) << at;
    EXPECT_EQ(found.damage.size(), 1u) << at;
  }
}

TEST_F(RecordSealTest, AFlippedBitWithItsChecksumMadeRightIsFound) {
  const std::string content = segment(header(), {"first", "second", "third"});
  const std::size_t second = kSegmentHeaderSize + span(5);
  // The payload, its tag, its type and its subject.
  for (const std::size_t at : {24u, 27u, 30u, 45u, 4u, 8u, 15u}) {
    std::string hurt = content, frame = content.substr(second, span(6));
    frame[at] = static_cast<char>(frame[at] ^ 1);
    forge(hurt, second, frame);
    const Found found = read(hurt);
    EXPECT_EQ(found.records.size(), 2u) << at;
    ASSERT_EQ(found.damage.size(), 1u) << at;
    EXPECT_EQ(found.damage[0].offset, second);
    EXPECT_EQ(found.damage[0].length, span(6));
  }
}

TEST_F(RecordSealTest, RecordsCannotChangePlaces) {
  const std::string content = segment(header(), {"first", "other", "third"});
  const std::size_t size = span(5);
  const auto at = [&](std::size_t number) { return kSegmentHeaderSize + number * size; };
  std::string swapped = content;
  swapped.replace(at(0), size, content.substr(at(1), size)).replace(at(1), size, content.substr(at(0), size));
  EXPECT_EQ(read(swapped).records.size(), 1u);
  EXPECT_EQ(read(swapped).records[0].second, "third");
  const std::string twice = content + content.substr(at(2), size);
  EXPECT_EQ(read(twice).records.size(), 3u) << "and none is read twice";
  std::string without = content;
  without.erase(at(0), size);  // what is behind it stands elsewhere then
  EXPECT_EQ(read(without).records.size(), 0u);
}

TEST_F(RecordSealTest, RecordsOfAnotherSegmentAreNotTaken) {
  // The same salt, so that checksums are right.
  const std::string one = segment(header(1), {"first", "other"}), two = segment(header(2), {"alien", "other"});
  std::string mixed = one;
  mixed.replace(kSegmentHeaderSize, span(5), two.substr(kSegmentHeaderSize, span(5)));
  const Found found = read(mixed);
  ASSERT_EQ(found.records.size(), 1u);
  EXPECT_EQ(found.records[0].second, "other");
  const std::string renamed = header_octets(header(1)) + two.substr(kSegmentHeaderSize);
  EXPECT_EQ(read(renamed).records.size(), 0u);
}

TEST_F(RecordSealTest, ASegmentInClearIsNoneOfAnEncryptedRecording) {
  SegmentText clear({1, 0x1234, WallTime(Duration(5))});
  clear.add(RecordType::kOpened, 1, "forged");
  disk_.put("/s/clear.seg", clear.octets);
  const auto file = disk_.open("/s/clear.seg", OpenMode::kRead);
  const SealKey key = key_of;
  EXPECT_EQ(SegmentReader::create(**file, &key).error().code, Code::kRefused);
  EXPECT_TRUE(SegmentReader::create(**file));
}

TEST_F(RecordSealTest, ARecordTooShortToBeSealedIsDamage) {
  std::string content = header_octets(header());
  const Bytes pieces[] = {"tiny"};
  const auto frame = format_frame(RecordType::kOpened, 1, pieces, checksum_seed(header().salt));
  content.append(frame.begin(), frame.end()).append("tiny");
  const Found found = read(content);
  EXPECT_TRUE(found.records.empty());
  EXPECT_EQ(found.damage.size(), 1u);
}

// What a manifest says of its recording stands in clear, so that a lost one can be made again with the key alone.
TEST_F(RecordSealTest, WhatTheSegmentSaysOfItsSessionStandsInClear) {
  std::string content = header_octets(header());
  const Bytes pieces[] = {"{}"};
  const auto frame = format_frame(RecordType::kSession, 0, pieces, checksum_seed(header().salt));
  content.append(frame.begin(), frame.end()).append("{}");
  EXPECT_EQ(read(content).records.at(0).second, "{}");
  EXPECT_EQ(read(content, false).records.at(0).second, "{}");
}

}  // namespace
}  // namespace sluice::capture

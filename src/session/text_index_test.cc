#include "session/text_index.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/crc32c.h"
#include "codings/codings.h"
#include "session/session_test_support.h"

namespace sluice::session {
namespace {

namespace fs = std::filesystem;

struct TextIndex : StoreFixture, testing::Test {
  std::shared_ptr<FileSystem> disk = std::make_shared<SystemFileSystem>();

  // Makes the index of what was recorded; how many octets of text it took in.
  ByteCount seal(const std::string& id) {
    Index index(index_path(place(id)));
    EXPECT_TRUE(index.open_to_read());
    const auto text = extend_text_index(disk, place(id), index, nullptr, [] { return false; });
    EXPECT_TRUE(text) << text.error().message;
    return text.value_or(0);
  }
  std::int64_t made(const std::string& id) {
    Index index(index_path(place(id)));
    EXPECT_TRUE(index.open_to_read());
    return index.made();
  }
  // Those that a search would still read, by seq.
  std::vector<std::uint64_t> looked_at(const std::string& id, std::string_view text, std::uint64_t count) {
    const WithoutText without = find_text(disk, place(id), made(id), nullptr, text);
    std::vector<std::uint64_t> seqs;
    for (std::uint64_t seq = 1; seq <= count; ++seq) {
      if (!without.holds_none(seq)) seqs.push_back(seq);
    }
    return seqs;
  }
  std::string filler(std::size_t size, int salt) {
    std::string text;
    while (text.size() < size) text += "{\"n\":" + std::to_string(salt) + ",\"word\":\"lorem\"},";
    return text;
  }
};
using Seqs = std::vector<std::uint64_t>;

TEST_F(TextIndex, LeavesWhatHoldsTheTextAndLittleElse) {
  std::vector<Spec> specs;
  for (int i = 0; i < 40; ++i) specs.push_back({.response_body = filler(70'000, i)});
  specs[6].response_body += "Needle-In-Here";
  specs[20].request_body = filler(100, 3) + "asked for zyxwv";
  const std::string id = record(specs, {.profile = Profile::kFull});
  EXPECT_EQ(looked_at(id, "needle", 40).size(), 40u) << "nothing is passed over before there is an index";
  EXPECT_GT(seal(id), 40u * 70'000u);
  // The end of one body and the beginning of the next share a page.
  EXPECT_EQ(looked_at(id, "needle-in-here", 40), (Seqs{7, 8}));
  EXPECT_EQ(looked_at(id, "NEEDLE-IN", 40), (Seqs{7, 8})) << "in any case";
  EXPECT_EQ(looked_at(id, "zyxwv", 40), (Seqs{21, 22}));
  EXPECT_EQ(looked_at(id, "qqqqqq", 40), Seqs{});
  EXPECT_EQ(looked_at(id, "lorem", 40).size(), 40u);
  EXPECT_EQ(looked_at(id, "ne", 40).size(), 40u) << "shorter than what is looked up";
  EXPECT_EQ(seal(id), 0u) << "there is nothing left to do";
}

TEST_F(TextIndex, ATextAcrossTheBorderOfTwoPagesIsFound) {
  std::vector<Spec> specs;
  for (std::size_t shift = 0; shift < 12; ++shift) {
    std::string body(65'536 - shift, '.');
    specs.push_back({.response_body = body + "straddling" + std::string(70'000, '.')});
  }
  const std::string id = record(specs, {.profile = Profile::kFull});
  seal(id);
  EXPECT_EQ(looked_at(id, "straddling", 12).size(), 12u);
}

TEST_F(TextIndex, CodedBodiesAreDecodedAndThoseThatAreNoTextHoldNone) {
  const std::string plain = filler(5'000, 1) + "hidden-in-gzip";
  const auto coded = codings::encode_all(plain, {codings::Coding::kGzip});
  ASSERT_TRUE(coded);
  const std::string id = record({{.response_body = *coded, .response_fields = "Content-Encoding: gzip\r\n"},
                                 {.response_body = std::string("\0hidden-in-gzip", 15)}});
  seal(id);
  EXPECT_EQ(looked_at(id, "hidden-in-gzip", 2), Seqs{1});
}

TEST_F(TextIndex, DamageOrAnotherIndexMeansThatBodiesAreRead) {
  const std::string id = record({{.response_body = filler(70'000, 1)}, {.response_body = filler(70'000, 2) + "second"}},
                                {.profile = Profile::kFull});
  seal(id);
  ASSERT_EQ(looked_at(id, "second", 2), Seqs{2});
  const fs::path file = fs::directory_iterator(place(id) + "/text")->path();
  const std::string whole = content_of(file);
  for (std::size_t at = 0; at < whole.size(); at += at < 200 ? 1 : 9'973) {
    std::string hurt = whole;
    hurt[at] = static_cast<char>(hurt[at] ^ 0x10);
    write_content(file, hurt);
    const Seqs left = looked_at(id, "second", 2);
    ASSERT_TRUE(std::count(left.begin(), left.end(), 2)) << at;
  }
  write_content(file, whole.substr(0, whole.size() / 2));
  EXPECT_EQ(looked_at(id, "second", 2).size(), 2u);
  write_content(file, whole);
  ASSERT_TRUE(store->recover(id));  // another index: its blocks may be others
  EXPECT_EQ(looked_at(id, "second", 2).size(), 2u);
  EXPECT_GT(seal(id), 0u);
  EXPECT_EQ(looked_at(id, "second", 2), Seqs{2});
}

TEST_F(TextIndex, AFileWithRowsThatItsPagesDoNotFillIsNone) {
  const std::string id =
      record({{.response_body = filler(70'000, 1)}, {.response_body = filler(70'000, 2)}}, {.profile = Profile::kFull});
  seal(id);
  const fs::path file = fs::directory_iterator(place(id) + "/text")->path();
  const std::string whole = content_of(file);
  constexpr std::size_t kStride = 20, kHeader = 56;  // docs/formats/session.md
  for (const std::uint32_t stride : {0u, 4u, 4'096u, ~0u}) {
    std::string made = whole;
    std::memcpy(made.data() + kStride, &stride, sizeof(stride));
    const std::uint32_t checksum = crc32c(Bytes(made).substr(0, kHeader - 4));
    std::memcpy(made.data() + kHeader - 4, &checksum, sizeof(checksum));
    write_content(file, made);
    EXPECT_EQ(looked_at(id, "second", 2).size(), 2u) << stride;
  }
}

TEST_F(TextIndex, WhatTheRecordingStillGrowsByIsReadUntilItIsThere) {
  const std::string id = start({.profile = Profile::kFull});
  ring->set_pump_thread(false);
  std::thread writer([&] { store->write_until_stopped(); });
  for (int i = 0; i < 600; ++i) exchange({.response_body = i == 3 || i == 598 ? "wanted words" : "other words"});
  (void)store->open(id);
  seal(id);
  EXPECT_EQ(looked_at(id, "wanted", 600).size(), 600u) << "less than a file of it: searches read it";
  store->end();
  writer.join();
  stop();
  seal(id);
  const Seqs left = looked_at(id, "wanted", 600);
  EXPECT_TRUE(std::count(left.begin(), left.end(), 4) == 1 && std::count(left.begin(), left.end(), 599) == 1);
}

}  // namespace
}  // namespace sluice::session

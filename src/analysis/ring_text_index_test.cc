#include "analysis/ring_text_index.h"

#include <gtest/gtest.h>

#include <random>

#include "analysis/search.h"
#include "capture/capture_test_support.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;

constexpr const char* kDirectory = "/home/spool/42-abc/text";

class RingTextIndexTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override {
    options.limits.ring_exchanges = 300;
    ASSERT_TRUE(open());
    index.emplace(*ring, disk, clock, kDirectory, 256 * kKiB);
  }
  void TearDown() override { index.reset(); }

  std::string words(std::size_t count) {
    static constexpr std::array<const char*, 8> kWords = {"heron", "Inlet", "quarry", "sk-live",
                                                          "moss",  "tern",  "ash",    "fen"};
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      text += kWords[chance() % kWords.size()];
      text += " " + std::to_string(chance() % 10'000) + " ";
    }
    return text;
  }
  // Of every kind that a search looks at.
  void fill(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Spec spec{.target = "/" + words(1), .response_body = words(500 + chance() % 200)};
      spec.target.erase(std::remove(spec.target.begin(), spec.target.end(), ' '), spec.target.end());
      if (i % 5 == 1) spec.request_body = words(40);
      if (i % 7 == 2) {
        spec.response_body = *codings::encode_all(spec.response_body, {codings::Coding::kGzip});
        spec.response_fields = "Content-Encoding: gzip\r\n";
      }
      if (i % 11 == 3) spec.response_body = std::string(1, '\0') + words(20);
      if (i % 13 == 4) spec.request_fields = "X-Words: " + words(4) + "\r\n Folded: " + words(2) + "\r\n";
      if (i % 17 == 5) spec.response_body.clear();
      if (i % 19 == 6) spec.request_fields = "Authorization: Bearer " + words(1) + "\r\n";
      exchange(spec);
    }
    ring->sync();
  }
  void make() {
    index->want();
    while (index->work()) {
    }
  }
  SearchResult find(SearchQuery query) {
    auto result = search(*ring, query);
    EXPECT_TRUE(result);
    return result ? *std::move(result) : SearchResult{};
  }
  void expect_same(SearchQuery query) {
    query.index = nullptr;
    const SearchResult all = find(query);
    query.index = &*index;
    const SearchResult some = find(query);
    EXPECT_EQ(all.total, some.total) << query.text;
    EXPECT_EQ(all.searched, some.searched) << query.text;
    EXPECT_EQ(all.whole, some.whole) << query.text;
    EXPECT_EQ(all.rev, some.rev) << query.text;
    ASSERT_EQ(all.hits.size(), some.hits.size()) << query.text;
    for (std::size_t i = 0; i < all.hits.size(); ++i) {
      EXPECT_EQ(all.hits[i].id, some.hits[i].id);
      EXPECT_EQ(all.hits[i].place, some.hits[i].place);
    }
  }
  std::size_t passed_over(std::string_view text) {
    const WithoutText without = index->without(text);
    std::size_t count = 0;
    for (std::uint64_t rev = 1; rev <= ring->last_rev(); ++rev) count += without.holds_none(rev) ? 1 : 0;
    return count;
  }
  std::size_t files() { return disk.list(kDirectory).value_or(std::vector<std::string>()).size(); }

  std::mt19937 chance{3};
  std::optional<RingTextIndex> index;
};

TEST_F(RingTextIndexTest, SearchesAnswerTheSameWithItAndWithoutIt) {
  fill(200);
  exchange({.response_body = words(50) + "a needleinhay" + words(50)});
  fill(60);
  make();
  EXPECT_GT(files(), 3u);
  EXPECT_GT(passed_over("needleinhay"), 200u);
  Redactor redactor(entropy);
  for (const Redactor* masks : {static_cast<const Redactor*>(nullptr), static_cast<const Redactor*>(&redactor)}) {
    for (const bool newest_first : {false, true}) {
      for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, std::size_t{1'000}}) {
        SearchQuery query{.limit = limit, .newest_first = newest_first, .redactor = masks};
        for (const char* text : {"needleinhay", "NEEDLEinhay", "nowhere at all", "heron", "moss 12", "moss 1234 ",
                                 "inlet 77", "folded", "sk-live 99", "ab", "x", "", "a needleinhaystack"}) {
          query.text = text;
          expect_same(query);
        }
        for (int i = 0; i < 20; ++i) {
          query.text = words(2);
          expect_same(query);
        }
      }
    }
  }
}

TEST_F(RingTextIndexTest, IsMadeForThoseWhoSearchAlone) {
  fill(100);
  EXPECT_FALSE(index->work());
  EXPECT_EQ(files(), 0u);
  make();
  const std::size_t made = files();
  EXPECT_GT(made, 0u);
  clock.advance(RingTextIndex::kStays + std::chrono::minutes(1));
  fill(100);
  EXPECT_FALSE(index->work());
  EXPECT_EQ(files(), made);
  make();
  EXPECT_GT(files(), made);
  expect_same({.text = "quarry 42"});
}

TEST_F(RingTextIndexTest, WhatLeftTheRingLeavesTheDisk) {
  fill(200);
  make();
  const std::size_t before = files();
  fill(250);
  (void)index->work();
  EXPECT_LT(disk.list(kDirectory)->front(), disk.list(kDirectory)->back());
  make();
  expect_same({.text = "tern 7"});
  ring->clear();
  (void)index->work();
  EXPECT_EQ(files(), 0u);
  EXPECT_GT(before, 0u);
  EXPECT_TRUE(index->without("nowhere at all").empty());
}

TEST_F(RingTextIndexTest, AFullDiskOnlyMakesSearchesSlower) {
  fill(100);
  disk.set_capacity(disk.stored() + 1'000);
  make();
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(passed_over("nowhere at all"), 0u);
  expect_same({.text = "heron 1"});
}

TEST_F(RingTextIndexTest, WhatIsDamagedIsNotBelieved) {
  fill(150);
  exchange({.response_body = "needleinhay"});
  fill(40);
  make();
  const std::vector<std::string> names = disk.list(kDirectory).value();
  for (const std::string& name : names) {
    std::string octets = *disk.content(kDirectory + ("/" + name));
    for (std::size_t at = 3'000; at < octets.size(); at += 5) octets[at] = '\0';
    disk.put(kDirectory + ("/" + name), octets);
  }
  EXPECT_EQ(passed_over("needleinhay"), 0u);
  expect_same({.text = "needleinhay"});
}

}  // namespace
}  // namespace sluice::analysis

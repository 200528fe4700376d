#include "session/index.h"

#include <fmt/format.h>

#include "session/session_test_support.h"

namespace sluice::session {
namespace {

struct IndexTest : testing::Test {
  IndexTest() { EXPECT_TRUE(index.create()); }
  static std::string id_of(std::uint64_t seq) { return fmt::format("00000000-0000-4000-8000-{:012x}", seq * 7919); }
  // Each segment holds the beginnings of a thousand.
  void add(std::uint64_t from, std::uint64_t to) {
    std::vector<Row> rows;
    for (std::uint64_t seq = from; seq <= to; ++seq) {
      Row row;
      row.seq = seq;
      row.id = id_of(seq);
      row.timestamp_ms = 1'000'000 + static_cast<std::int64_t>(seq);
      row.method = "GET";
      row.host = "example.com";
      row.target = fmt::format("/{}", seq);
      row.url = "https://example.com" + row.target;
      row.opened = {static_cast<std::uint32_t>(1 + (seq - 1) / 1'000), 48, 100};
      rows.push_back(std::move(row));
    }
    const Status added = index.add(rows);
    EXPECT_TRUE(added) << added.error().message;
  }
  std::uint64_t seq_of(const std::string& id) {
    const auto row = index.find(id);
    EXPECT_TRUE(row);
    return row && *row ? (*row)->seq : 0;
  }

  TemporaryDirectory directory;
  Index index{directory.path() + "/index.db"};
};

TEST_F(IndexTest, RowsAreFoundByIdInWhicheverRunTheyStand) {
  add(1, 40'000);
  for (const std::uint64_t seq : {1u, 2u, 16'383u, 16'384u, 16'385u, 32'768u, 39'999u, 40'000u}) {
    EXPECT_EQ(seq_of(id_of(seq)), seq);
  }
  EXPECT_EQ(seq_of(id_of(40'001)), 0u);
  EXPECT_EQ(seq_of(""), 0u);
  add(40'000, 40'000);  // once more
  EXPECT_EQ(seq_of(id_of(40'000)), 40'000u);
  EXPECT_EQ(index.size().value_or(0), 40'000u);
  // Sealed there are no rows but in runs.
  ASSERT_TRUE(index.seal());
  for (const std::uint64_t seq : {1u, 8'191u, 8'192u, 8'193u, 32'769u, 40'000u}) EXPECT_EQ(seq_of(id_of(seq)), seq);
  EXPECT_EQ(seq_of(id_of(40'001)), 0u);
}

TEST_F(IndexTest, IdsAreFoundWhileSomebodyElseWrites) {
  for (std::uint64_t seq = 1; seq <= 9'000; seq += 100) add(seq, seq + 99);
  Index reader(directory.path() + "/index.db");
  ASSERT_TRUE(reader.open_to_read());
  const auto found = [&](std::uint64_t seq) { return reader.find(id_of(seq)).value_or(std::nullopt).has_value(); };
  EXPECT_TRUE(found(1));
  EXPECT_TRUE(found(9'000));
  EXPECT_FALSE(found(9'001));
  add(9'001, 9'001);
  EXPECT_TRUE(found(9'001));
}

TEST_F(IndexTest, RowsOfDroppedSegmentsAreGoneAndTheOthersStay) {
  add(1, 20'500);
  std::uint64_t dropped = 0;
  ASSERT_TRUE(index.drop_segment(18, dropped));
  EXPECT_EQ(dropped, 18'000u);
  EXPECT_EQ(seq_of(id_of(18'000)), 0u);
  EXPECT_EQ(seq_of(id_of(18'001)), 18'001u);
  EXPECT_EQ(seq_of(id_of(20'500)), 20'500u);
  EXPECT_EQ(index.match({})->rows.size(), 2'500u);
  ASSERT_TRUE(index.drop_segment(18, dropped));
  EXPECT_EQ(dropped, 18'000u) << "nothing more";
  ASSERT_TRUE(index.drop_segment(21, dropped));
  EXPECT_EQ(dropped, 20'500u);
  EXPECT_EQ(seq_of(id_of(20'500)), 0u);
  EXPECT_EQ(index.match({})->rows.size(), 0u);
}

TEST_F(IndexTest, ASieveHasTheLastWord) {
  add(1, 1'000);
  std::uint64_t asked = 0;
  const Sieve even{[&](const RowBrief& row) {
                     ++asked;
                     EXPECT_EQ(row.host, "example.com");
                     EXPECT_TRUE(row.url.starts_with("https://example.com/1")) << row.url;
                     EXPECT_EQ(row.id.size(), 36u);
                     return (row.url.back() - '0') % 2 == 0;
                   },
                   {}};
  const Query query{.url_contains = "COM/1"};
  const auto all = index.match(query);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->rows.size(), 112u);
  for (const bool ascending : {true, false}) {
    asked = 0;
    Query ordered = query;
    ordered.ascending = ascending;
    const auto some = index.match(ordered, &even);
    ASSERT_TRUE(some);
    EXPECT_EQ(asked, 112u);
    EXPECT_EQ(some->rows.size(), 56u);  // 10 to 18, 100 to 198, 1000
    EXPECT_TRUE(std::is_sorted(some->rows.begin(), some->rows.end()));
    EXPECT_FALSE(some->ended_after);
  }
}

TEST_F(IndexTest, ASieveThatHasEnoughLeavesTheNewestOrTheOldest) {
  add(1, 1'000);
  for (const bool ascending : {true, false}) {
    int blocks = 0;
    const Sieve two_blocks{[](const RowBrief&) { return true; }, [&] { return ++blocks > 2; }};
    Query query;
    query.ascending = ascending;
    const auto some = index.match(query, &two_blocks);
    ASSERT_TRUE(some);
    EXPECT_EQ(some->ended_after, some->rows.size());
    ASSERT_FALSE(some->rows.empty());
    EXPECT_TRUE(std::is_sorted(some->rows.begin(), some->rows.end()));
    EXPECT_EQ(ascending ? some->rows.front().seq : some->rows.back().seq, ascending ? 1u : 1'000u);
    EXPECT_LT(some->rows.size(), 1'000u);
  }
}

}  // namespace
}  // namespace sluice::session

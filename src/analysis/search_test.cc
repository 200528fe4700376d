#include "analysis/search.h"

#include <gtest/gtest.h>

#include "analysis/body.h"
#include "capture/capture_test_support.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;
using codings::Coding;

std::string coded(std::string_view text, Coding coding) { return *codings::encode_all(text, {coding}); }

class SearchTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  SearchResult find(SearchQuery query) {
    ring->sync();
    auto result = search(*ring, query);
    EXPECT_TRUE(result);
    return result ? *std::move(result) : SearchResult{};
  }
  flow::Exchange last() {
    ring->sync();
    return ring->list({}, -1, 1).exchanges.at(0);
  }
};

TEST_F(SearchTest, FindsInUrlsHeaderValuesAndBodiesAndSaysWhere) {
  exchange({.target = "/path?q=NEEDLE"});
  exchange({.response_fields = "X-A: has a Needle in it\r\n"});
  exchange({.request_body = "a needle", .response_body = "nothing"});
  exchange({.response_body = "some NeEdLe here"});
  exchange({.response_fields = "Needle: a name only\r\n"});
  exchange({.response_body = std::string("\0needle", 7)});
  const SearchResult result = find({.text = "needle"});
  ASSERT_EQ(result.hits.size(), 4u);
  EXPECT_EQ(result.total, 4u);
  EXPECT_EQ(result.searched, 6u);
  EXPECT_EQ(to_string(result.hits[0].place), "url");
  EXPECT_EQ(to_string(result.hits[1].place), "response_header");
  EXPECT_EQ(result.hits[1].snippet, "has a Needle in it");
  EXPECT_EQ(to_string(result.hits[2].place), "request_body");
  EXPECT_EQ(to_string(result.hits[3].place), "response_body");
  EXPECT_EQ(result.hits[3].snippet, "some NeEdLe here");
}

TEST_F(SearchTest, LooksOnlyWhereItIsAskedTo) {
  exchange({.target = "/needle", .response_body = "needle", .response_fields = "A: needle\r\n"});
  EXPECT_EQ(find({.text = "needle", .in_headers = false, .in_bodies = false}).hits.at(0).place, Place::kUrl);
  EXPECT_EQ(find({.text = "needle", .in_url = false, .in_bodies = false}).hits.at(0).place, Place::kResponseHeader);
  EXPECT_EQ(find({.text = "needle", .in_url = false, .in_headers = false}).hits.at(0).place, Place::kResponseBody);
  EXPECT_EQ(find({.text = "needle", .in_url = false, .in_headers = false, .in_bodies = false}).total, 0u);
}

TEST_F(SearchTest, DecodesBodies) {
  const std::string text = std::string(300'000, 'x') + "needle" + std::string(300'000, 'y');
  exchange({.response_body = coded(text, Coding::kGzip), .response_fields = "Content-Encoding: gzip\r\n"});
  exchange({.response_body = coded(text, Coding::kBrotli), .response_fields = "content-encoding: br\r\n"});
  exchange({.response_body = coded(text, Coding::kZstd), .response_fields = "Content-Encoding: zstd\r\n"});
  exchange({.response_body = "needle, in truth not coded", .response_fields = "Content-Encoding: unheard-of\r\n"});
  EXPECT_EQ(find({.text = "xNEEDLEy"}).total, 3u);
  EXPECT_EQ(find({.text = "needle", .body_budget = 100'000}).total, 1u);
}

TEST_F(SearchTest, FindsATextAcrossAnyTwoPieces) {
  for (std::size_t before = 256 * kKiB - 8; before <= 256 * kKiB; ++before) {
    exchange({.response_body = std::string(before, 'x') + "needle" + std::string(before, 'y')});
  }
  EXPECT_EQ(find({.text = "needle"}).total, 9u);
}

TEST_F(SearchTest, PagesAndFilters) {
  for (int i = 0; i < 10; ++i) exchange({.host = i % 2 == 0 ? "a.example" : "b.example", .response_body = "needle"});
  const SearchResult page = find({.text = "needle", .offset = 8, .limit = 5});
  EXPECT_EQ(page.total, 10u);
  EXPECT_EQ(page.hits.size(), 2u);
  EXPECT_EQ(find({.text = "needle", .filter = {.host_contains = "b.ex"}}).total, 5u);
}

TEST_F(SearchTest, EndsWhenAskedToAndRefusesAnEmptyText) {
  exchange({.response_body = "needle"});
  ring->sync();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(search(*ring, {.text = "needle", .stop = stop.get_token()}).error().code, Code::kCancelled);
  EXPECT_EQ(search(*ring, {}).error().code, Code::kInvalid);
}

TEST_F(SearchTest, PassesOverBodiesThatLeftTheDisk) {
  exchange({.response_body = "needle"});
  exchange({.target = "/needle"});
  ring->sync();
  disk.fail_from(1);
  const auto result = search(*ring, {.text = "needle"});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->total, 1u);
  disk.heal();
}

TEST_F(SearchTest, ABodyIsShownInWindows) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + ",";
  exchange({.response_body = coded(text, Coding::kGzip), .response_fields = "Content-Encoding: gzip\r\n"});
  const flow::Exchange exchange = last();
  std::string joined;
  std::optional<ByteCount> offset = 0;
  while (offset) {
    const auto window = decode_body(*ring, exchange, flow::Direction::kResponse, {.offset = *offset, .limit = 70'000});
    ASSERT_TRUE(window);
    EXPECT_EQ(window->total, text.size());
    EXPECT_EQ(window->content_encoding, "gzip");
    EXPECT_TRUE(window->complete);
    joined += window->octets;
    offset = window->next_offset;
  }
  EXPECT_TRUE(joined == text);
  const auto wire =
      decode_body(*ring, exchange, flow::Direction::kResponse, {.offset = 2, .limit = 5, .form = Form::kAsOnWire});
  ASSERT_TRUE(wire);
  EXPECT_EQ(wire->total, exchange.response.body.stored);
  EXPECT_EQ(wire->next_offset, 7u);
  const auto quick = decode_body(*ring, exchange, flow::Direction::kResponse, {.limit = 10, .measure = false});
  EXPECT_FALSE(quick->total);
  EXPECT_EQ(quick->next_offset, 10u);
}

TEST_F(SearchTest, SaysWhatIsWrongWithABody) {
  exchange({.response_body = coded("a text that is cut", Coding::kGzip).substr(0, 25),
            .response_fields = "Content-Encoding: gzip\r\n"});
  const auto window = decode_body(*ring, last(), flow::Direction::kResponse, {});
  ASSERT_TRUE(window);
  EXPECT_EQ(window->problem, "the coded data ends early");
  EXPECT_FALSE(window->complete);
  exchange({.response_body = ""});
  const auto empty = decode_body(*ring, last(), flow::Direction::kResponse, {});
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->total, 0u);
  EXPECT_TRUE(empty->complete);
}

TEST_F(SearchTest, ABombCostsItsBudget) {
  exchange({.response_body = coded(std::string(64 << 20, 'x'), Coding::kGzip),
            .response_fields = "Content-Encoding: gzip\r\n"});
  const auto window = decode_body(*ring, last(), flow::Direction::kResponse, {.limit = 10, .budget = 1 * kMiB});
  ASSERT_TRUE(window);
  EXPECT_EQ(window->octets, "xxxxxxxxxx");
  EXPECT_FALSE(window->problem.empty());
  EXPECT_FALSE(window->complete);
}

}  // namespace
}  // namespace sluice::analysis

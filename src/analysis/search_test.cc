#include "analysis/search.h"

#include <gtest/gtest.h>

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
  ASSERT_EQ(result.hits.size(), 5u);
  EXPECT_EQ(result.total, 5u);
  EXPECT_EQ(result.searched, 6u);
  EXPECT_TRUE(result.whole);
  EXPECT_EQ(to_string(result.hits[0].place), "url");
  EXPECT_EQ(to_string(result.hits[1].place), "response_header");
  EXPECT_EQ(to_string(result.hits[2].place), "request_body");
  EXPECT_EQ(to_string(result.hits[3].place), "response_body");
  EXPECT_EQ(to_string(result.hits[4].place), "response_body") << "binary bodies hold texts too";
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

TEST_F(SearchTest, NewestFirstLooksNoFurtherThanAPage) {
  for (int i = 0; i < 1'000; ++i) exchange({.target = i % 10 == 0 ? "/needle/" + std::to_string(i) : "/hay"});
  std::vector<std::string> seen;
  SearchQuery query{.text = "needle", .limit = 30, .newest_first = true};
  std::size_t searched = 0;
  for (int page = 0; page < 4; ++page) {
    const SearchResult found = find(query);
    for (const SearchHit& hit : found.hits) seen.push_back(ring->find(hit.id)->target);
    EXPECT_EQ(found.whole, page == 3);
    searched += found.searched;
    query.filter.before_rev = found.rev;
    exchange({.target = "/needle/later"});
  }
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen.front(), "/needle/990");
  EXPECT_EQ(seen.back(), "/needle/0");
  EXPECT_EQ(searched, 1'000u);
  query.filter.before_rev.reset();
  query.enough = [] { return true; };
  EXPECT_FALSE(find(query).whole);
}

TEST_F(SearchTest, PagesAndFilters) {
  for (int i = 0; i < 10; ++i) exchange({.host = i % 2 == 0 ? "a.example" : "b.example", .response_body = "needle"});
  const SearchResult page = find({.text = "needle", .offset = 8, .limit = 5});
  EXPECT_EQ(page.total, 10u);
  EXPECT_EQ(page.hits.size(), 2u);
  EXPECT_EQ(find({.text = "needle", .filter = {.host_contains = "b.ex"}}).total, 5u);
}

TEST_F(SearchTest, EndsWhenAskedTo) {
  for (int i = 0; i < 200; ++i) exchange({.response_body = "needle"});
  ring->sync();
  std::stop_source stop;
  const auto cancelled = search(*ring, {.text = "needle", .stop = stop.get_token(), .progress = [&](auto done, auto) {
                                          EXPECT_EQ(done, 64u);
                                          stop.request_stop();
                                        }});
  EXPECT_EQ(cancelled.error().code, Code::kCancelled);
  int left = 3;
  const SearchResult part = find({.text = "needle", .enough = [&] { return left-- == 0; }});
  EXPECT_FALSE(part.whole);
  EXPECT_EQ(part.searched, 3u);
  EXPECT_EQ(part.total, 3u);
}

// --- masked: what may not be read may not be found ---

class MaskedSearchTest : public SearchTest {
 protected:
  std::size_t seen(std::string text) { return find({.text = std::move(text), .redactor = &redactor}).total; }
  Redactor redactor{entropy};
};

// The attack: a letter more is right if the total stays one.
TEST_F(MaskedSearchTest, NoSecretCanBeGuessedLetterByLetter) {
  const std::string secret = "Zq8Xw3Lm5Np7Rt2V";
  exchange({.target = "/?access_token=" + secret});
  exchange({.response_fields = "Set-Cookie: sid=" + secret + "\r\n"});
  exchange({.response_body = R"({"password":")" + secret + R"("})",
            .response_fields = "Content-Type: application/json\r\n"});
  exchange({.request_body = "user=ann&password=" + secret});
  exchange({.response_body = coded(R"({"password":")" + secret + R"("})", Coding::kGzip),
            .response_fields = "Content-Encoding: gzip\r\n"});
  for (std::size_t from = 0; from < secret.size(); ++from) {
    for (std::size_t size = 1; from + size <= secret.size(); ++size) {
      const std::string guess = secret.substr(from, size);
      // Single letters stand elsewhere, too.
      if (size >= 2) EXPECT_EQ(seen(guess), 0u) << guess;
      EXPECT_EQ(seen("access_token=" + guess), 0u);
      EXPECT_EQ(seen("sid=" + guess), 0u);
      EXPECT_EQ(seen("password\":\"" + guess), 0u);
    }
  }
  EXPECT_EQ(find({.text = secret}).total, 5u);
  EXPECT_EQ(seen("access_token"), 1u);
  EXPECT_EQ(seen("password"), 3u);
}

// "red" is in every mask: a hit there would say that the secret holds it.
TEST_F(MaskedSearchTest, TheMaskItselfIsNoPlaceToFindSomething) {
  const std::string secret = "xredacted:tokencookiepasswordx";
  exchange({.target = "/?access_token=" + secret, .response_body = R"({"password":")" + secret + R"("})"});
  for (const char* guess : {"red", "[red", "redacted:", "cookiepass", "xred", "d:t"})
    EXPECT_EQ(seen(guess), 0u) << guess;
  // What looks like a mask and came over the wire is not found either, and that is all.
  exchange({.target = "/[redacted:jwt:01234567]/after"});
  EXPECT_EQ(seen("/after"), 1u);
}

TEST_F(MaskedSearchTest, FindsBehindASecretWhatIsVisible) {
  const std::string text = R"({"password":"needle","note":")" + std::string(300'000, 'x') + R"( needle "})";
  exchange({.response_body = text, .response_fields = "Content-Type: application/json\r\n"});
  exchange({.target = "/?token=needle123", .response_fields = "X-A: a needle\r\n"});
  exchange({.target = "/?token=needle123", .response_body = "a needle"});
  EXPECT_EQ(seen("needle"), 3u);
  const SearchResult result = find({.text = "needle", .redactor = &redactor});
  EXPECT_EQ(result.hits.at(1).place, Place::kResponseHeader);
  EXPECT_EQ(result.hits.at(2).place, Place::kResponseBody);
  EXPECT_EQ(seen("needle123"), 0u);
}

// Where looking ends, a token may be cut so short that it does not look like one: every letter that the budget lets
// through would be found.
TEST_F(MaskedSearchTest, TheBudgetsEndShowsNoPieceOfASecret) {
  const std::string token = "Zq8Xw3Lm5Np7Rt2VbC9d";
  exchange({.response_body = std::string(100'000, ' ') + "Bearer " + token + " " + std::string(50'000, ' ')});
  for (ByteCount budget = 100'000; budget < 100'040; ++budget) {
    EXPECT_EQ(find({.text = "bearer " + token.substr(0, 2), .body_budget = budget, .redactor = &redactor}).total, 0u);
  }
}

TEST_F(SearchTest, PassesOverBodiesThatLeftTheDisk) {
  exchange({.response_body = "needle"});
  exchange({.response_body = std::string(600'000, ' ')});  // what was written last is still read from memory
  exchange({.target = "/needle"});
  ring->sync();
  disk.fail_from(1);
  const auto result = search(*ring, {.text = "needle"});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->total, 1u);
  disk.heal();
}

}  // namespace
}  // namespace sluice::analysis

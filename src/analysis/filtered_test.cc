// Filters over the ring: bodies as they are read, masked where they are.
#include "analysis/filtered.h"

#include <gtest/gtest.h>

#include "analysis/search.h"
#include "capture/capture_test_support.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;

class FilteredTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  Filtered find(std::string_view text, FilterQuery query = {}) {
    ring->sync();
    const auto expression = FilterExpression::parse(text);
    EXPECT_TRUE(expression) << text;
    query.expression = &*expression;
    auto found = find_filtered(*ring, query);
    EXPECT_TRUE(found) << text;
    return found ? *std::move(found) : Filtered{};
  }
  std::size_t count(std::string_view text, const Redactor* redactor = nullptr) {
    return find(text, {.reading = {.redactor = redactor}}).ids.size();
  }
  Redactor masks{entropy};
};

TEST_F(FilteredTest, FindsInDecodedBodiesInTheOrderOfTheList) {
  exchange({.target = "/1",
            .response_body = *codings::encode_all("a needle in gzip", {codings::Coding::kGzip}),
            .response_fields = "Content-Encoding: gzip\r\n"});
  exchange({.target = "/2", .response_body = "nothing"});
  exchange({.target = "/3", .request_body = "NEEDLE"});
  const Filtered found = find("~b needle");
  ASSERT_EQ(found.ids.size(), 2u);
  EXPECT_EQ(ring->find(found.ids[0])->target, "/1");
  EXPECT_EQ(ring->find(found.ids[1])->target, "/3");
  EXPECT_EQ(found.searched, 3u);
  EXPECT_TRUE(found.whole);
  EXPECT_EQ(count("~bs needle.*gzip"), 1u);
  EXPECT_EQ(count("~bq needle"), 1u);
  EXPECT_EQ(find("~b needle", {.filter = {.url_contains = "/3"}}).ids.size(), 1u);
}

TEST_F(FilteredTest, NobodyFindsASecretInABodyByAskingForOneLetterMore) {
  const std::string secret = "Zq8redXw3";
  exchange({.response_body = R"({"password":")" + secret + R"(","name":"ada"})",
            .response_fields = "Content-Type: application/json\r\n"});
  exchange(
      {.response_body = R"({"password":"","name":"ada"})", .response_fields = "Content-Type: application/json\r\n"});
  for (std::size_t from = 0; from < secret.size(); ++from) {
    for (std::size_t size = 1; from + size <= secret.size(); ++size) {
      const std::string guess = secret.substr(from, size);
      const bool elsewhere = std::string(R"({"password":","name":"ada"})").find(guess) != std::string::npos;
      for (const std::string& text :
           {"~b \"" + guess + "\"", "~b \"[" + guess.substr(0, 1) + "]" + guess.substr(1) + "\""}) {
        // Ignoring case: letters of "password" and "name" are elsewhere.
        if (guess.size() > 1 && !elsewhere) EXPECT_EQ(count(text, &masks), 0u) << text;
      }
    }
  }
  EXPECT_EQ(count("~b \"password\\\":\\\"[^\\x00]\"", &masks), 1u) << "the empty one";
  EXPECT_EQ(count("~b redacted", &masks), 0u);
  EXPECT_EQ(count("~b " + secret), 1u);
  EXPECT_EQ(count("~b ada", &masks), 2u);
}

TEST_F(FilteredTest, ASecretCutAtTheBudgetDoesNotShowItsBeginning) {
  const std::string body = std::string(20'000, 'x') + R"( "password":"Zq8redXw3" )" + std::string(20'000, 'y');
  exchange({.response_body = body});
  for (ByteCount budget = 20'000; budget < 20'040; ++budget) {
    FilterQuery query{.reading = {.redactor = &masks, .body_budget = budget}};
    EXPECT_TRUE(find("~b Zq8", query).ids.empty()) << budget;
  }
}

TEST_F(FilteredTest, LooksIntoMessagesOfAWebSocketByDirection) {
  const Spec spec{.status = 101, .protocol = flow::Protocol::kWebSocket};
  const ExchangeSeq seq = begin(spec);
  respond(seq, spec);
  const auto say = [&](flow::Direction direction, Bytes text) {
    sink().body(seq, direction, text);
    sink().message(seq, {.direction = direction, .opcode = 1, .length = text.size(), .at = clock.wall()});
  };
  say(flow::Direction::kRequest, "hello from the client");
  say(flow::Direction::kResponse, R"({"password":"Zq8redXw3"})");
  end(seq, spec);
  EXPECT_EQ(count("~websocket & ~bq client"), 1u);
  EXPECT_EQ(count("~bs client"), 0u);
  EXPECT_EQ(count("~bs Zq8"), 1u);
  EXPECT_EQ(count("~bs Zq8", &masks), 0u);
  EXPECT_EQ(count("~bs password", &masks), 1u);
}

TEST_F(FilteredTest, EndsWhenItIsToldTo) {
  for (int i = 0; i < 10; ++i) exchange({});
  int left = 4;
  const Filtered found = find("~all", {.enough = [&] { return left-- == 0; }});
  EXPECT_FALSE(found.whole);
  EXPECT_EQ(found.searched, 4u);
  EXPECT_EQ(found.ids.size(), 4u);
  EXPECT_EQ(found.last_rev, ring->find(found.ids.back())->rev) << "from where to go on";
  std::stop_source stop;
  stop.request_stop();
  const auto all = FilterExpression::parse("~all");
  const auto stopped = find_filtered(*ring, {.expression = &*all, .reading = {.stop = stop.get_token()}});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
}

TEST_F(FilteredTest, ASearchTakesAFilterToo) {
  exchange({.target = "/a", .response_body = "needle", .status = 200});
  exchange({.target = "/b", .response_body = "needle", .status = 500});
  ring->sync();
  const auto expression = FilterExpression::parse("~c 5.. & ~b needle");
  SearchQuery query{.text = "needle"};
  query.expression = &*expression;
  const auto found = search(*ring, query);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->total, 1u);
  EXPECT_EQ(found->searched, 2u);
}

}  // namespace
}  // namespace sluice::analysis

#include "analysis/body.h"

#include <gtest/gtest.h>

#include "capture/capture_test_support.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;
using codings::Coding;
using flow::Direction;

std::string coded(std::string_view text, Coding coding) { return *codings::encode_all(text, {coding}); }

class BodyTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  flow::Exchange last() {
    ring->sync();
    return ring->list({}, -1, 1).exchanges.at(0);
  }
  BodyWindow window(const BodyOptions& options) {
    auto read = read_window(*ring, last(), Direction::kResponse, options);
    EXPECT_TRUE(read);
    return read ? *std::move(read) : BodyWindow{};
  }
  // As an agent would read it.
  std::string whole(BodyOptions options) {
    std::string text;
    for (;;) {
      const BodyWindow part = window(options);
      text += part.octets;
      if (!part.more) return text;
      EXPECT_GT(part.bytes, 0u);
      options.offset += part.bytes;
    }
  }
};

TEST_F(BodyTest, IsShownInWindows) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + ",";
  exchange({.response_body = coded(text, Coding::kGzip), .response_fields = "Content-Encoding: gzip\r\n"});
  EXPECT_TRUE(whole({.limit = 70'000}) == text);
  const BodyWindow second = window({.offset = 70'000, .limit = 10});
  EXPECT_EQ(second.octets, text.substr(70'000, 10));
  EXPECT_EQ(second.total, text.size());
  EXPECT_EQ(second.content_encoding, "gzip");
  EXPECT_TRUE(second.more);
  EXPECT_EQ(window({.limit = text.size()}).more, false);
  EXPECT_EQ(window({.limit = text.size() - 1}).more, true);
  const BodyWindow wire = window({.offset = 2, .limit = 5, .form = Form::kAsOnWire});
  EXPECT_EQ(wire.total, last().response.body.stored);
  EXPECT_EQ(wire.bytes, 5u);
  EXPECT_TRUE(wire.more);
  const BodyWindow quick = window({.limit = 10, .measure = false});
  EXPECT_FALSE(quick.total);
  EXPECT_TRUE(quick.more);
  const BodyWindow behind = window({.offset = text.size() + 5});
  EXPECT_EQ(behind.octets, "");
  EXPECT_FALSE(behind.more);
  EXPECT_EQ(behind.total, text.size());
}

TEST_F(BodyTest, APlainOneIsReadFromWhereItIsWanted) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + ",";
  exchange({.response_body = text});
  EXPECT_EQ(window({.offset = 1'000'000, .limit = 9}).octets, text.substr(1'000'000, 9));
  EXPECT_EQ(window({.offset = 1'000'000, .limit = 9}).total, text.size());
  EXPECT_TRUE(whole({.limit = 300'000}) == text);
}

TEST_F(BodyTest, SaysWhatIsWrong) {
  exchange({.response_body = coded("a text that is cut", Coding::kGzip).substr(0, 25),
            .response_fields = "Content-Encoding: gzip\r\n"});
  EXPECT_EQ(window({}).problem, "the coded data ends early");
  exchange({.response_body = ""});
  EXPECT_EQ(window({}).total, 0u);
  EXPECT_EQ(window({}).problem, "");
}

TEST_F(BodyTest, WhatIsTextAndClaimsToBeCodedIsShownAsItIs) {
  for (const char* coding : {"gzip", "br", "zstd", "unheard-of"}) {
    exchange({.response_body = "plain text, in truth",
              .response_fields = std::string("Content-Encoding: ") + coding + "\r\n"});
    const BodyWindow all = window({});
    EXPECT_EQ(all.octets, "plain text, in truth") << coding;
    EXPECT_EQ(all.total, 20u);
    EXPECT_NE(all.problem, "");
    EXPECT_EQ(window({.offset = 6, .limit = 4}).octets, "text") << coding;
  }
}

// Otherwise whoever may not see secrets would decode them at home.
TEST_F(BodyTest, DamagedCodedOctetsAreNotShownInPlaceOfText) {
  const std::string good = coded(R"({"password":"Zq8Xw3Lm5Np7Rt2V"})", Coding::kGzip);
  exchange({.response_body = "!" + good, .response_fields = "Content-Encoding: gzip\r\n"});
  EXPECT_EQ(window({}).octets, "");
  EXPECT_NE(window({}).problem, "");
}

TEST_F(BodyTest, ABombCostsItsBudget) {
  exchange({.response_body = coded(std::string(64 << 20, 'x'), Coding::kGzip),
            .response_fields = "Content-Encoding: gzip\r\n"});
  const BodyWindow bomb = window({.limit = 10, .budget = 1 * kMiB});
  EXPECT_EQ(bomb.octets, "xxxxxxxxxx");
  EXPECT_EQ(bomb.total, 1 * kMiB);
  EXPECT_NE(bomb.problem, "");
}

TEST_F(BodyTest, ReadingEndsWhenItIsCancelled) {
  exchange({.response_body = coded(std::string(1 << 20, 'x'), Coding::kGzip),
            .response_fields = "Content-Encoding: gzip\r\n"});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(read_window(*ring, last(), Direction::kResponse, {.stop = stop.get_token()}).error().code,
            Code::kCancelled);
}

TEST_F(BodyTest, TheBeginningNeverFails) {
  exchange({.response_body = "hello"});
  const flow::Exchange exchange = last();
  EXPECT_EQ(read_prefix(*ring, exchange, Direction::kResponse, 3).octets, "hel");
  EXPECT_TRUE(read_prefix(*ring, exchange, Direction::kResponse, 3).more);
  ring->clear();
  EXPECT_EQ(read_prefix(*ring, exchange, Direction::kResponse, 3).octets, "");
}

// A preview is cut: a token of which few letters are left does not look like one any more.
TEST_F(BodyTest, NoEdgeOfAWindowShowsAPieceOfASecret) {
  const std::string token = "Zq8Xw3Lm5Np7Rt2VbC9d";
  exchange({.response_body = "Authorization is Bearer " + token + " and so on"});
  const Redactor redactor(entropy);
  for (ByteCount offset = 0; offset < 40; ++offset) {
    for (ByteCount limit = 1; limit < 40; ++limit) {
      const std::string shown = window({.offset = offset, .limit = limit, .redactor = &redactor}).octets;
      for (std::size_t at = 0; at + 2 <= token.size(); ++at) {
        EXPECT_EQ(shown.find(token.substr(at, 2)), std::string::npos) << offset << " " << limit << " " << shown;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::analysis

#include "mcp/sse_reader.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::mcp {
namespace {

struct Read {
  std::vector<std::string> events;  // "type|data"
  std::string id;
  std::optional<std::chrono::milliseconds> retry;
  bool too_large = false;
  friend bool operator==(const Read&, const Read&) = default;
};

// `slice`: how many octets come at a time; 0: all.
Read read(Bytes octets, std::size_t slice = 0, ByteCount most = 1'000) {
  SseReader reader(most);
  Read all;
  while (!octets.empty()) {
    Bytes part = octets.substr(0, slice == 0 ? octets.size() : slice);
    octets.remove_prefix(part.size());
    while (!part.empty()) {
      auto event = reader.next(part);
      if (!event) {
        all.too_large = true;
        return all;
      }
      if (*event) all.events.push_back((*event)->type + "|" + (*event)->data);
    }
  }
  all.id = reader.last_event_id();
  all.retry = reader.retry();
  return all;
}

using Lines = std::vector<std::string>;

TEST(SseReader, AnEventEndsAtItsEmptyLineAndNotBefore) {
  EXPECT_EQ(read("data: a\n").events, Lines());
  EXPECT_EQ(read("data: a\n\n").events, Lines{"|a"});
  EXPECT_EQ(read("event: message\ndata: a\n\ndata:b\n\n").events, (Lines{"message|a", "|b"}));
}

TEST(SseReader, LinesEndInThreeWaysAlsoMixedAndHoweverTheyArriveInPieces) {
  const std::string octets = "event: x\r\ndata: one\rdata: two\n\r\ndata: 3\r\rid: 7\nretry: 250\n\n";
  const Read whole = read(octets);
  EXPECT_EQ(whole.events, (Lines{"x|one\ntwo", "|3"}));
  EXPECT_EQ(whole.id, "7");
  EXPECT_EQ(whole.retry, std::chrono::milliseconds(250));
  for (std::size_t slice = 1; slice < octets.size(); ++slice) EXPECT_EQ(read(octets, slice), whole) << slice;
}

TEST(SseReader, ACrAtTheEndOfAPieceEndsTheLineAtOnce) {
  SseReader reader(100);
  Bytes input = "data: a\r\r";
  const auto event = reader.next(input);
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->data, "a");
}

TEST(SseReader, OneBlankBehindTheColonIsNoneOfTheValue) {
  EXPECT_EQ(read("data:  a \ndata\ndata:\n\n").events, Lines{"| a \n\n"});
}

TEST(SseReader, ACommentIsSkippedWhateverItsLength) {
  EXPECT_EQ(read(":" + std::string(5'000, 'x') + "\ndata: a\n:\n\n", 7).events, Lines{"|a"});
}

TEST(SseReader, AMarkAtTheStartIsSkippedAndNowhereElse) {
  EXPECT_EQ(read("\xEF\xBB\xBF"
                 "data: a\n\n\xEF\xBB\xBF"
                 "data: b\n\n",
                 1)
                .events,
            Lines{"|a"});
}

TEST(SseReader, AnEventWithoutDataIsNoneButItsIdCounts) {
  const Read one = read("id: 5\nevent: x\n\ndata: a\n\n");
  EXPECT_EQ(one.events, Lines{"|a"});
  EXPECT_EQ(one.id, "5");
  EXPECT_EQ(read("id: 5\n\nid\n\n").id, "");
  EXPECT_EQ(read("id: 5\n").id, "");
  EXPECT_EQ(read("id: 5\ndata:\n\n").id, "5");
}

TEST(SseReader, AnIdThatCouldNotBeSentBackIsNotTaken) {
  EXPECT_EQ(read("id: good\n\nid: b\x01"
                 "d\n\nid: \xC3\xA9\n\n")
                .id,
            "good");
  EXPECT_EQ(read("id: good\n\nid: " + std::string(SseReader::kMaxId + 1, 'x') + "\n\n", 0, 5'000).id, "good");
}

TEST(SseReader, ARetryOfOtherThanDigitsIsNotTaken) {
  for (const char* value : {"-1", "1.5", "", "5 s", "99999999999999999999"}) {
    EXPECT_EQ(read("retry: " + std::string(value) + "\n\n").retry, std::nullopt) << value;
  }
}

TEST(SseReader, FieldsThatItDoesNotKnowAreSkipped) {
  EXPECT_EQ(read("Data: x\nfoo: bar\n data: y\ndata: a\n\n").events, Lines{"|a"});
}

TEST(SseReader, A27AnEventBeyondTheLimitIsRefusedAlsoWithoutALineEnd) {
  EXPECT_TRUE(read("data: " + std::string(2'000, 'x'), 100).too_large);
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "data: xxxx\n";
  EXPECT_TRUE(read(lines, 13).too_large);
  EXPECT_TRUE(read("event: " + std::string(600, 'x') + "\ndata: " + std::string(600, 'x') + "\n").too_large);
  EXPECT_FALSE(read("data: " + std::string(900, 'x') + "\n\ndata: " + std::string(900, 'x') + "\n\n").too_large);
}

}  // namespace
}  // namespace sluice::mcp

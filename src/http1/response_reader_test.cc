#include <gtest/gtest.h>

#include "http1/http1.h"
#include "http1/transcript.h"

namespace sluice::http1 {
namespace {

using http::Anomaly;
using http::bit;

Transcript read(Bytes octets, const std::string& method = "GET") {
  auto whole = read_in_parts<ResponseReader>(octets, {}, {}, method);
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    EXPECT_EQ(read_in_parts<ResponseReader>(octets, {cut}, {}, method).text, whole.text) << "cut at " << cut;
    every.push_back(cut);
  }
  EXPECT_EQ(read_in_parts<ResponseReader>(octets, every, {}, method).text, whole.text) << "octet by octet";
  return whole;
}

// The answers, and then a close, which may be the end of the last one or leave nothing begun.
Transcript expect_round_trip(Bytes octets, http::AnomalySet anomalies, std::size_t messages = 1,
                             const std::string& method = "GET") {
  auto seen = read(octets, method);
  const bool between = seen.failed && seen.error.message == "the server closed without an answer";
  EXPECT_TRUE(!seen.failed || between) << seen.text;
  EXPECT_EQ(seen.wire, octets);
  EXPECT_EQ(seen.messages, messages) << seen.text;
  EXPECT_EQ(seen.anomalies, anomalies) << seen.text;
  return seen;
}

TEST(ResponseReader, WritesAnAnswerAgainAsItCame) {
  expect_round_trip("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX:1 \r\n\r\nabc", 0);
  expect_round_trip("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 0);
  expect_round_trip("HTTP/1.0 200 Fine by me\r\n\r\nuntil close", 0);
  expect_round_trip("HTTP/1.1 200 OK\r\n\r\n", 0);
  expect_round_trip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: 1\r\n\r\n", 0);
}

TEST(ResponseReader, PassesAndMarksWhatIsOnlyOdd) {
  expect_round_trip("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("HTTP/1.1 200 \xff\r\nContent-Length: 0\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", bit(Anomaly::kBareLf));
  expect_round_trip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n0 \r\n\r\n",
                    bit(Anomaly::kOddChunkLine));
  const auto seen =
      expect_round_trip("HTTP/1.1 200 OK\r\nX: a \r\n\t b\r\n  c\r\nContent-Length: 0\r\n\r\n", bit(Anomaly::kObsFold));
  EXPECT_NE(seen.text.find("field [X] [a b c]\n"), std::string::npos) << seen.text;
}

TEST(ResponseReader, TakesTheBlankBeforeAColonOut) {
  const auto seen = read("HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length \t:  1\r\nB: 2\r\n\r\nx");
  EXPECT_EQ(seen.wire, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 1\r\nB: 2\r\n\r\nx");  // RFC 9112 §5.1
  EXPECT_EQ(seen.anomalies, bit(Anomaly::kBlankBeforeColon));
  EXPECT_EQ(seen.messages, 1u);
}

TEST(ResponseReader, ShowsAHeadWhereItLies) {
  const std::string octets = "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 0\r\n\r\n";
  ResponseReader reader{HttpLimits{}};
  reader.begin("GET");
  reader.feed(octets);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.head_wire().data(), octets.data());
  EXPECT_EQ(reader.head_wire(), octets);
  ResponseReader other{HttpLimits{}};
  other.begin("GET");
  other.feed("HTTP/1.1 200 OK\r\nX : 1\r\n\r\n");
  ASSERT_TRUE(other.next());
  EXPECT_TRUE(other.head_wire().empty());
}

TEST(ResponseReader, KnowsAnswersWithoutABody) {
  expect_round_trip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, 1, "HEAD");
  expect_round_trip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 1, "HEAD");
  expect_round_trip("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0);
  expect_round_trip("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0);
  expect_round_trip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 1, "CONNECT");
  expect_round_trip("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", 0, 1, "CONNECT");
}

TEST(ResponseReader, GivesInterimAnswersBeforeTheFinalOne) {
  const auto seen = expect_round_trip(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
      0);
  EXPECT_NE(seen.text.find("answer [103]"), std::string::npos);
}

TEST(ResponseReader, EndsHttpAfterSwitchingProtocols) {
  ResponseReader reader{HttpLimits{}};
  reader.begin("GET");
  reader.feed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw");
  const auto head = reader.next();
  ASSERT_TRUE(head);
  EXPECT_TRUE(http::is_upgrade(std::get<http::ResponseHead>(*head)));
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  EXPECT_EQ(reader.take_rest(), "raw");
}

TEST(ResponseReader, LeavesWhatComesAfterTheEndInSight) {
  ResponseReader reader{HttpLimits{}};
  reader.begin("GET");
  reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n");
  ASSERT_TRUE(std::holds_alternative<http::ResponseHead>(*reader.next()));
  EXPECT_EQ(std::get<http::BodyPiece>(*reader.next()).content, "x");
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
  EXPECT_TRUE(reader.has_rest());
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  EXPECT_TRUE(reader.has_rest());
}

TEST(ResponseReader, SaysWhereTheServerBrokeOff) {
  EXPECT_EQ(read("").error.message, "the server closed without an answer");
  EXPECT_EQ(read("HTTP/1.1 20").error.message, "the server closed inside the head of an answer");
  EXPECT_EQ(read("HTTP/1.1 100 Continue\r\n\r\n").error.message, "the server closed without an answer");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx").error.code, Code::kClosed);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").error.code, Code::kClosed);
  ResponseReader reader{HttpLimits{}};
  reader.begin("GET");
  reader.feed("HTTP/1.1 200 OK\r\n\r\nx");
  while (!std::holds_alternative<http::NeedMore>(*reader.next())) {
  }
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.finish()));
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.finish()));
}

TEST(ResponseReader, RefusesWhatCouldBeReadTwoWays) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "§6.1"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "§6.3"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n 4\r\n\r\n", "§6.3"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "§6.1"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "§6.1"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "§6.1"},
      {"HTTP/1.1 200 OK\r\n X: 1\r\n\r\n", "§2.2"},
      {"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "§5.5"},
      {"HTTP/1.1 200 OK\r\nX: a\r\n b\rc\r\n\r\n", "§5.5"},
      {"HTTP/1.1 200 O\rK\r\n\r\n", "§4"},
      {"HTTP/1.1 099 X\r\n\r\n", "§4"},
      {"HTTP/1.1 20 OK\r\n\r\n", "§4"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "§4"},
      {"HTTP/1.1\r\n\r\n", "§4"},
      {"http/1.1 200 OK\r\n\r\n", "§2.3"},
      {"ICY 200 OK\r\n\r\n", "§2.3"},
      {"HTTP/2 200\r\n\r\n", "§2.3"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "§4"},
      {"<html>\n\n", "§2.3"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "§7.1"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: 1\n\r\n", "§7.1"},
  };
  for (const auto& [octets, section] : cases) {
    SCOPED_TRACE(octets);
    const auto seen = read(octets);
    ASSERT_TRUE(seen.failed) << seen.text;
    EXPECT_EQ(seen.error.code, Code::kInvalid);
    EXPECT_NE(seen.error.message.find(section), std::string::npos) << seen.error.message;
  }
}

}  // namespace
}  // namespace sluice::http1

#include <gtest/gtest.h>

#include "http1/http1.h"
#include "http1/transcript.h"

namespace sluice::http1 {
namespace {

using http::Anomaly;
using http::bit;

// The transcript of the whole; fails the test unless every way to cut it in two, and octet by octet, gives the same.
Transcript read(Bytes octets, const HttpLimits& limits = {}) {
  auto whole = read_in_parts<RequestReader>(octets, {}, limits);
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    EXPECT_EQ(read_in_parts<RequestReader>(octets, {cut}, limits).text, whole.text) << "cut at " << cut;
    every.push_back(cut);
  }
  EXPECT_EQ(read_in_parts<RequestReader>(octets, every, limits).text, whole.text) << "octet by octet";
  return whole;
}

void expect_round_trip(Bytes octets, http::AnomalySet anomalies, std::size_t messages = 1) {
  const auto seen = read(octets);
  EXPECT_FALSE(seen.failed) << seen.text;
  EXPECT_EQ(seen.wire, octets);
  EXPECT_EQ(seen.messages, messages) << seen.text;
  EXPECT_EQ(seen.anomalies, anomalies) << seen.text;
}

void expect_refused(Bytes octets, Code code, std::string_view section, const HttpLimits& limits = {}) {
  const auto seen = read(octets, limits);
  ASSERT_TRUE(seen.failed) << seen.text;
  EXPECT_EQ(seen.error.code, code) << seen.text;
  EXPECT_NE(seen.error.message.find(section), std::string::npos) << seen.error.message;
}

TEST(RequestReader, WritesAHeadAgainAsItCame) {
  expect_round_trip("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0);
  expect_round_trip("GET http://a/?q HTTP/1.0\r\n\r\n", 0);
  expect_round_trip("OPTIONS * HTTP/1.1\r\nhOsT:a:80\r\nX:\r\nx: 1 \t\r\nX:\t  2\r\nX-Empty:   \r\n\r\n", 0);
  expect_round_trip("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nContent-Length: 0\r\n\r\n", 0);
}

TEST(RequestReader, PassesAndMarksWhatIsOnlyOdd) {
  expect_round_trip("GET / HTTP/1.1\nHost: a\n\n", bit(Anomaly::kBareLf));
  expect_round_trip("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\n", bit(Anomaly::kBareLf));
  expect_round_trip("GET  /   HTTP/1.1\r\nHost: a\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("GET / HTTP/1.2\r\nHost: a\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("GET /\xc3\xbc HTTP/1.1\r\nHost: a\r\n\r\n", bit(Anomaly::kOddStartLine));
  expect_round_trip("GET / HTTP/1.1\r\nHost: a\r\nX: \x01\x7f\xff\r\n\r\n", bit(Anomaly::kOddFieldOctets));
  expect_round_trip("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
                    bit(Anomaly::kRepeatedLength));
  expect_round_trip("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nab", bit(Anomaly::kRepeatedLength));
  expect_round_trip("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, cookie\r\n\r\n", bit(Anomaly::kConnectionField));
}

TEST(RequestReader, DropsAFewEmptyLinesBeforeARequest) {
  const auto seen = read("\r\n\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
  EXPECT_FALSE(seen.failed) << seen.text;
  EXPECT_EQ(seen.wire, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(seen.anomalies, bit(Anomaly::kLeadingEmptyLine));
  std::string many;
  for (int i = 0; i < 17; ++i) many += "\r\n";
  expect_refused(many, Code::kInvalid, "§2.2");
}

TEST(RequestReader, GivesTheFieldsByName) {
  RequestReader reader{HttpLimits{}};
  reader.feed("GET /a?b HTTP/1.1\r\nHost:  h.example \r\nA: 1\r\na: 2\r\n\r\n");
  const auto event = reader.next();
  ASSERT_TRUE(event);
  const auto& head = std::get<http::RequestHead>(*event);
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(http::host_field(head), "h.example");
  EXPECT_EQ(head.fields.joined("A"), "1, 2");
  EXPECT_EQ(head.fields.raw_line(0), "Host:  h.example \r\n");
}

TEST(RequestReader, ReadsPipelinedRequestsOneAfterTheOther) {
  const std::string one = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const std::string two = "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n";
  const std::string three = "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto seen = read(one + two + three);
  EXPECT_EQ(seen.messages, 3u);
  EXPECT_EQ(seen.content, "abcde");
  EXPECT_EQ(seen.wire, one + two + three);
}

TEST(RequestReader, KeepsChunkExtensionsSizesAndTrailers) {
  expect_round_trip(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
      "0005;name=value ; q=\"a;b\"\r\nhello\r\nA\r\n0123456789\r\n000;last\r\nX-T: 1\r\nX-t:2 \r\n\r\n",
      0);
  const auto seen =
      read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0;x\r\nT: 1\r\n\r\n");
  EXPECT_EQ(seen.content, "hello");
  EXPECT_NE(seen.text.find("trailers [0;x\r\nT: 1\r\n\r\n]\nfield [T] [1]\n"), std::string::npos) << seen.text;
}

TEST(RequestReader, GivesOnePieceForEachFeedOfABody) {
  RequestReader reader{HttpLimits{}};
  const std::string octets = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc";
  reader.feed(octets);
  ASSERT_TRUE(std::holds_alternative<http::RequestHead>(*reader.next()));
  const auto first = std::get<http::BodyPiece>(*reader.next());
  EXPECT_EQ(first.wire.data(), octets.data() + octets.size() - 3);  // a view, not a copy
  EXPECT_EQ(first.content, "abc");
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  reader.feed("defGET");
  EXPECT_EQ(std::get<http::BodyPiece>(*reader.next()).wire, "def");
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
  EXPECT_TRUE(reader.has_rest());
}

TEST(RequestReader, GivesChunksAsPiecesThatTouchEachOther) {
  RequestReader reader{HttpLimits{}};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const std::string octets = head + body;
  reader.feed(octets);
  ASSERT_TRUE(std::holds_alternative<http::RequestHead>(*reader.next()));
  const char* at = octets.data() + head.size();
  for (const Bytes expected : {"3\r\n", "abc", "\r\n2\r\n", "de", "\r\n"}) {
    const auto piece = std::get<http::BodyPiece>(*reader.next());
    EXPECT_EQ(piece.wire, expected);
    EXPECT_EQ(piece.wire.data(), at);
    at += piece.wire.size();
  }
  EXPECT_EQ(std::get<http::Trailers>(*reader.next()).wire.data(), at);
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
}

TEST(RequestReader, TellsAnIdleConnectionFromABegunHead) {
  RequestReader reader{HttpLimits{}};
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  EXPECT_FALSE(reader.in_head());
  EXPECT_TRUE(reader.finish());
  reader.feed("\r\n\r");
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  EXPECT_FALSE(reader.in_head());
  EXPECT_TRUE(reader.finish());
  reader.feed("\nG");
  EXPECT_TRUE(std::holds_alternative<http::NeedMore>(*reader.next()));
  EXPECT_TRUE(reader.in_head());
  EXPECT_EQ(reader.finish().error().code, Code::kClosed);
}

TEST(RequestReader, SaysWhereTheClientBrokeOff) {
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab").error.code, Code::kClosed);
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n").error.code,
            Code::kClosed);
}

TEST(RequestReader, HandsTheFirstOctetsOfATunnelOver) {
  RequestReader reader{HttpLimits{}};
  reader.feed(Bytes("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01\0", 43));
  ASSERT_TRUE(std::holds_alternative<http::RequestHead>(*reader.next()));
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
  EXPECT_EQ(reader.take_rest(), std::string("\x16\x03\x01\0", 4));
  EXPECT_FALSE(reader.has_rest());
}

TEST(RequestReader, TakesMoreOctetsBeforeTheOldOnesAreUsedUp) {
  RequestReader reader{HttpLimits{}};
  reader.feed("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HT");
  ASSERT_TRUE(std::holds_alternative<http::RequestHead>(*reader.next()));
  EXPECT_TRUE(std::holds_alternative<http::MessageEnd>(*reader.next()));
  reader.feed("TP/1.1\r\nHost: b");
  RequestReader moved = std::move(reader);
  moved.feed("\r\n\r\n");
  const auto event = moved.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<http::RequestHead>(*event).target, "/2");
}

TEST(RequestReader, RefusesWhatCouldBeReadTwoWays) {
  const auto with = [](std::string fields, std::string body = "") {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
  };
  const std::pair<std::string, std::string_view> cases[] = {
      {with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), "§6.1"},
      {with("Content-Length: 3\r\nContent-Length: 4\r\n"), "§6.3"},
      {with("Content-Length: 3, 4\r\n"), "§6.3"},
      {with("Content-Length: +3\r\n"), "§6.3"},
      {with("Content-Length: -3\r\n"), "§6.3"},
      {with("Content-Length: 0x3\r\n"), "§6.3"},
      {with("Content-Length: 3 3\r\n"), "§6.3"},
      {with("Content-Length: 3,\r\n"), "§6.3"},
      {with("Content-Length:\r\n"), "§6.3"},
      {with("Content-Length: 9223372036854775808\r\n"), "§6.3"},
      {with("Content-Length: 18446744073709551619\r\n"), "§6.3"},
      {with("Transfer-Encoding: gzip, chunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked, gzip\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked, chunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), "§6.1"},
      {with("Transfer-Encoding: identity\r\n"), "§6.1"},
      {with("Transfer-Encoding: xchunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: \vchunked\r\n"), "§6.1"},
      {with("Transfer-Encoding: \"chunked\"\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked;q=1\r\n"), "§6.1"},
      {with("Transfer-Encoding: chunked,\r\n"), "§6.1"},
      {with("Transfer-Encoding:\r\n"), "§6.1"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "§6.1"},
      {with("Transfer-Encoding : chunked\r\n"), "§5.1"},
      {with("Transfer-Encoding\t: chunked\r\n"), "§5.1"},
      {with("X: a\r\n folded\r\n"), "§5.2"},
      {with("X: a\r\n\tTransfer-Encoding: chunked\r\n"), "§5.2"},
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "§2.2"},
      {with(": no name\r\n"), "§5"},
      {with("no colon\r\n"), "§5"},
      {with("na me: x\r\n"), "§5"},
      {with("n\xc3\xa4me: x\r\n"), "§5"},
      {with("n\x01: x\r\n"), "§5"},
      {with(std::string("X: a\0b\r\n", 8)), "RFC 9110 §5.5"},
      {with("X: a\rb\r\n"), "RFC 9110 §5.5"},
      {with("X: a\r\r\n"), "RFC 9110 §5.5"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", "§5"},
      {"GET / HTTP/1.1\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "§3.2"},
      {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "§3.2"},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\nx", "§9.3.6"},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "§9.3.6"},
  };
  for (const auto& [octets, section] : cases) {
    SCOPED_TRACE(octets);
    expect_refused(octets, Code::kInvalid, section);
  }
}

TEST(RequestReader, RefusesStartLinesThatAreNone) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"GET /\r\n\r\n", "§2.3"},
      {"GET\r\n\r\n", "§2.3"},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/11\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET / HTTP/0.9\r\n\r\n", "§2.3"},
      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "§2.3"},
      {"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", "§3.2"},
      {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "§3.1"},
      {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "§3.1"},
      {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "§3.1"},
      {"GET / HTTP/1.1\rX: y\r\nHost: a\r\n\r\n", "§2.3"},
      {std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28), "§3.2"},
      {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "§3.2"},
      {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "§3.1"},
      {std::string("\x16\x03\x01\x02\0\n\n", 7), "§3.1"},
  };
  for (const auto& [octets, section] : cases) {
    SCOPED_TRACE(octets);
    expect_refused(octets, Code::kInvalid, section);
  }
  EXPECT_EQ(read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error.message, kHttp2Preface);
  EXPECT_EQ(read("GET / HTTP/3.0\r\n\r\n").error.message, kUnsupportedVersion);
}

TEST(RequestReader, RefusesChunksThatCouldBeReadTwoWays) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* body : {"\r\n",
                           "x\r\n",
                           "-1\r\n",
                           "+1\r\na",
                           " 1\r\na",
                           "0x1\r\na",
                           "1 \r\na",
                           "1\na\r\n0\r\n\r\n",
                           "1\r\na\n0\r\n\r\n",
                           "1\r\nab\r\n0\r\n\r\n",
                           "1\r\na0\r\n\r\n",
                           "1;a\nb\r\na",
                           "1;a\rb\r\na",
                           "1 x\r\na",
                           "1,2\r\na",
                           "1\v\r\na",
                           "8000000000000000\r\na",
                           "10000000000000001\r\na",
                           "0\n\r\n",
                           "0\r\n\n",
                           "0\r\nT: 1\n\r\n",
                           "0\r\n T: 1\r\n\r\n",
                           "0\r\nT : 1\r\n\r\n",
                           "0\r\nT\r\n\r\n",
                           "1\r\na\rb"}) {
    SCOPED_TRACE(body);
    expect_refused(head + body, Code::kInvalid, "RFC 9112 §");
  }
}

TEST(RequestReader, StopsAtEachLimit) {
  HttpLimits limits;
  limits.max_head = 64;
  limits.max_fields = 3;
  limits.max_chunk_line = 8;
  const std::string fits = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string end = "\r\n\r\n";
  const std::string full = fits + std::string(64 - fits.size() - end.size(), 'x') + end;
  EXPECT_FALSE(read(full, limits).failed);
  expect_refused(fits + std::string(65 - fits.size() - end.size(), 'x') + end, Code::kTooLarge, "64 octets", limits);
  expect_refused("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\n\r\n", Code::kTooLarge, "3 fields", limits);
  EXPECT_FALSE(read("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\n\r\n", limits).failed);
  expect_refused(std::string(65, 'x'), Code::kTooLarge, "64 octets", limits);
  const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_FALSE(read(head + "1;2345\r\na\r\n0\r\n\r\n", limits).failed);
  expect_refused(head + "1;23456\r\na\r\n0\r\n\r\n", Code::kTooLarge, "8 octets", limits);
  expect_refused(head + "000000000", Code::kTooLarge, "8 octets", limits);
  expect_refused(head + "0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", Code::kTooLarge, "3 fields", limits);
  expect_refused(head + "0\r\nA: " + std::string(80, 'x'), Code::kTooLarge, "64 octets", limits);
}

TEST(RequestReader, KeepsARefusedHeadForTheRecord) {
  RequestReader reader{HttpLimits{}};
  const std::string octets = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
  reader.feed(octets);
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.in_head());
  EXPECT_EQ(reader.refused_head(), octets);
  EXPECT_FALSE(reader.next());
}

TEST(RequestReader, AHeadReadIntoTheMemoryOfAnotherHasNothingOfIt) {
  RequestReader reader{HttpLimits{}};
  const std::string first = "POST /a-rather-long-target?x=1 HTTP/1.0\r\nHost: a\r\nX-One: 1\r\nContent-Length: 0\n\n";
  const std::string second = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
  reader.feed(first);
  ASSERT_EQ(reader.step(), Step::kHead);
  http::RequestHead head = std::move(reader.head());
  ASSERT_EQ(reader.step(), Step::kEnd);
  reader.reuse(std::move(head));
  reader.feed(second);
  ASSERT_EQ(reader.step(), Step::kHead);
  EXPECT_EQ(reader.head().method, "GET");
  EXPECT_EQ(reader.head().target, "/");
  EXPECT_EQ(reader.head().version, http::Version::kHttp11);
  EXPECT_EQ(reader.head().fields.size(), 1u);
  EXPECT_EQ(reader.head().fields.find("x-one"), std::nullopt);
  std::string out;
  append_head(out, reader.head());
  EXPECT_EQ(out, second);
}

}  // namespace
}  // namespace sluice::http1

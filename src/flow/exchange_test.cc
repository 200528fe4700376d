#include "flow/exchange.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::flow {
namespace {

TEST(Exchange, UrlHasItsPortOnlyWhereItIsNotTheDefault) {
  Exchange exchange;
  exchange.scheme = "https";
  exchange.host = "example.com";
  exchange.port = 443;
  exchange.target = "/a?b=1";
  EXPECT_EQ(url_of(exchange), "https://example.com/a?b=1");
  exchange.port = 8443;
  EXPECT_EQ(url_of(exchange), "https://example.com:8443/a?b=1");
  exchange.host = "2001:db8::1";
  exchange.port = 443;
  EXPECT_EQ(url_of(exchange), "https://[2001:db8::1]/a?b=1");
  exchange.scheme = "tcp";
  exchange.host = "example.com";
  exchange.port = 22;
  exchange.target.clear();
  EXPECT_EQ(url_of(exchange), "tcp://example.com:22");
}

TEST(ProcessSlot, WhatIsKnownFirstStaysForAllCopies) {
  const ProcessSlot slot;
  const ProcessSlot copy = slot;
  EXPECT_EQ(copy.load(), nullptr);
  slot.store({7, "curl"});
  copy.store({8, "wget"});
  ASSERT_NE(copy.load(), nullptr);
  EXPECT_EQ(copy.load()->pid, 7);
  EXPECT_EQ(slot.load()->name, "curl");
}

TEST(ProcessSlot, IsReadAndSetOnManyThreadsAtOnce) {
  for (int round = 0; round < 50; ++round) {
    const ProcessSlot slot;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&slot, i] {
        for (int n = 0; n < 100; ++n) {
          if (const Process* const process = slot.load()) ASSERT_EQ(process->name, std::to_string(process->pid));
          if (n == 50) slot.store({i + 1, std::to_string(i + 1)});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_NE(slot.load(), nullptr);
  }
}

TEST(ParseFields, KeepsOrderCaseAndDuplicatesAndSkipsTheStartLine) {
  const auto fields = parse_fields("GET http://a:80/ HTTP/1.1\r\nHost: a\r\nX-A:1\r\nx-a:  two \r\n\r\n");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields.name(0), "Host");
  EXPECT_EQ(fields.value(0), "a");
  EXPECT_EQ(fields.name(1), "X-A");
  EXPECT_EQ(fields.value(2), "two");
  EXPECT_EQ(fields.raw_line(2), "x-a:  two \r\n");
}

TEST(ParseFields, TakesBareLfEmptyValuesAndFolds) {
  const auto fields = parse_fields("HTTP/1.1 200 OK\nA:\nB: one\n  two\r\n\tthree\nno field\nC : c\n\n");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields.value(0), "");
  EXPECT_EQ(fields.value(1), "one two three");
  EXPECT_EQ(fields.raw_line(1), "B: one\n  two\r\n\tthree\n");
  EXPECT_EQ(fields.name(2), "C");
  EXPECT_EQ(fields.value(2), "c");
}

TEST(FindField, IsTheFirstOfThatNameInAnyCase) {
  constexpr std::string_view head = "HTTP/1.1 200 OK\r\nx-a :  one \r\nX-A: two\r\nB:\r\nc: d;\r\n  e\r\n\r\n";
  EXPECT_EQ(find_field(head, "X-A"), "one");
  EXPECT_EQ(find_field(head, "b"), "");
  EXPECT_EQ(find_field(head, "C"), "d; e");
  EXPECT_EQ(find_field(head, "X"), std::nullopt);
  const auto fields = parse_fields(head);
  for (std::size_t i = 2; i < fields.size(); ++i) EXPECT_EQ(find_field(head, fields.name(i)), fields.value(i));
}

TEST(ParseFields, ReadsTrailersBehindTheLastChunk) {
  const auto fields = parse_fields("0;x=y\r\nDigest: abc\r\n\r\n");
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields.name(0), "Digest");
}

TEST(ParseFields, SurvivesAnyCut) {
  const std::string head = "GET / HTTP/1.1\r\nA: b\r\n c\r\n: none\r\n\r\nrest";
  for (std::size_t cut = 0; cut <= head.size(); ++cut) EXPECT_LE(parse_fields(Bytes(head).substr(0, cut)).size(), 1u);
}

TEST(ReasonOf, IsWhatStandsBehindTheStatus) {
  EXPECT_EQ(reason_of("HTTP/1.1 404 Not Found\r\n\r\n"), "Not Found");
  EXPECT_EQ(reason_of("HTTP/1.1 200\r\n"), "");
  EXPECT_EQ(reason_of("HTTP/1.1 200 \r\n"), "");
  EXPECT_EQ(reason_of("GET / HTTP/1.1\r\n"), "");
  EXPECT_EQ(reason_of(""), "");
}

TEST(Words, AreThoseOfRecords) {
  EXPECT_EQ(to_string(State::kAborted), "aborted");
  EXPECT_EQ(to_string(Protocol::kHttp1), "http/1.1");
  EXPECT_EQ(to_string(Phase::kFirstByte), "first_byte");
  EXPECT_EQ(to_string(Source::kTransparent), "transparent");
  EXPECT_EQ(to_string(Direction::kResponse), "response");
}

}  // namespace
}  // namespace sluice::flow

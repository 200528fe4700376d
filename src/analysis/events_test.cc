#include "analysis/events.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::analysis {
namespace {

using Lines = std::vector<std::string>;

std::string line(const ServerEvent& event) {
  std::string text = event.type.empty() ? "message" : event.type;
  if (event.id) text += " id=" + *event.id;
  if (event.retry_ms) text += " retry=" + std::to_string(*event.retry_ms);
  if (event.data) text += " '" + *event.data + "'";
  if (event.data_size != event.data.value_or("").size()) text += " of " + std::to_string(event.data_size);
  return event.complete ? text : text + " unfinished";
}

Lines parse(std::string_view body, std::size_t step, ByteCount keep = 1000) {
  EventParser parser(keep);
  Lines lines;
  for (; !body.empty(); body.remove_prefix(std::min(step, body.size()))) {
    const std::string piece(body.substr(0, step));
    parser.feed(piece);
    while (const auto event = parser.next()) lines.push_back(line(*event));
  }
  if (const auto event = parser.finish()) lines.push_back(line(*event));
  return lines;
}

// However the octets are cut.
Lines events(std::string_view body, ByteCount keep = 1000) {
  const Lines whole = parse(body, body.size() + 1, keep);
  for (std::size_t step = 1; step <= body.size(); ++step) EXPECT_EQ(parse(body, step, keep), whole) << step;
  return whole;
}

// The examples of WHATWG HTML §9.2.6.
TEST(Events, TheStandardsExamplesAreReadAsItSays) {
  EXPECT_EQ(events("data: YHOO\ndata: +2\ndata: 10\n\n"), (Lines{"message 'YHOO\n+2\n10'"}));
  EXPECT_EQ(events(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"),
            (Lines{"message id=1 'first event'", "message id= 'second event'", "message ' third event' unfinished"}));
  EXPECT_EQ(events("data\n\ndata\ndata\n\ndata:"), (Lines{"message ''", "message '\n'", "message '' unfinished"}));
  EXPECT_EQ(events("data:test\n\ndata: test\n\n"), (Lines{"message 'test'", "message 'test'"}));
}

TEST(Events, LinesEndWithLfCrOrBoth) {
  for (const std::string end : {"\n", "\r", "\r\n"}) {
    const std::string body = "event: a" + end + "data: 1" + end + end + "data: 2" + end + end;
    EXPECT_EQ(events(body), (Lines{"a '1'", "message '2'"})) << end.size();
  }
  EXPECT_EQ(events("data: 1\r\r\ndata: 2\n\r\n"), (Lines{"message '1'", "message '2'"}));
}

TEST(Events, TypesIdsAndTimesAreTold) {
  EXPECT_EQ(events("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\nid: 7\nretry: 3000\n\n"),
            (Lines{"add '73857293'", "remove id=7 retry=3000 '2153'"}));
  EXPECT_EQ(events("retry: 250\n\n"), (Lines{"message retry=250"})) << "not dispatched, but it is what was sent";
  EXPECT_EQ(events("event: ping\n\n"), (Lines{"ping"}));
}

TEST(Events, WhatTheStandardIgnoresIsIgnored) {
  EXPECT_EQ(events("retry: soon\ndata: 1\n\n"), (Lines{"message '1'"}));
  EXPECT_EQ(events("retry: 99999999999999999999\ndata: 1\n\n"), (Lines{"message '1'"}));
  EXPECT_EQ(events("retry:\ndata: 1\n\n"), (Lines{"message '1'"}));
  EXPECT_EQ(events("Data: x\nfoo: y\n data: z\n:data: w\n\n"), Lines{});
  EXPECT_EQ(events(std::string("id: a\0b\ndata: 1\n\n", 17)), (Lines{"message '1'"}));
  EXPECT_EQ(events("\n\n\n: keep alive\n\n"), Lines{});
  EXPECT_EQ(events(""), Lines{});
}

TEST(Events, AByteOrderMarkMayStandAtTheBeginningOnly) {
  EXPECT_EQ(events("\xEF\xBB\xBF"
                   "data: 1\n\n\xEF\xBB\xBF"
                   "data: 2\n\n"),
            (Lines{"message '1'"}));
}

TEST(Events, OfLongOnesTheBeginningIsKept) {
  const std::string data(50, 'x');
  EXPECT_EQ(events("data: " + data + "\ndata: " + data + "\nevent: a\n\ndata: b\n\n", 60),
            (Lines{"a '" + data + "\n" + std::string(9, 'x') + "' of 101", "message 'b'"}));
  EXPECT_EQ(events("data: " + std::string(500, 'x') + "\n\n", 60),
            (Lines{"message '" + std::string(60, 'x') + "' of 500"}));
  EXPECT_EQ(events(std::string(500, 'x') + "\ndata: 1\n\n", 60), (Lines{"message '1'"}));
  EXPECT_EQ(events("data: 12\n\n", 0), (Lines{"message '' of 2"}));
}

}  // namespace
}  // namespace sluice::analysis

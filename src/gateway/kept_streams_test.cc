#include "gateway/kept_streams.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

namespace sluice::gateway {
namespace {

struct Streams : testing::Test {
  KeptStreams::ReplyPtr reply() { return std::make_shared<HttpReply>(std::make_shared<net::Deadlines>()); }
  static std::string event(const std::string& id, const std::string& data) {
    return "id: " + id + "\nevent: message\ndata: " + data + "\n\n";
  }
  boost::asio::io_context io;
  KeptStreams streams;
};

TEST_F(Streams, AnAnswerAloneIsNoStream) {
  const auto post = reply();
  streams.answer(streams.open(post), "{1}", {{"X", "y"}});
  const auto answer = post->take_head();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "{1}");
  EXPECT_EQ(answer->fields.back().second, "y");
  EXPECT_FALSE(post->streaming());
}

TEST_F(Streams, WhatIsSaidBeforeTheAnswerMakesItAStream) {
  const auto post = reply();
  const auto number = streams.open(post);
  EXPECT_TRUE(streams.say(number, "{1}"));
  streams.answer(number, "{2}");
  EXPECT_EQ(post->take_events(), event("1-1", "{1}") + event("1-2", "{2}"));
  EXPECT_TRUE(post->ended());
  EXPECT_FALSE(streams.say(number, "{3}"));
}

TEST_F(Streams, WhoLostItsConnectionGetsTheRestUnderItsId) {
  const auto post = reply();
  const auto number = streams.open(post);
  streams.begin(number, true);
  EXPECT_EQ(post->take_events(), "id: 1-0\ndata: \n\n");
  streams.say(number, "{1}");
  post->gone();
  EXPECT_FALSE(streams.is_heard(number));
  streams.say(number, "{2}");
  const auto again = reply();
  ASSERT_TRUE(streams.listen(again, "1-1"));
  EXPECT_EQ(again->take_events(), event("1-2", "{2}"));
  streams.answer(number, "{3}");
  EXPECT_EQ(again->take_events(), event("1-3", "{3}"));
  EXPECT_TRUE(again->ended());
  const auto late = reply();
  ASSERT_TRUE(streams.listen(late, "1-0"));
  EXPECT_EQ(late->take_events(), event("1-1", "{1}") + event("1-2", "{2}") + event("1-3", "{3}"));
  EXPECT_TRUE(late->ended());
}

TEST_F(Streams, AnIdThatNobodyGaveIsRefused) {
  const auto post = reply();
  const auto number = streams.open(post);
  streams.begin(number, true);
  for (const char* id : {"", "1", "2-0", "1-1", "x-0", "1-x", "-", "1-0-0", "18446744073709551616-0"}) {
    EXPECT_FALSE(streams.listen(reply(), id)) << id;
  }
}

TEST_F(Streams, TheSessionsOwnWaitsForAListenerAndSaysNothingTwice) {
  EXPECT_TRUE(streams.say(KeptStreams::kOwn, "{1}"));
  const auto first = reply();
  ASSERT_TRUE(streams.listen(first, std::nullopt));
  EXPECT_EQ(first->take_events(), event("0-1", "{1}"));
  streams.say(KeptStreams::kOwn, "{2}");
  first->gone();
  streams.say(KeptStreams::kOwn, "{3}");
  const auto second = reply();
  ASSERT_TRUE(streams.listen(second, std::nullopt));
  EXPECT_EQ(second->take_events(), event("0-3", "{3}"));
  const auto third = reply();
  ASSERT_TRUE(streams.listen(third, "0-1"));
  EXPECT_TRUE(second->ended());
  EXPECT_EQ(third->take_events(), event("0-2", "{2}") + event("0-3", "{3}"));
}

TEST_F(Streams, WhatIsKeptHasABoundAndWhatFellOutCannotBeAskedFor) {
  const auto post = reply();
  const auto number = streams.open(post);
  streams.begin(number, true);
  const std::string half(KeptStreams::kMaxKept / 2, 'x');
  for (int i = 0; i < 4; ++i) streams.say(number, half);
  EXPECT_FALSE(streams.listen(reply(), "1-0"));
  EXPECT_FALSE(streams.listen(reply(), "1-1"));
  EXPECT_TRUE(streams.listen(reply(), "1-2"));
}

TEST_F(Streams, StreamsThatEndedAreForgottenInTheirOrder) {
  for (std::size_t i = 0; i < KeptStreams::kMaxEnded + 2; ++i) {
    const auto number = streams.open(reply());
    streams.begin(number, true);
    streams.answer(number, "{}");
  }
  EXPECT_FALSE(streams.listen(reply(), "2-0"));
  EXPECT_TRUE(streams.listen(reply(), "3-0"));
}

TEST_F(Streams, ACancelledCallEndsWithoutAnAnswer) {
  const auto post = reply();
  streams.answer(streams.open(post), "");
  EXPECT_TRUE(post->streaming());
  EXPECT_TRUE(post->ended());
  EXPECT_EQ(post->take_events(), "");
}

}  // namespace
}  // namespace sluice::gateway

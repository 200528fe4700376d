#include "mcp/client_session.h"

#include <gtest/gtest.h>

namespace sluice::mcp {
namespace {

using Session = ClientSession;

std::string line(const char* text) { return text; }

template <class T>
T expect_event(Session& session, const std::string& text) {
  Session::Event event = session.feed(text);
  EXPECT_TRUE(std::holds_alternative<T>(event)) << text;
  return std::holds_alternative<T>(event) ? std::get<T>(std::move(event)) : T{};
}

TEST(ClientSession, ARequestHasAnIdOfItsOwnAndItsAnswerFindsBack) {
  Session session;
  const auto first = session.request("tools/list", Json::object());
  const auto second = session.request("ping", Json::object());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->text, R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  const auto answered = expect_event<Session::Answered>(session, R"({"jsonrpc":"2.0","id":2,"result":{"x":1.0}})");
  EXPECT_EQ(answered.key, second->key);
  EXPECT_FALSE(answered.is_error);
  EXPECT_EQ(session.in_flight(), 1u);
}

TEST(ClientSession, A29AnAnswerToNothingInFlightIsIgnored) {
  Session session;
  ASSERT_TRUE(session.request("ping", Json::object()));
  for (const char* text :
       {R"({"jsonrpc":"2.0","id":2,"result":{}})", R"({"jsonrpc":"2.0","id":"1","result":{}})",
        R"({"jsonrpc":"2.0","id":1.0,"result":{}})", R"({"jsonrpc":"2.0","id":null,"result":{}})",
        R"({"jsonrpc":"2.0","result":{}})", R"([{"jsonrpc":"2.0","id":1,"result":{}}])", "nonsense"}) {
    EXPECT_FALSE(expect_event<Session::Ignored>(session, text).why.empty());
  }
  expect_event<Session::Answered>(session, R"({"jsonrpc":"2.0","id":1,"result":{}})");
  expect_event<Session::Ignored>(session, R"({"jsonrpc":"2.0","id":1,"result":{}})");
}

TEST(ClientSession, AMalformedAnswerIsAnError) {
  for (const char* text : {R"({"jsonrpc":"2.0","id":1,"result":[]})", R"({"jsonrpc":"2.0","id":1,"error":"no"})",
                           R"({"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}})"}) {
    Session session;
    ASSERT_TRUE(session.request("ping", Json::object()));
    const auto answered = expect_event<Session::Answered>(session, text);
    EXPECT_TRUE(answered.is_error);
    EXPECT_EQ(answered.body["code"], rpc::kInternalError);
  }
}

TEST(ClientSession, AnErrorKeepsItsCodeAndData) {
  Session session;
  ASSERT_TRUE(session.request("ping", Json::object()));
  const auto answered = expect_event<Session::Answered>(
      session, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"pay","data":{"a":1.0},"x":1}})");
  EXPECT_TRUE(answered.is_error);
  EXPECT_EQ(write_raw_error(RequestId("c"), answered.body),
            R"({"jsonrpc":"2.0","id":"c","error":{"code":-32042,"message":"pay","data":{"a":1.0},"x":1}})");
}

TEST(ClientSession, ProgressTokensAreItsOwnAndOnlyThoseAskedForCount) {
  Session session;
  const auto sent = session.request("tools/call", *parse_json(R"({"name":"t","_meta":{"progressToken":"c","k":1}})"));
  ASSERT_TRUE(sent);
  EXPECT_EQ(
      sent->text,
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1,"k":1}}})");
  ASSERT_TRUE(session.request("tools/call", Json{{"name", "u"}}));
  const auto progressed = expect_event<Session::Progressed>(
      session,
      line(
          R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1.50,"z":0}})"));
  EXPECT_EQ(progressed.key, sent->key);
  EXPECT_EQ(write_notification("n", progressed.params),
            R"({"jsonrpc":"2.0","method":"n","params":{"progress":1.50,"z":0}})");
  for (const char* token : {"2", "\"c\"", "7", "null"}) {
    expect_event<Session::Ignored>(
        session,
        std::string(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":)") + token + "}}");
  }
}

TEST(ClientSession, ACancelledRequestIsForgottenAndToldOnce) {
  Session session;
  const auto sent = session.request("tools/call", Json::object());
  EXPECT_EQ(session.cancel(sent->key, Json{{"reason", "enough"}}),
            R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"enough","requestId":1}})");
  EXPECT_FALSE(session.cancel(sent->key));
  expect_event<Session::Ignored>(session, R"({"jsonrpc":"2.0","id":1,"result":{}})");
}

TEST(ClientSession, WhatTheServerAsksIsAnsweredUnderItsOwnIdOnce) {
  Session session;
  const auto asked = expect_event<Session::Asked>(
      session, R"({"jsonrpc":"2.0","id":"s1","method":"roots/list","params":{"_meta":{"progressToken":9}}})");
  EXPECT_EQ(asked.method, "roots/list");
  EXPECT_TRUE(session.awaits_progress(9));
  EXPECT_FALSE(session.awaits_progress(nullptr));
  expect_event<Session::Ignored>(session, R"({"jsonrpc":"2.0","id":"s1","method":"roots/list"})");
  EXPECT_EQ(session.answer(asked.key, Json{{"roots", Json::array()}}),
            R"({"jsonrpc":"2.0","id":"s1","result":{"roots":[]}})");
  EXPECT_FALSE(session.answer(asked.key, Json::object()));
  EXPECT_FALSE(session.awaits_progress(9));
}

TEST(ClientSession, AWithdrawnRequestOfTheServerIsNotAnswered) {
  Session session;
  const auto asked = expect_event<Session::Asked>(session, R"({"jsonrpc":"2.0","id":4,"method":"roots/list"})");
  const auto withdrawn = expect_event<Session::Withdrawn>(
      session, R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4,"reason":"late"}})");
  EXPECT_EQ(withdrawn.key, asked.key);
  EXPECT_EQ(withdrawn.params, (Json{{"reason", "late"}}));
  EXPECT_FALSE(session.answer(asked.key, Json::object()));
}

TEST(ClientSession, TooManyRequestsEitherWayAreRefused) {
  Session session({.max_in_flight = 1, .max_asked = 1});
  ASSERT_TRUE(session.request("ping", Json::object()));
  EXPECT_EQ(session.request("ping", Json::object()).error().code, Code::kUnavailable);
  expect_event<Session::Asked>(session, R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
  const auto ignored = expect_event<Session::Ignored>(session, R"({"jsonrpc":"2.0","id":2,"method":"ping"})");
  ASSERT_TRUE(ignored.answer);
  EXPECT_NE(ignored.answer->find("-32603"), std::string::npos);
}

TEST(ClientSession, ANoticeOfASubscriptionBelongsToItsListen) {
  Session session;
  const auto sent = session.request("subscriptions/listen", Json::object());
  const std::string notice = R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{)"
                             R"("io.modelcontextprotocol/subscriptionId":1}}})";
  EXPECT_EQ(expect_event<Session::Notified>(session, notice).subscription, sent->key);
  EXPECT_TRUE(session.cancel(sent->key));
  expect_event<Session::Ignored>(session, notice);
}

TEST(ClientSession, ACallWithoutAnIdIsNotTaken) {
  Session session;
  expect_event<Session::Ignored>(session, R"({"jsonrpc":"2.0","method":"sampling/createMessage","params":{}})");
}

TEST(PageReader, PagesBecomeOneListAndTheFirstPagesOtherMembersStay) {
  PageReader reader("tools");
  ASSERT_TRUE(reader.add(*parse_json(R"({"tools":[1],"nextCursor":"a","_meta":{"k":1}})")));
  EXPECT_EQ(*reader.cursor(), "a");
  ASSERT_TRUE(reader.add(*parse_json(R"({"tools":[2,3]})")));
  EXPECT_FALSE(reader.cursor());
  EXPECT_EQ(dump_json(reader.take()), R"({"tools":[1,2,3],"_meta":{"k":1}})");
}

TEST(PageReader, AListThatIsNoneOrDoesNotEndIsRefused) {
  EXPECT_EQ(PageReader("tools").add(Json{{"tools", 1}}).error().code, Code::kInvalid);
  EXPECT_EQ(PageReader("tools").add(Json::object()).error().code, Code::kInvalid);
  PageReader same("tools");
  ASSERT_TRUE(same.add(*parse_json(R"({"tools":[],"nextCursor":"a"})")));
  EXPECT_EQ(same.add(*parse_json(R"({"tools":[],"nextCursor":"a"})")).error().code, Code::kInvalid);
  PageReader endless("tools");
  Status added;
  for (std::size_t i = 0; added && i <= PageReader::kMaxPages; ++i) {
    added = endless.add(Json{{"tools", Json::array()}, {"nextCursor", std::to_string(i)}});
  }
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace sluice::mcp

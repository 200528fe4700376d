#include <algorithm>

#include "mcp/server_session.h"
#include "mcp/session_fixture.h"

namespace sluice::mcp {
namespace {

using namespace testing;

class Subscriptions : public SessionTest {
 protected:
  Subscriptions() { profile_.capabilities.tools_list_changed = true; }

  std::vector<Notice> updated(std::string uri) {
    return session_.notify(Change{Change::What::kResource, std::move(uri)});
  }
  std::vector<Notice> tools_changed() { return session_.notify(Change{Change::What::kToolList, ""}); }
  Operation listen(std::string_view id, std::string_view filter) {
    return operation(modern(id, "subscriptions/listen", "\"notifications\":" + std::string(filter)));
  }
};

TEST_F(Subscriptions, OfLegacyClientsFireAfterTheSuccessAndUntilTheyEnd) {
  initialize_with("2025-11-25");
  const Operation op = operation(legacy("1", "resources/subscribe", R"({"uri":"a:b"})"));
  EXPECT_TRUE(updated("a:b").empty());
  EXPECT_EQ(dump_json(completed(op.key, Json::object())["result"]), "{}");
  const auto notices = updated("a:b");
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_FALSE(notices[0].stream);
  EXPECT_EQ(notices[0].text, R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}})");
  EXPECT_TRUE(updated("a:c").empty());
  EXPECT_EQ(session_.watched(), std::set<std::string>{"a:b"});
  completed(operation(legacy("2", "resources/unsubscribe", R"({"uri":"a:b"})")).key, Json::object());
  EXPECT_TRUE(updated("a:b").empty());
}

TEST_F(Subscriptions, ThatWereRefusedNeverFire) {
  initialize_with("2025-11-25");
  const Operation op = operation(legacy("1", "resources/subscribe", R"({"uri":"a:b"})"));
  EXPECT_EQ(completed(op.key, fail(Code::kNotFound, "no"))["error"]["code"], rpc::kResourceNotFound);
  EXPECT_TRUE(updated("a:b").empty());
}

TEST(SubscriptionLimit, HoldsForEachSession) {
  ServerProfile profile = make_profile();
  profile.max_subscriptions = 1;
  ServerSession session(profile, Scope::kStdio);
  session.feed(initialize("2025-11-25"));
  const auto subscribe = [&](const char* uri) {
    const auto op =
        session.feed(legacy("1", "resources/subscribe", R"({"uri":")" + std::string(uri) + "\"}")).operation;
    return parsed(session.complete(op->key, Json::object())->text).contains("result");
  };
  EXPECT_TRUE(subscribe("a:1"));
  EXPECT_TRUE(subscribe("a:1"));
  EXPECT_FALSE(subscribe("a:2"));
  const auto step =
      session.feed(modern("2", "subscriptions/listen", R"("notifications":{"resourceSubscriptions":["a","b"]})"));
  EXPECT_EQ(parsed(step.answer->text)["error"]["code"], rpc::kInvalidParams);
}

TEST_F(Subscriptions, TellLegacyClientsOfListsOnlyOnceTheyAreReady) {
  session_.feed(initialize("2025-11-25"));
  EXPECT_TRUE(tools_changed().empty());
  session_.feed(kInitialized);
  const auto notices = tools_changed();
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].text, R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
  EXPECT_TRUE(session_.notify(Change{Change::What::kResourceList, ""}).empty());  // not advertised
}

TEST_F(Subscriptions, OfModernClientsAreAStreamThatBeginsWithAnAcknowledgement) {
  const Operation op =
      listen("\"s\"", R"({"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,
      "resourceSubscriptions":["a:b","a:c","a:b"],"taskIds":["x"]})");
  const auto& filter = std::get<Listen>(op.body).filter;
  EXPECT_TRUE(filter.tools_list_changed);
  EXPECT_FALSE(filter.prompts_list_changed || filter.resources_list_changed);  // not offered
  EXPECT_EQ(filter.resources, (std::vector<std::string>{"a:b", "a:c"}));
  EXPECT_TRUE(tools_changed().empty());

  SubscriptionFilter granted = filter;
  granted.resources = {"a:b", "a:never asked for"};
  EXPECT_EQ(
      *session_.accept_listen(op.key, granted),
      R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"},"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}}})");
  EXPECT_FALSE(session_.accept_listen(op.key, granted));
  EXPECT_EQ(session_.watched(), std::set<std::string>{"a:b"});

  auto notices = tools_changed();
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].stream, op.key);
  EXPECT_EQ(
      notices[0].text,
      R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"}}})");
  notices = updated("a:b");
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(
      notices[0].text,
      R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s"},"uri":"a:b"}})");
  EXPECT_TRUE(updated("a:c").empty());
}

TEST_F(Subscriptions, EndGracefullyWithAResultThatNamesThem) {
  const Operation op = listen("1", "{}");
  session_.accept_listen(op.key, {});
  const Json result = completed(op.key, Json::object())["result"];
  EXPECT_EQ(result["resultType"], "complete");
  EXPECT_EQ(result["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
  EXPECT_TRUE(tools_changed().empty());
}

TEST_F(Subscriptions, EndSilentlyWhenTheClientCancels) {
  const Operation op = listen("1", R"({"toolsListChanged":true})");
  session_.accept_listen(op.key, std::get<Listen>(op.body).filter);
  const Step step = session_.feed(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  EXPECT_EQ(step.cancelled, std::vector<OperationKey>{op.key});
  EXPECT_TRUE(tools_changed().empty());
  EXPECT_FALSE(session_.complete(op.key, Json::object()));
}

TEST_F(Subscriptions, OfBothErasLiveSideBySideOnOneConnection) {
  initialize_with("2025-11-25");
  const Operation one = listen("1", R"({"toolsListChanged":true})");
  const Operation two = listen("2", R"({"toolsListChanged":true})");
  session_.accept_listen(one.key, std::get<Listen>(one.body).filter);
  session_.accept_listen(two.key, std::get<Listen>(two.body).filter);
  const auto notices = tools_changed();
  ASSERT_EQ(notices.size(), 3u);
  EXPECT_EQ(notices[0].stream, one.key);
  EXPECT_EQ(notices[1].stream, two.key);
  EXPECT_FALSE(notices[2].stream);
}

TEST_F(Subscriptions, AreAskedForInTheRightShape) {
  for (const char* filter : {"[]", "7", "null", R"({"toolsListChanged":1})", R"({"resourceSubscriptions":"a:b"})",
                             R"({"resourceSubscriptions":[1]})"}) {
    EXPECT_EQ(error_code(modern("1", "subscriptions/listen", "\"notifications\":" + std::string(filter))),
              rpc::kInvalidParams)
        << filter;
  }
  EXPECT_EQ(error_code(modern("1", "subscriptions/listen")), rpc::kInvalidParams);
}

TEST_F(Subscriptions, AreNotAcceptedForAnythingElse) {
  const Operation op = operation(modern("1", "tools/list"));
  EXPECT_FALSE(session_.accept_listen(op.key, {}));
  EXPECT_FALSE(session_.accept_listen(OperationKey{7}, {}));
}

}  // namespace
}  // namespace sluice::mcp

#include "mcp/jsonrpc.h"

#include <gtest/gtest.h>

#include "mcp/error_map.h"

namespace sluice::mcp {
namespace {

TEST(JsonRpc, ReadsTheFourKindsOfMessages) {
  const Message request = parse_message(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}})");
  ASSERT_TRUE(std::holds_alternative<Request>(request));
  EXPECT_EQ(std::get<Request>(request).id, RequestId("a"));
  EXPECT_EQ(std::get<Request>(request).method, "m");
  EXPECT_EQ(std::get<Request>(request).params["x"], 1);

  const Message notification = parse_message(R"({"jsonrpc":"2.0","method":"n"})");
  ASSERT_TRUE(std::holds_alternative<Notification>(notification));
  EXPECT_TRUE(std::get<Notification>(notification).params.is_object());

  EXPECT_TRUE(std::holds_alternative<Response>(parse_message(R"({"jsonrpc":"2.0","id":1,"result":{}})")));
  const Message error = parse_message(R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})");
  ASSERT_TRUE(std::holds_alternative<Response>(error));
  EXPECT_TRUE(std::get<Response>(error).is_error);
}

struct Refusal {
  std::string_view text;
  int code;
  std::string_view id;  // as JSON; empty: none can be read
};

TEST(JsonRpc, RefusesWhatCouldBeReadTwoWays) {
  const std::string long_id(257, 'x');
  const std::string long_id_text = R"({"jsonrpc":"2.0","id":")" + long_id + R"(","method":"m"})";
  const std::string deep_text =
      R"({"jsonrpc":"2.0","id":1,"method":"m","params":)" + std::string(200, '[') + std::string(200, ']') + "}";
  const Refusal table[] = {
      {"", rpc::kParseError, ""},
      {"nonsense", rpc::kParseError, ""},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"", rpc::kParseError, ""},
      {"\xEF\xBB\xBF{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", rpc::kParseError, ""},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"\ud800"})", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"a","method":"b"})", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"n":1,"n":2}}})", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"n":1e400}})", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"n":NaN}})", rpc::kParseError, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"m"} {})", rpc::kParseError, ""},
      {deep_text, rpc::kInvalidRequest, ""},
      {"[]", rpc::kInvalidRequest, ""},
      {R"([{"jsonrpc":"2.0","id":1,"method":"tools/call"}])", rpc::kInvalidRequest, ""},
      {"7", rpc::kInvalidRequest, ""},
      {"{}", rpc::kInvalidRequest, ""},
      {R"({"id":1,"method":"m"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"1.0","id":1,"method":"m"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":2.0,"id":1,"method":"m"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":7})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":""})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":null,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":1.0,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":9007199254740993,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":18446744073709551615,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":true,"method":"m"})", rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":[1],"method":"m"})", rpc::kInvalidRequest, ""},
      {long_id_text, rpc::kInvalidRequest, ""},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","Method":"n"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","PARAMS":{}})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","result":{}})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":[]})", rpc::kInvalidParams, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":"x"})", rpc::kInvalidParams, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"m","params":null})", rpc::kInvalidParams, "1"},
  };
  for (const Refusal& row : table) {
    const Message message = parse_message(row.text);
    ASSERT_TRUE(std::holds_alternative<Malformed>(message)) << row.text;
    const auto& malformed = std::get<Malformed>(message);
    EXPECT_EQ(malformed.error.code, row.code) << row.text;
    EXPECT_EQ(malformed.id ? dump_json(malformed.id->to_json()) : "", row.id) << row.text;
    EXPECT_FALSE(malformed.is_notification) << row.text;
  }
}

TEST(JsonRpc, KnowsANotificationEvenWhenItIsMalformed) {
  const Message message = parse_message(R"({"jsonrpc":"2.0","method":"m","params":[]})");
  ASSERT_TRUE(std::holds_alternative<Malformed>(message));
  EXPECT_TRUE(std::get<Malformed>(message).is_notification);
}

TEST(JsonRpc, NeverAnswersAnErrorWithAnError) {
  for (const char* text : {R"({"error":{}})", R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700}})",
                           R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})"}) {
    EXPECT_TRUE(std::holds_alternative<Response>(parse_message(text))) << text;
  }
}

TEST(JsonRpc, TakesEscapedSpellingsForWhatTheyMean) {
  const Message message = parse_message(R"({"jsonrpc":"2.0","id":1,"\u006dethod":"\u0074ools\/call"})");
  ASSERT_TRUE(std::holds_alternative<Request>(message));
  EXPECT_EQ(std::get<Request>(message).method, "tools/call");
}

TEST(JsonRpc, TellsNumbersFromTextAmongIds) {
  EXPECT_NE(RequestId(1), RequestId("1"));
  EXPECT_EQ(*RequestId::from_json(Json(-9007199254740992)), RequestId(-9007199254740992));
  EXPECT_FALSE(RequestId::from_json(Json(-9007199254740993)));
  EXPECT_EQ(*RequestId::from_json(Json("")), RequestId(""));
}

TEST(JsonRpc, WritesOneLineWithoutAnIdWhereNoneWasRead) {
  EXPECT_EQ(write_result(RequestId("a\nb"), Json::object()), R"({"jsonrpc":"2.0","id":"a\nb","result":{}})");
  EXPECT_EQ(write_error(std::nullopt, RpcError{-32700, "no"}),
            R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}})");
  EXPECT_EQ(write_error(RequestId(7), RpcError{-32601, "no", Json(1)}),
            R"({"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no","data":1}})");
  EXPECT_EQ(write_notification("n", Json::object()), R"({"jsonrpc":"2.0","method":"n"})");
}

TEST(ErrorMap, HidesWhatMayNotBeSeenAndKeepsOldCodesOutOfTheModernEra) {
  const Error missing{Code::kNotFound, "no such resource"};
  EXPECT_EQ(map_error(missing, Era::kLegacy, Subject::kResource).code, rpc::kResourceNotFound);
  EXPECT_EQ(map_error(missing, Era::kModern, Subject::kResource).code, rpc::kInvalidParams);
  EXPECT_EQ(map_error(missing, Era::kLegacy).code, rpc::kInvalidParams);
  EXPECT_EQ(map_error(Error{Code::kRefused, ""}, Era::kModern).code, rpc::kInvalidParams);
  EXPECT_EQ(map_error(Error{Code::kInvalid, ""}, Era::kLegacy).code, rpc::kInvalidParams);
  for (const Code code : {Code::kConflict, Code::kUnavailable, Code::kTimeout, Code::kCancelled, Code::kClosed,
                          Code::kIo, Code::kInternal}) {
    EXPECT_EQ(map_error(Error{code, ""}, Era::kModern).code, rpc::kInternalError);
  }
}

TEST(ErrorMap, RepeatsOnlyPlainMethodNames) {
  EXPECT_EQ(method_not_found("tools/frobnicate").message, "Method not found: tools/frobnicate");
  EXPECT_EQ(method_not_found("a\nb").message, "Method not found");
  EXPECT_EQ(method_not_found(std::string(65, 'a')).message, "Method not found");
}

TEST(ErrorMap, GivesModernHttpItsStatusCodes) {
  EXPECT_EQ(http_status(rpc::kMethodNotFound, Era::kModern, Origin::kOutcome), 404);
  EXPECT_EQ(http_status(rpc::kInvalidParams, Era::kModern, Origin::kProtocol), 400);
  EXPECT_EQ(http_status(rpc::kInvalidParams, Era::kModern, Origin::kOutcome), 200);
  EXPECT_EQ(http_status(rpc::kUnsupportedVersion, Era::kModern, Origin::kProtocol), 400);
  EXPECT_EQ(http_status(rpc::kInternalError, Era::kModern, Origin::kOutcome), 200);
  EXPECT_EQ(http_status(rpc::kMethodNotFound, Era::kLegacy, Origin::kOutcome), 200);
}

}  // namespace
}  // namespace sluice::mcp

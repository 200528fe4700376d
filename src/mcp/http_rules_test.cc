#include "mcp/http_rules.h"

#include <vector>

#include "mcp/session_fixture.h"

namespace sluice::mcp {
namespace {

using namespace testing;
using Fields = std::vector<HeaderField>;

const Fields kPost = {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};

Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
int head_status(std::string_view method, const Fields& fields) {
  const auto head = read_http_head(method, fields);
  return head ? 200 : head.error().status;
}
int code_of(const HttpRefusal& refusal) { return parsed(refusal.body)["error"]["code"].get<int>(); }

TEST(HttpHead, RefusesOtherMethodsAndStreamsWithoutASession) {
  for (const char* method : {"PUT", "OPTIONS", "HEAD", "post", ""})
    EXPECT_EQ(head_status(method, kPost), 405) << method;
  EXPECT_EQ(head_status("GET", {{"Accept", "text/event-stream"}}), 405);
  EXPECT_EQ(head_status("DELETE", {}), 405);
  EXPECT_EQ(read_http_head("GET", Fields{}).error().allow, "POST");
  EXPECT_EQ(head_status("GET", {{"Accept", "text/event-stream"}, {"mcp-session-id", "s"}}), 200);
  EXPECT_EQ(head_status("GET", {{"Accept", "application/json"}, {"Mcp-Session-Id", "s"}}), 406);
  EXPECT_EQ(head_status("DELETE", {{"Mcp-Session-Id", "s"}}), 200);
}

TEST(HttpHead, TakesJsonAndPromisesEitherAnswer) {
  const std::pair<Fields, int> table[] = {
      {kPost, 200},
      {{{"content-type", "Application/JSON; charset=utf-8"}, {"accept", "text/event-stream;q=0.5 , application/json"}},
       200},
      {{{"Content-Type", "application/json"}, {"Accept", "*/*"}}, 200},
      {{{"Content-Type", "application/json"}, {"Accept", "application/*, text/*"}}, 200},
      {{{"Content-Type", "application/json"}, {"Accept", "application/json"}, {"Accept", "text/event-stream"}}, 200},
      {{{"Content-Type", "application/json"}, {"Accept", "application/json"}}, 406},
      {{{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}}, 406},
      {{{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream;q=0"}}, 406},
      {{{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream;q=0.000"}}, 406},
      {{{"Content-Type", "application/json"}, {"Accept", ""}}, 406},
      {{{"Content-Type", "application/json"}}, 406},
      {{{"Accept", "*/*"}}, 415},
      {{{"Content-Type", "text/plain"}, {"Accept", "*/*"}}, 415},
      {{{"Content-Type", "application/jsonp"}, {"Accept", "*/*"}}, 415},
      {{{"Content-Type", "application/json"}, {"Content-Type", "text/plain"}, {"Accept", "*/*"}}, 415},
      {{{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}, {"Accept", "*/*"}}, 415},
      {{{"Content-Type", "application/json"}, {"Content-Encoding", "identity, br"}, {"Accept", "*/*"}}, 415},
      {{{"Content-Type", "application/json"}, {"Content-Encoding", "Identity"}, {"Accept", "*/*"}}, 200},
  };
  for (const auto& [fields, status] : table) EXPECT_EQ(head_status("POST", fields), status) << fields[0].value;
}

TEST(HttpHead, RefusesHeadersThatCouldBeReadTwoWays) {
  for (const char* name : {"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"}) {
    EXPECT_EQ(head_status("POST", with(kPost, {{name, "a"}, {name, "a"}})), 400) << name;
    EXPECT_EQ(head_status("POST", with(kPost, {{name, "\xc3\xa9"}})), 400) << name;
    EXPECT_EQ(head_status("POST", with(kPost, {{name, "a\x01"}})), 400) << name;
    EXPECT_EQ(head_status("POST", with(kPost, {{name, " a "}})), 200) << name;
  }
}

// 0: routed as `route` says; else the JSON-RPC code of a refusal with 400.
struct Row {
  const char* what;
  Fields fields;
  std::string body;
  int code = 0;
  HttpRoute route = HttpRoute::kModern;
};

TEST(HttpRoutes, SortTheErasAndHoldHeadersAgainstTheBody) {
  const HeaderField v26{"MCP-Protocol-Version", "2026-07-28"};
  const HeaderField v25{"MCP-Protocol-Version", "2025-11-25"};
  const HeaderField session{"Mcp-Session-Id", "s"};
  const auto method = [](std::string_view name) { return HeaderField{"Mcp-Method", name}; };
  const auto name = [](std::string_view value) { return HeaderField{"Mcp-Name", value}; };
  const std::string call = modern("1", "tools/call", R"("name":"t")");
  const std::string read = modern("1", "resources/read", R"("uri":"file:///ü")");
  const std::string old_claim =
      legacy("1", "tools/list", R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25"}})");
  const std::string unknown = legacy("1", "x", R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01"}})");
  const std::string note = R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})";
  const std::string hidden_call = R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}})";
  const Row table[] = {
      {"modern", {v26, method("tools/call"), name("t")}, call},
      {"modern, no name needed", {v26, method("tools/list")}, modern("1", "tools/list")},
      {"modern, session id ignored", {v26, session, method("tools/list")}, modern("1", "tools/list")},
      {"modern, encoded name", {v26, method("tools/call"), name("=?base64?dA==?=")}, call},
      {"modern, encoded uri", {v26, method("resources/read"), name("=?base64?ZmlsZTovLy/DvA==?=")}, read},
      {"modern initialize is modern", {v26, method("initialize")}, modern("1", "initialize")},
      {"no version header", {method("tools/call"), name("t")}, call, rpc::kHeaderMismatch},
      {"other version header", {v25, method("tools/call"), name("t")}, call, rpc::kHeaderMismatch},
      {"no method header", {v26, name("t")}, call, rpc::kHeaderMismatch},
      {"other method header", {v26, method("tools/list"), name("t")}, call, rpc::kHeaderMismatch},
      {"method header in other case", {v26, method("Tools/call"), name("t")}, call, rpc::kHeaderMismatch},
      {"no name header", {v26, method("tools/call")}, call, rpc::kHeaderMismatch},
      {"other name header", {v26, method("tools/call"), name("u")}, call, rpc::kHeaderMismatch},
      {"badly encoded name", {v26, method("tools/call"), name("=?base64?%?=")}, call, rpc::kHeaderMismatch},
      {"name not in the body", {v26, method("tools/call"), name("t")}, modern("1", "tools/call")},
      {"unknown version, agreed", {{"MCP-Protocol-Version", "2030-01-01"}}, unknown},
      {"unknown version, not agreed", {v26}, unknown, rpc::kHeaderMismatch},
      {"modern header, no claim", {v26, session}, legacy("1", "tools/list"), rpc::kInvalidParams},
      {"malformed claim", {v26}, legacy("1", "x", R"({"_meta":[]})"), rpc::kInvalidParams},
      {"initialize", {}, initialize("2025-11-25"), 0, HttpRoute::kInitialize},
      {"initialize, old header", {v25}, initialize("2025-11-25"), 0, HttpRoute::kInitialize},
      {"initialize, modern header", {v26}, initialize("2025-11-25"), rpc::kHeaderMismatch},
      {"initialize again", {session}, initialize("2025-11-25"), 0, HttpRoute::kSession},
      {"session", {session, v25}, legacy("1", "tools/list"), 0, HttpRoute::kSession},
      {"session without version", {session}, legacy("1", "tools/list"), 0, HttpRoute::kSession},
      {"session, legacy claim", {session}, old_claim, 0, HttpRoute::kSession},
      {"session, unknown version",
       {session, {"MCP-Protocol-Version", "1"}},
       legacy("1", "x"),
       rpc::kUnsupportedVersion},
      {"no session", {v25}, legacy("1", "tools/list"), rpc::kInvalidRequest},
      {"nothing at all", {}, legacy("1", "tools/list"), rpc::kInvalidRequest},
      {"notification of a session", {session}, note, 0, HttpRoute::kSession},
      {"notification of nobody", {}, note, rpc::kInvalidRequest},
      {"modern notification", {v26}, note, 0, HttpRoute::kDropped},
      {"modern notification, other method", {v26, method("x")}, note, rpc::kHeaderMismatch},
      {"call without an id", {v26}, hidden_call, rpc::kInvalidRequest},
      {"answer of a session", {session}, R"({"jsonrpc":"2.0","id":1,"result":{}})", 0, HttpRoute::kSession},
      {"answer of nobody", {}, R"({"jsonrpc":"2.0","id":1,"result":{}})", rpc::kInvalidRequest},
      {"batch", {session}, "[" + legacy("1", "tools/list") + "]", rpc::kInvalidRequest},
      {"batch of an old version",
       {session, {"MCP-Protocol-Version", "2025-03-26"}},
       "[" + legacy("1", "x") + "]",
       rpc::kInvalidRequest},
      {"nonsense", {}, "{", rpc::kParseError},
  };
  for (const Row& row : table) {
    const auto head = read_http_head("POST", with(kPost, row.fields));
    ASSERT_TRUE(head) << row.what;
    const auto route = route_post(*head, parse_message(row.body));
    if (row.code == 0) {
      ASSERT_TRUE(route) << row.what << ": " << route.error().body;
      EXPECT_EQ(*route, row.route) << row.what;
    } else {
      ASSERT_FALSE(route) << row.what;
      EXPECT_EQ(route.error().status, 400) << row.what;
      EXPECT_EQ(code_of(route.error()), row.code) << row.what;
    }
  }
}

TEST(HttpRoutes, AnswerUnderTheIdThatWasAsked) {
  const auto head = read_http_head("POST", kPost);
  const Message message = parse_message(legacy("\"q\"", "tools/list"));
  EXPECT_EQ(parsed(route_post(*head, message).error().body)["id"], "q");
  const HttpRefusal gone = session_not_found(&message);
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(parsed(gone.body)["id"], "q");
  EXPECT_FALSE(parsed(session_not_found().body).contains("id"));
  EXPECT_EQ(message_too_large().status, 413);
}

TEST(HeaderValue, IsDecodedOnlyBetweenBothMarks) {
  EXPECT_EQ(decode_header_value("us-west1"), "us-west1");
  EXPECT_EQ(decode_header_value("=?base64?SGVsbG8sIOS4lueVjA==?="), "Hello, 世界");
  EXPECT_EQ(decode_header_value("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), "=?base64?literal?=");
  EXPECT_EQ(decode_header_value("=?base64?"
                                "?="),
            "");
  EXPECT_EQ(decode_header_value("=?base64?="), "=?base64?=");
  EXPECT_EQ(decode_header_value("=?base64?dA=="), "=?base64?dA==");
  EXPECT_EQ(decode_header_value("=?BASE64?dA==?="), "=?BASE64?dA==?=");
  EXPECT_FALSE(decode_header_value("=?base64?*?="));
  EXPECT_FALSE(decode_header_value("=?base64?/w==?="));  // not UTF-8
}

}  // namespace
}  // namespace sluice::mcp

#include "mcp/server_session.h"

#include "mcp/session_fixture.h"

namespace sluice::mcp {
namespace {

using namespace testing;

class Legacy : public SessionTest {};
class Modern : public SessionTest {};

TEST_F(Legacy, BeginsWithAHandshake) {
  const Json json = answer(initialize("2025-11-25"));
  EXPECT_EQ(json["id"], 0);
  EXPECT_EQ(json["result"]["protocolVersion"], "2025-11-25");
  EXPECT_EQ(json["result"]["serverInfo"], profile_.server_info);
  EXPECT_EQ(json["result"]["instructions"], "Look at traffic.");
  EXPECT_EQ(dump_json(json["result"]["capabilities"]),
            R"({"tools":{},"resources":{"subscribe":true},"completions":{}})");
  EXPECT_FALSE(json["result"].contains("resultType"));
  const Step step = session_.feed(kInitialized);
  EXPECT_FALSE(step.answer || step.operation);
  EXPECT_EQ(session_.client_info()["name"], "c");
  const Operation list = operation(legacy("1", "tools/list"));
  EXPECT_TRUE(std::holds_alternative<ListTools>(list.body));
  EXPECT_EQ(list.context.era(), Era::kLegacy);
  EXPECT_TRUE(list.context.client_capabilities.contains("elicitation"));
}

TEST(Negotiation, AgreesOnARevisionOfTheLegacyEra) {
  const std::pair<const char*, const char*> table[] = {
      {"2024-11-05", "2025-11-25"}, {"2025-03-26", "2025-03-26"}, {"2025-06-18", "2025-06-18"},
      {"2025-11-25", "2025-11-25"}, {"2026-07-28", "2025-11-25"}, {"1999-01-01", "2025-11-25"},
      {"next", "2025-11-25"},
  };
  const ServerProfile profile = make_profile();
  for (const auto& [asked, agreed] : table) {
    ServerSession session(profile, Scope::kStdio);
    const Json json = parsed(session.feed(initialize(asked)).answer->text);
    EXPECT_EQ(json["result"]["protocolVersion"], agreed) << asked;
    EXPECT_EQ(to_string(*session.revision()), agreed);
  }
}

TEST_F(Legacy, TellsOldClientsOnlyWhatTheyKnow) {
  EXPECT_EQ(dump_json(answer(initialize("2025-03-26"))["result"]["serverInfo"]), R"({"name":"sluice","version":"1"})");
}

TEST_F(Legacy, RefusesASecondHandshakeAndKeepsTheFirst) {
  initialize_with("2025-03-26");
  EXPECT_EQ(error_code(initialize("2025-11-25")), rpc::kInvalidRequest);
  EXPECT_EQ(session_.revision(), Revision::k2025_03_26);
}

TEST_F(Legacy, RefusesHandshakesThatSayNothingUseful) {
  EXPECT_EQ(error_code(legacy("1", "initialize")), rpc::kInvalidParams);
  EXPECT_EQ(error_code(legacy("1", "initialize", R"({"protocolVersion":7})")), rpc::kInvalidParams);
  EXPECT_EQ(error_code(legacy("1", "initialize", R"({"protocolVersion":"2025-11-25","capabilities":[]})")),
            rpc::kInvalidParams);
  const std::string huge =
      R"({"protocolVersion":"2025-11-25","capabilities":{"x":")" + std::string(20'000, 'x') + "\"}}";
  EXPECT_EQ(error_code(legacy("1", "initialize", huge)), rpc::kInvalidParams);
  EXPECT_FALSE(session_.revision());
}

TEST_F(Legacy, AnswersOnlyPingBeforeTheHandshake) {
  EXPECT_EQ(dump_json(answer(legacy("1", "ping"))["result"]), "{}");
  EXPECT_EQ(error_code(legacy("2", "tools/list")), rpc::kInvalidRequest);
  EXPECT_EQ(error_code(legacy("3", "tools/call", R"({"name":"x"})")), rpc::kInvalidRequest);
  EXPECT_EQ(error_code(legacy("4", "frobnicate")), rpc::kInvalidRequest);
}

TEST_F(Legacy, HasNoMethodsThatWereNotOffered) {
  initialize_with("2025-11-25");
  for (const char* method : {"prompts/list", "prompts/get", "logging/setLevel", "server/discover",
                             "subscriptions/listen", "tasks/get", "frobnicate", "Tools/list", "tools/list "}) {
    EXPECT_EQ(error_code(legacy("1", method)), rpc::kMethodNotFound) << method;
  }
}

TEST(LegacyLogging, RemembersTheLevelWhereLoggingIsOffered) {
  ServerProfile profile = make_profile();
  profile.capabilities.logging = true;
  ServerSession session(profile, Scope::kStdio);
  session.feed(initialize("2025-11-25"));
  const Step bad = session.feed(legacy("1", "logging/setLevel", R"({"level":"loud"})"));
  EXPECT_EQ(parsed(bad.answer->text)["error"]["code"], rpc::kInvalidParams);
  EXPECT_TRUE(
      parsed(session.feed(legacy("2", "logging/setLevel", R"({"level":"info"})")).answer->text).contains("result"));
  EXPECT_EQ(session.feed(legacy("3", "tools/list")).operation->context.log_level, "info");
}

TEST_F(Modern, DiscoversWithoutAHandshake) {
  const Json json = answer(modern("\"d\"", "server/discover"));
  EXPECT_EQ(json["id"], "d");
  const Json& result = json["result"];
  EXPECT_EQ(dump_json(result["supportedVersions"]), R"(["2026-07-28"])");
  EXPECT_EQ(result["resultType"], "complete");
  EXPECT_EQ(result["ttlMs"], 60'000);
  EXPECT_EQ(result["cacheScope"], "private");
  EXPECT_EQ(result["instructions"], "Look at traffic.");
  EXPECT_EQ(result["_meta"]["io.modelcontextprotocol/serverInfo"], profile_.server_info);
  EXPECT_TRUE(result["capabilities"].contains("tools"));
}

TEST_F(Modern, KnowsNothingOfTheLegacyEraWhateverWentBefore) {
  initialize_with("2025-11-25");
  for (const char* method :
       {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}) {
    const Step step =
        session_.feed(modern("1", method, R"("uri":"a:b","level":"info","protocolVersion":"2025-11-25")"));
    ASSERT_TRUE(step.answer) << method;
    EXPECT_EQ(parsed(step.answer->text)["error"]["code"], rpc::kMethodNotFound) << method;
    EXPECT_EQ(step.answer->http_status, 404) << method;
  }
  EXPECT_EQ(operation(modern("2", "tools/list")).context.era(), Era::kModern);
  EXPECT_EQ(operation(legacy("3", "tools/list")).context.era(), Era::kLegacy);
}

TEST_F(Modern, NamesTheVersionsItSpeaks) {
  for (const char* version : {"1900-01-01", "2027-01-01", "x"}) {
    const std::string params =
        R"({"_meta":{"io.modelcontextprotocol/protocolVersion":")" + std::string(version) + "\"}}";
    const Step step = session_.feed(legacy("1", "tools/list", params));
    const Json error = parsed(step.answer->text)["error"];
    EXPECT_EQ(error["code"], rpc::kUnsupportedVersion);
    EXPECT_EQ(error["data"]["requested"], version);
    EXPECT_EQ(dump_json(error["data"]["supported"]), R"(["2026-07-28","2025-11-25","2025-06-18","2025-03-26"])");
    EXPECT_EQ(step.answer->http_status, 400);
  }
}

TEST_F(Modern, DemandsTheFieldsOfEachRequest) {
  const char* table[] = {
      R"({})",
      R"({"_meta":{}})",
      R"({"_meta":[]})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":1}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":null}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{}}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"loud"}})",
      R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1.5}})",
  };
  for (const char* params : table) {
    const Step step = session_.feed(legacy("1", "server/discover", params));
    ASSERT_TRUE(step.answer) << params;
    EXPECT_EQ(parsed(step.answer->text)["error"]["code"], rpc::kInvalidParams) << params;
    EXPECT_EQ(step.answer->http_status, 400) << params;
  }
}

TEST(ModernHttp, ServesOneRequestAndNoLegacy) {
  const ServerProfile profile = make_profile();
  ServerSession session(profile, Scope::kModernHttp);
  EXPECT_EQ(session.feed(legacy("1", "tools/list")).answer->http_status, 400);
  EXPECT_EQ(session.feed(initialize("2025-11-25")).answer->http_status, 400);
  EXPECT_TRUE(session.feed(modern("1", "tools/list")).operation);
  ServerSession of_session(profile, Scope::kLegacyHttp);
  EXPECT_EQ(of_session.feed(modern("1", "tools/list")).answer->http_status, 400);
}

TEST_F(Modern, HandsOverWhatTheClientSaidAboutTheRequest) {
  const Operation call = operation(legacy("1", "tools/call", R"({"name":"t","arguments":{"a":1},
    "inputResponses":{"k":{}},"requestState":"s","_meta":{
    "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},
    "io.modelcontextprotocol/clientInfo":{"name":"c","version":"2","icons":[]},"io.modelcontextprotocol/logLevel":"info",
    "progressToken":"p","traceparent":"00-1-2-03"}})"));
  EXPECT_EQ(call.method, "tools/call");
  EXPECT_EQ(call.id, RequestId(1));
  EXPECT_EQ(call.context.revision, Revision::k2026_07_28);
  EXPECT_EQ(dump_json(call.context.client_info), R"({"name":"c","version":"2"})");
  EXPECT_TRUE(call.context.client_capabilities.contains("elicitation"));
  EXPECT_TRUE(call.context.wants_progress);
  EXPECT_EQ(call.context.log_level, "info");
  EXPECT_EQ(call.context.traceparent, "00-1-2-03");
  const auto& body = std::get<CallTool>(call.body);
  EXPECT_EQ(body.name, "t");
  EXPECT_EQ(body.arguments["a"], 1);
  EXPECT_TRUE(body.retry.input_responses.is_object());
  EXPECT_EQ(body.retry.request_state, "s");
}

TEST_F(Legacy, RefusesParamsThatAreNotWhatTheMethodTakes) {
  initialize_with("2025-11-25");
  const std::pair<const char*, const char*> table[] = {
      {"tools/call", "{}"},
      {"tools/call", R"({"name":1})"},
      {"tools/call", R"({"name":"t","arguments":[]})"},
      {"tools/call", R"({"name":"t","arguments":"x"})"},
      {"tools/call", R"({"name":"t","_meta":7})"},
      {"tools/call", R"({"name":"t","_meta":{"progressToken":null}})"},
      {"resources/read", "{}"},
      {"resources/read", R"({"uri":""})"},
      {"resources/subscribe", R"({"uri":7})"},
      {"resources/unsubscribe", "{}"},
      {"completion/complete", "{}"},
      {"completion/complete", R"({"ref":{"type":"ref/tool"},"argument":{"name":"a","value":""}})"},
      {"completion/complete", R"({"ref":{"type":"ref/resource","uri":"u"},"argument":{"name":"a"}})"},
      {"completion/complete",
       R"({"ref":{"type":"ref/resource","uri":"u"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":1}}})"},
      {"tools/list", R"({"cursor":7})"},
      {"tools/list", R"({"cursor":"AAAA"})"},
      {"resources/list", R"({"cursor":""})"},
  };
  for (const auto& [method, params] : table) {
    EXPECT_EQ(error_code(legacy("1", method, params)), rpc::kInvalidParams) << method << " " << params;
  }
  EXPECT_EQ(session_.in_flight(), 0u);
}

TEST_F(Legacy, ReadsACompletion) {
  initialize_with("2025-11-25");
  const Operation op =
      operation(legacy("1", "completion/complete", R"({"ref":{"type":"ref/resource","uri":"sluice://{x}"},
    "argument":{"name":"x","value":"tr"},"context":{"arguments":{"y":"1"}}})"));
  const auto& body = std::get<Complete>(op.body);
  EXPECT_EQ(body.of, Complete::Of::kResourceTemplate);
  EXPECT_EQ(body.target, "sluice://{x}");
  EXPECT_EQ(body.argument, "x");
  EXPECT_EQ(body.value, "tr");
  EXPECT_EQ(body.context["y"], "1");
}

TEST_F(Legacy, RefusesAnIdThatIsInFlightAndTakesItAgainAfterwards) {
  initialize_with("2025-11-25");
  const Operation first = operation(legacy("1", "tools/list"));
  EXPECT_EQ(error_code(legacy("1", "tools/list")), rpc::kInvalidRequest);
  EXPECT_EQ(error_code(legacy("1", "ping")), rpc::kInvalidRequest);
  EXPECT_EQ(error_code(modern("1", "server/discover")), rpc::kInvalidRequest);
  operation(legacy("\"1\"", "tools/list"));
  EXPECT_TRUE(session_.complete(first.key, parsed(R"({"tools":[]})")));
  const Operation again = operation(legacy("1", "tools/list"));
  EXPECT_NE(again.key, first.key);
}

TEST(InFlight, HasALimitForEachSession) {
  ServerProfile profile = make_profile();
  profile.max_in_flight = 2;
  ServerSession session(profile, Scope::kStdio);
  EXPECT_TRUE(session.feed(modern("1", "tools/list")).operation);
  EXPECT_TRUE(session.feed(modern("2", "tools/list")).operation);
  EXPECT_EQ(parsed(session.feed(modern("3", "tools/list")).answer->text)["error"]["code"], rpc::kInternalError);
  EXPECT_EQ(session.in_flight(), 2u);
}

TEST_F(Legacy, DropsNotificationsItDoesNotKnowAndNeverRunsThem) {
  initialize_with("2025-11-25");
  for (const char* text :
       {R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}})",
        R"({"jsonrpc":"2.0","method":"notifications/roots/list_changed"})",
        R"({"jsonrpc":"2.0","method":"notifications/frobnicated"})", R"({"jsonrpc":"2.0","method":"x","params":[]})",
        R"({"jsonrpc":"2.0","id":1,"result":{}})"}) {
    const Step step = session_.feed(text);
    EXPECT_FALSE(step.answer || step.operation) << text;
  }
  ServerSession http(profile_, Scope::kLegacyHttp);
  EXPECT_EQ(http.feed(R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}})").answer->http_status, 400);
  EXPECT_EQ(http.feed(R"({"jsonrpc":"2.0","method":"x","params":[]})").answer->http_status, 400);
}

TEST_F(Legacy, AnswersNonsenseAndGoesOn) {
  EXPECT_EQ(error_code("{"), rpc::kParseError);
  EXPECT_EQ(error_code("[]"), rpc::kInvalidRequest);
  initialize_with("2025-11-25");
  EXPECT_FALSE(answer("nonsense").contains("id"));
  operation(legacy("1", "tools/list"));
}

}  // namespace
}  // namespace sluice::mcp

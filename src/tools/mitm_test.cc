// What the toolset `mitmproxy` answers, over a real ring and real rules. W1 … W21 are the weaknesses of mitm.md 12.
#include <gtest/gtest.h>

#include "base/text.h"
#include "codings/codings.h"
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

std::string newest_id(Bench& bench) { return bench.ok("get_traffic_summary")["result"][0]["id"]; }

// --- traffic ---

TEST(Mitmproxy, AFlowSeenByOneToolsetIsSeenByTheOther) {
  Bench bench;
  bench.capture.exchange(
      {.method = "POST", .target = "/a?b=1", .status = 201, .response_fields = "Content-Type: application/json\r\n"});
  const Json row = bench.ok("get_traffic_summary")["result"][0];
  EXPECT_EQ(row["id"], bench.last_id());
  EXPECT_EQ(row["url"], "https://example.com/a?b=1");
  EXPECT_EQ(row["method"], "POST");
  EXPECT_EQ(row["status_code"], 201);
  EXPECT_EQ(row["content_type"], "application/json");
  EXPECT_EQ(row["size"], 5);
  EXPECT_NEAR(row["timestamp"].get<double>(), static_cast<double>(unix_ms(bench.capture.clock.wall())) / 1e3, 60);
  EXPECT_EQ(bench.ok("inspect_flow", {{"flow_id", bench.last_id()}})["request"]["method"], "POST");
  EXPECT_EQ(bench.ok("clear_traffic")["cleared"], 1);
  EXPECT_EQ(bench.rows().size(), 0u);
}

TEST(Mitmproxy, EveryFieldIsMaskedBeforeThoseOfOneNameAreJoined) {
  Bench bench;
  bench.capture.exchange({.response_fields = "Set-Cookie: lang=de; Path=/\r\nSet-Cookie: TOPSECRET; Secure\r\n"
                                             "Set-Cookie: sid=TOPSECRET; HttpOnly\r\nX-Api-Key: TOPSECRET\r\n"});
  const std::string id = bench.last_id();
  const auto shown = [&] {
    const Json ours = bench.ok("proxy_get_exchange", {{"exchange_id", id}, {"include", {"original"}}});
    const Json theirs = bench.ok("inspect_flow", {{"flow_id", id}});
    return dump_json({ours["exchange"]["response"]["headers"], theirs["response"]["headers"]});
  };
  EXPECT_NE(shown().find("lang=de; Path=/, TOPSECRET; Secure, sid=TOPSECRET; HttpOnly"), std::string::npos);
  bench.context.redactor = &bench.redactor;
  EXPECT_EQ(shown().find("TOPSECRET"), std::string::npos) << shown();
  EXPECT_NE(shown().find("; HttpOnly"), std::string::npos) << shown();
  // Nor can the joined text be asked for what it hides.
  const Json guess = {{"name", "x"}, {"flow_id", id}, {"header", "set-cookie"}, {"regex_pattern", "(TOPSECRET)"}};
  EXPECT_NE(bench.error("extract_session_variable", guess).find("No match"), std::string::npos);
}

TEST(Mitmproxy, AnOpenFlowIsThereWithoutAStatus) {
  Bench bench;
  bench.capture.begin({.target = "/slow"});
  const Json row = bench.ok("get_traffic_summary")["result"][0];
  EXPECT_TRUE(row["status_code"].is_null());
  EXPECT_EQ(row["content_type"], "unknown");
  EXPECT_TRUE(bench.ok("inspect_flow", {{"flow_id", row["id"]}})["response"].is_null());
}

TEST(Mitmproxy, W18ListingsAreNewestFirstAndPageWithoutLossWhileTrafficGoesOn) {
  Bench bench;
  for (int i = 0; i < 25; ++i) bench.capture.exchange({.target = "/" + std::to_string(i)});
  std::vector<std::string> seen;
  Json cursor;
  for (int page = 0; page < 10; ++page) {
    Json arguments = {{"limit", 10}};
    if (!cursor.is_null()) arguments["cursor"] = cursor;
    const Json answer = bench.ok("get_traffic_summary", arguments);
    for (const Json& row : answer["result"]) seen.push_back(row["url"]);
    if (!answer.contains("next_cursor")) break;
    cursor = answer["next_cursor"];
    bench.capture.exchange({.target = "/new" + std::to_string(page)});
  }
  ASSERT_EQ(seen.size(), 25u);
  EXPECT_EQ(seen.front(), "https://example.com/24");
  EXPECT_EQ(seen.back(), "https://example.com/0");
  EXPECT_NE(bench.error("get_traffic_summary", {{"cursor", "x"}}).find("next_cursor"), std::string::npos);
}

TEST(Mitmproxy, W18SearchLooksIntoHeadersTooAndPages) {
  Bench bench;
  for (int i = 0; i < 5; ++i)
    bench.capture.exchange({.target = "/" + std::to_string(i), .request_fields = "X-Mark: NEEDLE\r\n"});
  bench.capture.exchange({.target = "/other"});
  const Json first = bench.ok("search_traffic", {{"query", "needle"}, {"limit", 3}});
  ASSERT_EQ(first["result"].size(), 3u);
  EXPECT_FALSE(first.contains("total"));
  EXPECT_EQ(first["searched"], 4) << "a page that is full looks no further";
  EXPECT_EQ(first["result"][0]["url"], "https://example.com/4");
  EXPECT_EQ(first["result"][0]["found_in"], "request_header");
  bench.capture.exchange({.target = "/needle"});
  const Json second = bench.ok("search_traffic", {{"query", "needle"}, {"limit", 3}, {"cursor", first["next_cursor"]}});
  ASSERT_EQ(second["result"].size(), 2u);
  EXPECT_EQ(second["result"][1]["url"], "https://example.com/0");
  EXPECT_FALSE(second.contains("next_cursor"));
  EXPECT_EQ(bench.ok("search_traffic", {{"query", "needle"}})["total"], 6);
}

TEST(Mitmproxy, W5ADomainIsComparedByLabelsNotAsASubstring) {
  Bench bench;
  for (const char* host : {"example.com", "api.example.com", "notexample.com", "example.com.evil.test"}) {
    bench.capture.exchange({.host = host, .target = "/?u=example.com"});
  }
  const auto hits = [&](const Json& arguments) { return bench.ok("search_traffic", arguments)["result"].size(); };
  EXPECT_EQ(hits({{"domain", "example.com"}}), 2u);
  EXPECT_EQ(hits({{"domain", "*.example.com"}}), 1u);
  EXPECT_EQ(hits({{"domain", "example.com"}, {"query", "hello"}}), 2u);
  EXPECT_EQ(hits({{"domain", "example.com:8443"}}), 0u);
  EXPECT_EQ(hits({{"method", "get"}}), 4u);
  EXPECT_NE(bench.error("search_traffic", {{"domain", "a b"}}).find("no domain"), std::string::npos);
}

TEST(Mitmproxy, W19PercentAndUnderscoreAreThemselves) {
  Bench bench;
  bench.capture.exchange({.target = "/a%5Fb", .response_body = "100% sure"});
  bench.capture.exchange({.target = "/axb", .response_body = "100 sure"});
  EXPECT_EQ(bench.ok("search_traffic", {{"query", "a_b"}})["result"].size(), 0u);
  EXPECT_EQ(bench.ok("search_traffic", {{"query", "100%"}})["result"].size(), 1u);
}

TEST(Mitmproxy, W1WholeBodiesAreReadInPages) {
  Bench bench;
  std::string body = R"({"items":")" + std::string(50'000, 'x') + R"(","last":1})";
  bench.capture.exchange({.response_body = body, .response_fields = "Content-Type: application/json\r\n"});
  const std::string id = newest_id(bench);
  const Json preview = bench.ok("inspect_flow", {{"flow_id", id}})["response"];
  EXPECT_EQ(preview["body_preview"].get<std::string>().size(), 2'000u);
  EXPECT_EQ(preview["truncated"], true);
  EXPECT_EQ(preview["total_bytes"], body.size());
  std::string whole;
  Json offset = 0;
  while (!offset.is_null()) {
    const Json page = bench.ok("inspect_flow", {{"flow_id", id}, {"full_body", true}, {"offset", offset}})["response"];
    EXPECT_EQ(page["offset"], offset);
    whole += page["body"].get<std::string>();
    offset = page.value("next_offset", Json());
  }
  EXPECT_EQ(whole, body);
}

TEST(Mitmproxy, W3BinaryAndWronglyDeclaredBodiesStayWhole) {
  Bench bench;
  const std::string octets("\x89PNG\r\n\x1a\n\x00\xff\xfe", 11);
  bench.capture.exchange(
      {.response_body = octets, .response_fields = "Content-Type: application/json; charset=utf-8\r\n"});
  const Json response = bench.ok("inspect_flow", {{"flow_id", newest_id(bench)}, {"full_body", true}})["response"];
  EXPECT_TRUE(response["body"].is_null());
  EXPECT_EQ(base64_decode(response["body_base64"].get<std::string>()), octets);
  EXPECT_EQ(response["total_bytes"], octets.size());
}

TEST(Mitmproxy, W20NoHeaderFieldIsLost) {
  Bench bench;
  bench.capture.exchange({.response_fields = "Set-Cookie: a=1\r\nX-A: x\r\nset-cookie: b=2\r\n"});
  const Json flow = bench.ok("inspect_flow", {{"flow_id", newest_id(bench)}});
  const Json pairs = *parse_json(R"([["Set-Cookie","a=1"],["X-A","x"],["set-cookie","b=2"]])");
  EXPECT_EQ(flow["response"]["header_pairs"], pairs);
  EXPECT_EQ(flow["response"]["headers"]["Set-Cookie"], "a=1, b=2");
  const Json many = bench.ok("inspect_flows", {{"flow_ids", newest_id(bench)}, {"fields", "response_headers"}});
  EXPECT_EQ(many["result"][0]["response"]["headers"], pairs);
}

TEST(Mitmproxy, InspectFlowsAnswersInTheOrderAskedAndNamesWhatIsMissing) {
  Bench bench;
  bench.capture.exchange({.target = "/1"});
  bench.capture.exchange({.target = "/2", .request_body = "ping", .request_fields = "Content-Type: text/x\r\n"});
  const Json rows = bench.rows();
  const std::string first = rows[0]["id"], second = rows[1]["id"];
  const Json all = bench.ok("inspect_flows", {{"flow_ids", second + ", nope ," + first}});
  ASSERT_EQ(all["result"].size(), 2u);
  EXPECT_EQ(all["missing"], Json::array({"nope"}));
  EXPECT_EQ(all["result"][0]["id"], second);
  EXPECT_EQ(all["result"][0]["request"]["body"], "ping");
  EXPECT_EQ(all["result"][1]["response"]["body"], "hello");
  EXPECT_FALSE(all["result"][0].contains("timestamp"));
  const Json some = bench.ok("inspect_flows", {{"flow_ids", second}, {"fields", "method,size,timestamp,content_type"}});
  EXPECT_EQ(dump_json(some["result"][0]["request"]), R"({"method":"GET"})");
  EXPECT_EQ(some["result"][0]["size"], 5);
  EXPECT_EQ(some["result"][0]["content_type"], "text/x");
  EXPECT_NE(bench.error("inspect_flows", {{"flow_ids", second}, {"fields", "url,colour"}}).find("colour"),
            std::string::npos);
  EXPECT_EQ(bench.ok("inspect_flows", {{"flow_ids", ""}})["result"], Json::array());
}

TEST(Mitmproxy, TheCurlCommandIsThatOfExportsAndMasked) {
  Bench bench;
  bench.capture.exchange(
      {.method = "POST", .request_body = "it's", .request_fields = "Authorization: Bearer Zq8redXw3tokenL\r\n"});
  const std::string id = newest_id(bench);
  const std::string command = bench.ok("inspect_flow", {{"flow_id", id}})["curl_command"];
  EXPECT_TRUE(command.starts_with("curl ")) << command;
  EXPECT_NE(command.find(R"('it'\''s')"), std::string::npos) << command;
  bench.context.redactor = &bench.redactor;
  EXPECT_EQ(bench.ok("inspect_flow", {{"flow_id", id}})["curl_command"].get<std::string>().find("Zq8red"),
            std::string::npos);
}

TEST(Mitmproxy, W2AnUnknownFlowIsAnError) {
  Bench bench;
  EXPECT_EQ(bench.error("inspect_flow", {{"flow_id", "nope"}}), "Flow not found.");
}

// --- rules ---

TEST(Mitmproxy, RulesStandInBothListsAndLetLaterOnesRun) {
  Bench bench;
  const Json added = bench.ok("add_interception_rule", {{"rule_id", "mark"},
                                                        {"action_type", "inject_header"},
                                                        {"key", "X-Mark"},
                                                        {"value", ""},
                                                        {"url_pattern", "/api/"}});
  EXPECT_EQ(added["result"], "Rule 'mark' added.");
  const Json theirs = bench.ok("proxy_list_rules")["rules"][0];
  EXPECT_EQ(theirs["id"], added["rule"]);
  EXPECT_EQ(theirs["name"], "mark");
  EXPECT_EQ(theirs["on_match"], "continue");
  EXPECT_EQ(theirs["handler"]["transformRequest"]["updateHeaders"]["X-Mark"], "");
  bench.ok("proxy_add_rule", {{"description", "d"}, {"matcher", Json::object()}, {"handler", {{"type", "drop"}}}});
  const Json list = bench.ok("list_rules");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list["mark"]["action"], "inject_header");
  EXPECT_EQ(list["mark"]["url_pattern"], "/api/");
  EXPECT_EQ(list["mark"]["phase"], "request");
  EXPECT_EQ(list["rule_2"]["action"], "drop");
  EXPECT_EQ(bench.ok("clear_rules")["removed"], 2);
  EXPECT_EQ(bench.ok("list_rules"), Json::object());
}

TEST(Mitmproxy, W10AListedRuleCanBeMadeAgain) {
  Bench bench;
  bench.ok("add_interception_rule", {{"rule_id", "swap"},
                                     {"action_type", "replace_body"},
                                     {"method", "POST"},
                                     {"phase", "response"},
                                     {"search_pattern", R"((\d+) USD)"},
                                     {"value", R"(\1 $)"}});
  const Json rule = bench.ok("list_rules")["swap"];
  EXPECT_EQ(rule["method"], "POST");
  EXPECT_EQ(rule["phase"], "response");
  EXPECT_EQ(rule["search_pattern"], R"((\d+) USD)");
  EXPECT_EQ(rule["value"], R"(\1 $)");
  EXPECT_EQ(rule["url_pattern"], ".*");
  EXPECT_EQ(rule["active"], true);
}

TEST(Mitmproxy, AnIdThatExistsIsReplacedInItsPlace) {
  Bench bench;
  const auto add = [&](const char* id, const char* value) {
    return bench.ok("add_interception_rule",
                    {{"rule_id", id}, {"action_type", "inject_header"}, {"key", "X"}, {"value", value}})["rule"];
  };
  const Json first = add("a", "1");
  add("b", "2");
  EXPECT_EQ(add("a", "3"), first);
  const Json list = bench.ok("list_rules");
  EXPECT_EQ(list.begin().key(), "a");
  EXPECT_EQ(list["a"]["value"], "3");
}

TEST(Mitmproxy, W10WhatCouldNotActIsRefusedAndChangesNothing) {
  Bench bench;
  const auto refused = [&](Json arguments) {
    arguments["rule_id"] = "r";
    return bench.error("add_interception_rule", arguments);
  };
  EXPECT_TRUE(refused({{"action_type", "inject_header"}, {"key", "X"}}).starts_with("inject_header needs"));
  EXPECT_TRUE(refused({{"action_type", "replace_body"}, {"value", "x"}}).starts_with("replace_body needs"));
  EXPECT_TRUE(refused({{"action_type", "block"}, {"value", "200"}}).find("400 to 599") != std::string::npos);
  EXPECT_TRUE(refused({{"action_type", "block"}, {"url_pattern", "(?=x)"}})
                  .starts_with("Invalid or unsupported regex for rule 'r'"));
  EXPECT_TRUE(refused({{"action_type", "block"}, {"url_pattern", "[[:alpha:]]"}})
                  .starts_with("Invalid or unsupported regex for rule 'r'"));
  EXPECT_TRUE(refused({{"action_type", "replace_body"}, {"search_pattern", R"((a)\1)"}, {"value", ""}})
                  .starts_with("Invalid or unsupported regex for rule 'r'"));
  EXPECT_FALSE(bench.call("add_interception_rule", {{"rule_id", "rule_7"}, {"action_type", "block"}}));
  EXPECT_FALSE(bench.call("set_global_header", {{"key", "X\r\nY"}, {"value", "1"}}));
  EXPECT_FALSE(bench.call("set_global_header", {{"key", "X"}, {"value", "1\r\nY: 2"}}));
  EXPECT_EQ(bench.ok("list_rules"), Json::object());
}

TEST(Mitmproxy, W10ABlockAnswersAStatusOrResets) {
  Bench bench;
  bench.ok("add_interception_rule", {{"rule_id", "a"}, {"action_type", "block"}});
  bench.ok("add_interception_rule", {{"rule_id", "b"}, {"action_type", "block"}, {"value", "451"}});
  const Json list = bench.ok("list_rules");
  EXPECT_EQ(list["a"]["action"], "block");
  EXPECT_FALSE(list["a"].contains("value"));
  EXPECT_EQ(list["b"]["value"], "451");
  EXPECT_EQ(bench.ok("proxy_list_rules")["rules"][0]["handler"]["type"], "abort");
}

TEST(Mitmproxy, W17AGlobalHeadersSecretIsNotRepeated) {
  Bench bench;
  bench.context.redactor = &bench.redactor;
  const Json set = bench.ok("set_global_header", {{"key", "Authorization"}, {"value", "Bearer Zq8redXw3tokenL"}});
  EXPECT_EQ(dump_json(set).find("Zq8red"), std::string::npos);
  EXPECT_EQ(dump_json(bench.ok("list_rules")).find("Zq8red"), std::string::npos);
  EXPECT_EQ(bench.ok("list_rules")["global_authorization"]["key"], "Authorization");
  EXPECT_EQ(bench.ok("remove_global_header", {{"key", "AUTHORIZATION"}})["result"],
            "Global header removed: AUTHORIZATION");
  EXPECT_EQ(bench.error("remove_global_header", {{"key", "Authorization"}}),
            "No global header 'Authorization' is set.");
}

// --- lifecycle ---

TEST(Mitmproxy, W12AStartSaysWhereItListensOrWhyNot) {
  Bench bench;
  const Json started = bench.ok("start_proxy", {{"port", 8123}});
  EXPECT_EQ(started["result"], "Proxy started on 127.0.0.1:8123.");
  EXPECT_EQ(started["port"], 8123);
  EXPECT_EQ(bench.error("start_proxy"), "Proxy is already running. Stop it first.");
  EXPECT_EQ(bench.ok("proxy_status")["running"], true);
  EXPECT_EQ(bench.ok("stop_proxy")["result"], "Proxy stopped.");
  EXPECT_EQ(bench.error("stop_proxy"), "Proxy is not running.");
  EXPECT_GT(bench.ok("start_proxy", {{"port", 0}})["port"], 0);
  bench.ok("stop_proxy");
  EXPECT_EQ(bench.ok("start_proxy")["port"], 8080) << "mitm-tools.json's default";
  bench.ok("stop_proxy");
  bench.engine.taken = 8123;
  EXPECT_NE(bench.error("start_proxy", {{"port", 8123}}).find("port: 0"), std::string::npos);
}

TEST(Mitmproxy, UnderServeAStartWithoutAPortAdoptsTheListener) {
  Bench bench(StartMode::kAdopt);
  ASSERT_TRUE(bench.engine.start({{"127.0.0.1", 9090}}));
  bench.context.session = "s1";
  EXPECT_EQ(bench.ok("start_proxy")["port"], 9090);
  EXPECT_EQ(bench.error("proxy_start"), "Error: Proxy is already running. Stop it first.");
}

TEST(Mitmproxy, W5RecordingAndDecryptingAreSeparateScopes) {
  using proxy::TlsTreatment;
  Bench bench;
  proxy::HostOptionsStore& hosts = bench.engine.host_options();
  const auto of = [&](const char* host) { return hosts.book()->find(host); };
  bench.ok("set_scope", {{"allowed_domains", {"example.com", "bücher.test"}},
                         {"decrypt_domains", {"*.example.com"}},
                         {"ignore", {"bank.example.com"}}});
  EXPECT_TRUE(of("example.com").record);
  EXPECT_TRUE(of("a.example.com").record);
  EXPECT_TRUE(of("xn--bcher-kva.test").record);
  EXPECT_FALSE(of("notexample.com").record);
  EXPECT_FALSE(of("example.com.evil.test").record);
  EXPECT_EQ(of("example.com").tls, TlsTreatment::kPassthrough);
  EXPECT_EQ(of("a.example.com").tls, TlsTreatment::kIntercept);
  EXPECT_FALSE(of("bank.example.com").record);
  EXPECT_EQ(of("bank.example.com").tls, TlsTreatment::kPassthrough);
  EXPECT_NE(bench.error("set_scope", {{"allowed_domains", {"a b"}}}).find("no domain"), std::string::npos);
  EXPECT_NE(bench.error("set_scope", {{"allowed_domains", {"a.test:0"}}}).find("no domain"), std::string::npos);
  EXPECT_FALSE(of("other.test").record) << "a refused scope changes nothing";
  EXPECT_EQ(bench.ok("proxy_list_host_options")["options"].size(), 7u);
  bench.ok("set_scope", {{"allowed_domains", Json::array()}});
  EXPECT_TRUE(of("other.test").record);
  EXPECT_EQ(of("bank.example.com").tls, TlsTreatment::kIntercept);
  EXPECT_EQ(bench.ok("proxy_list_host_options")["options"].size(), 0u);
}

TEST(Mitmproxy, ListToolsShowsWhatTheCallerSees) {
  Bench bench;
  bench.context.list_tools = [] {
    return *parse_json(R"([{"name":"a","description":"A.","inputSchema":{"type":"object"},"title":"T"}])");
  };
  EXPECT_EQ(bench.ok("list_tools")["result"],
            *parse_json(R"([{"name":"a","description":"A.","input_schema":{"type":"object"}}])"));
}

}  // namespace
}  // namespace sluice::tools

// What the tools answer, over a real ring and real rules; the engine is a fake.
#include <gtest/gtest.h>

#include "base/text.h"
#include "codings/codings.h"
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

// --- lifecycle ---

TEST(Lifecycle, StartsStopsAndStartsAgain) {
  Bench bench;
  const Json started = bench.ok("proxy_start", {{"port", 8123}});
  EXPECT_EQ(started["port"], 8123);
  EXPECT_EQ(started["url"], "https://localhost:8123");
  EXPECT_EQ(started["setup"]["proxyHost"], "127.0.0.1");
  EXPECT_EQ(started["setup"]["instructions"].size(), 3u);
  EXPECT_EQ(bench.error("proxy_start"), "Error: Proxy is already running. Stop it first.");
  EXPECT_EQ(bench.ok("proxy_stop")["message"], "Proxy stopped. Traffic and cert retained.");
  EXPECT_EQ(bench.error("proxy_stop"), "Error: Proxy is not running.");
  const Json status = bench.ok("proxy_status");
  EXPECT_EQ(status["running"], false);
  EXPECT_EQ(status["port"], 8123) << "the last port stays to be seen";
  bench.ok("proxy_start");
  EXPECT_EQ(bench.ok("proxy_status")["running"], true);
}

TEST(Lifecycle, APortThatIsTakenStartsNothing) {
  Bench bench;
  bench.engine.taken = 8123;
  EXPECT_TRUE(bench.error("proxy_start", {{"port", 8123}}).starts_with("Error: the address is already in use"));
  EXPECT_FALSE(bench.engine.status().running);
}

TEST(Lifecycle, WhatCannotBeRecordedKeepsTheProxyFromStarting) {
  Bench bench;  // it has no store
  EXPECT_TRUE(
      bench.error("proxy_start", {{"persistence_enabled", true}}).starts_with("Error: Nothing can be recorded"));
  EXPECT_EQ(bench.engine.starts, 0);
}

TEST(Lifecycle, UnderServeEachCallerAdoptsTheListenerOnce) {
  Bench bench(StartMode::kAdopt);
  ASSERT_TRUE(bench.engine.start({{"127.0.0.1", 8080}}));
  const auto as = [&](const char* grant, const char* session) {
    bench.context.grant = grant;
    bench.context.session = session;
  };
  as("default", "s1");
  EXPECT_EQ(bench.error("proxy_start", {{"port", 9999}}), "Error: Proxy is already running. Stop it first.");
  EXPECT_EQ(bench.ok("proxy_start")["port"], 8080);
  EXPECT_EQ(bench.error("proxy_start"), "Error: Proxy is already running. Stop it first.");
  as("default", "s2");
  EXPECT_EQ(bench.ok("proxy_start", {{"port", 8080}})["port"], 8080);
  as("default", "");
  EXPECT_EQ(bench.ok("proxy_start", {{"port", 0}})["port"], 8080);
  EXPECT_EQ(bench.error("proxy_start"), "Error: Proxy is already running. Stop it first.");
  as("owner", "");
  EXPECT_EQ(bench.ok("proxy_start")["port"], 8080);
  bench.ok("proxy_stop");
  EXPECT_EQ(bench.ok("proxy_start")["port"], 8080) << "the next start opens the same port";
  EXPECT_EQ(bench.error("proxy_start"), "Error: Proxy is already running. Stop it first.");
  as("default", "s1");
  EXPECT_EQ(bench.ok("proxy_start")["port"], 8080) << "adopting is possible again after a stop";
  EXPECT_EQ(bench.engine.starts, 2);
}

TEST(Lifecycle, TheCertificateIsThereBeforeTheFirstStart) {
  Bench bench;
  const Json both = bench.ok("proxy_get_ca_cert");
  EXPECT_TRUE(both["certPem"].get<std::string>().starts_with("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ(both["fingerprint"], bench.authority->spki_sha256_base64());
  EXPECT_FALSE(bench.ok("proxy_get_ca_cert", {{"format", "pem"}}).contains("fingerprint"));
  EXPECT_FALSE(bench.ok("proxy_get_ca_cert", {{"format", "fingerprint"}}).contains("certPem"));
  EXPECT_EQ(dump_json(both).find("PRIVATE"), std::string::npos);
}

// --- traffic ---

TEST(Traffic, ListsEndedExchangesOldestFirstAndPages) {
  Bench bench;
  for (int i = 0; i < 5; ++i) bench.capture.exchange({.target = "/" + std::to_string(i)});
  bench.capture.begin({.target = "/open"});
  const Json all = bench.ok("proxy_list_traffic");
  EXPECT_EQ(all["total"], 5);
  EXPECT_EQ(all["exchanges"][0]["url"], "https://example.com/0");
  EXPECT_EQ(all["exchanges"][0]["state"], "done");
  EXPECT_EQ(all["exchanges"][0]["duration"], 1);
  EXPECT_EQ(all["exchanges"][0]["responseSize"], 5);
  const Json tail = bench.ok("proxy_list_traffic", {{"offset", -2}, {"limit", 1}});
  EXPECT_EQ(tail["offset"], 3);
  EXPECT_EQ(tail["showing"], 1);
  EXPECT_EQ(tail["exchanges"][0]["url"], "https://example.com/3");
  EXPECT_EQ(bench.rows({{"state", {"open"}}}).size(), 1u);
  EXPECT_EQ(bench.rows({{"limit", -5}}).size(), 0u);
}

TEST(Traffic, FiltersMustAllHold) {
  Bench bench;
  bench.capture.exchange({.method = "POST", .host = "api.example.com", .target = "/login", .status = 401});
  bench.capture.exchange({.host = "www.example.com", .target = "/x"});
  EXPECT_EQ(bench.rows({{"method_filter", "post"}}).size(), 1u);
  EXPECT_EQ(bench.rows({{"hostname_filter", "API"}, {"status_filter", 401}}).size(), 1u);
  EXPECT_EQ(bench.rows({{"hostname_filter", "API"}, {"status_filter", 200}}).size(), 0u);
  EXPECT_EQ(bench.rows({{"url_filter", "/LOGIN"}}).size(), 1u);
  EXPECT_EQ(bench.rows({{"source_filter", "transparent"}}).size(), 0u);
}

// An agent that may not see a token filters by what it guesses of it.
TEST(Traffic, TheUrlFilterIsNoOracleForMaskedSecrets) {
  Bench bench;
  const std::string secret = "Zq8redXw3tokenL";
  bench.capture.exchange({.target = "/plain?access_token=" + secret});
  bench.capture.exchange({.target = "/plain?page=" + secret});
  const auto hits = [&](const std::string& guess) { return bench.rows({{"url_filter", guess}}).size(); };
  EXPECT_EQ(hits("access_token=" + secret), 1u);
  bench.context.redactor = &bench.redactor;
  for (std::size_t size = 1; size <= secret.size(); ++size) {
    EXPECT_EQ(hits("access_token=" + secret.substr(0, size)), 0u);
    EXPECT_EQ(hits("page=" + secret.substr(0, size)), 1u);
    for (std::size_t from = 0; size >= 2 && from + size <= secret.size(); ++from) {
      EXPECT_LE(hits(secret.substr(from, size)),
                1u + (std::string("access_token").find(secret.substr(from, size)) != std::string::npos))
          << secret.substr(from, size);
    }
  }
  EXPECT_EQ(hits("/plain?"), 2u);
}

TEST(Traffic, ACursorFollowsWhatChanges) {
  Bench bench;
  const auto open = bench.capture.begin({.target = "/slow"});
  Json rows = bench.rows({{"after_rev", 0}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["state"], "open");
  const auto rev = rows[0]["rev"].get<std::int64_t>();
  EXPECT_EQ(bench.rows({{"after_rev", rev}}).size(), 0u);
  bench.capture.end(open, {.state = flow::State::kFailed});
  rows = bench.rows({{"after_rev", rev}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["state"], "failed");
  EXPECT_EQ(rows[0]["error"]["phase"], "first_byte");
}

TEST(Traffic, AnExchangeHasTheContractsShape) {
  Bench bench;
  bench.capture.exchange({.method = "POST",
                          .target = "/a?b=1",
                          .request_body = "ping",
                          .response_body = "pong",
                          .response_fields = "Content-Type: text/plain\r\nX-A: 1\r\nx-a: 2\r\n"});
  const Json exchange = bench.ok("proxy_get_exchange", {{"exchange_id", bench.last_id()}})["exchange"];
  EXPECT_EQ(exchange["request"]["path"], "/a?b=1");
  EXPECT_EQ(exchange["request"]["headers"]["host"], "example.com");
  EXPECT_EQ(exchange["request"]["bodyPreview"], "ping");
  EXPECT_EQ(exchange["response"]["statusMessage"], "Fine");
  EXPECT_EQ(exchange["response"]["headers"]["x-a"], "1, 2");
  EXPECT_EQ(exchange["response"]["bodyPreview"], "pong");
  EXPECT_TRUE(exchange["matchedRuleId"].is_null());
  EXPECT_EQ(exchange["ruleIds"], Json::array());
  EXPECT_EQ(bench.error("proxy_get_exchange", {{"exchange_id", "nope"}}), "Exchange 'nope' not found");
}

TEST(Traffic, EverythingThatCanBeIncludedIs) {
  Bench bench;
  bench.capture.exchange({.response_fields = "X-A: 1\r\nX-a: 2\r\n"});
  const Json exchange = bench.ok(
      "proxy_get_exchange",
      {{"exchange_id", bench.last_id()},
       {"include",
        {"request_body", "response_body", "original", "raw_head", "timings", "connection", "messages"}}})["exchange"];
  EXPECT_EQ(exchange["response"]["rawHead"]["startLine"], "HTTP/1.1 200 Fine");
  EXPECT_EQ(exchange["response"]["rawHead"]["headers"][1], (Json{{"name", "X-a"}, {"value", "2"}}));
  EXPECT_EQ(exchange["response"]["body"]["text"], "hello");
  EXPECT_EQ(exchange["response"]["body"]["complete"], true);
  EXPECT_EQ(exchange["request"]["body"]["bytes"], 0);
  EXPECT_EQ(exchange["timings"]["end"], 1234);
  EXPECT_EQ(exchange["connection"]["client"]["clientAddress"], "127.0.0.1");
  EXPECT_TRUE(exchange["connection"]["upstream"].is_null());
  EXPECT_TRUE(exchange["original"]["response"].is_null());
}

// Reads a body piece by piece, as an agent would.
std::string read_whole(Bench& bench, const std::string& id, std::int64_t limit, bool decoded = true) {
  std::string whole;
  for (std::int64_t offset = 0;;) {
    const Json body = bench.ok("proxy_get_exchange", {{"exchange_id", id},
                                                      {"include", {"response_body"}},
                                                      {"offset", offset},
                                                      {"limit", limit},
                                                      {"decoded", decoded}})["exchange"]["response"]["body"];
    whole +=
        body.contains("text") ? body["text"].get<std::string>() : *base64_decode(body["base64"].get<std::string>());
    if (!body.contains("nextOffset")) return whole;
    EXPECT_GT(body["nextOffset"].get<std::int64_t>(), offset);
    offset = body["nextOffset"];
  }
}

TEST(Bodies, ComeInPiecesOfAnySizeCutBetweenCharacters) {
  Bench bench;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "añ€😀" + std::to_string(i);
  bench.capture.exchange({.response_body = text});
  const std::string id = bench.last_id();
  for (const std::int64_t limit : {4, 5, 7, 64, 1000}) EXPECT_EQ(read_whole(bench, id, limit), text) << limit;
}

TEST(Bodies, AreDecodedAndTheCodedOctetsCanBeHad) {
  Bench bench;
  const std::string text(100'000, 'z');
  const std::string coded = *codings::encode_all(text, {codings::Coding::kGzip});
  bench.capture.exchange({.response_body = coded, .response_fields = "Content-Encoding: gzip\r\n"});
  const std::string id = bench.last_id();
  EXPECT_EQ(read_whole(bench, id, 30'000), text);
  EXPECT_EQ(read_whole(bench, id, 50, false), coded);
  const Json body =
      bench.ok("proxy_get_exchange", {{"exchange_id", id}, {"include", {"response_body"}}})["exchange"]["response"];
  EXPECT_EQ(body["body"]["total"], 100'000);
  EXPECT_EQ(body["body"]["bytes"], 16'384);
  EXPECT_EQ(body["body"]["codings"], "gzip");
  EXPECT_EQ(utf16_length(body["bodyPreview"].get<std::string>()), 4'099u);
}

TEST(Bodies, BinaryIsBase64AndDamageIsTold) {
  Bench bench;
  bench.capture.exchange({.response_body = std::string("\x89PNG\x00\xff", 6)});
  const Json binary =
      bench.ok("proxy_get_exchange", {{"exchange_id", bench.last_id()}, {"include", {"response_body"}}});
  EXPECT_TRUE(binary["exchange"]["response"]["body"].contains("base64"));
  bench.capture.exchange({.response_body = "not gzip at all", .response_fields = "Content-Encoding: gzip\r\n"});
  const Json damaged =
      bench.ok("proxy_get_exchange", {{"exchange_id", bench.last_id()}, {"include", {"response_body"}}});
  EXPECT_FALSE(damaged["exchange"]["response"]["body"]["problem"].get<std::string>().empty());
}

// An agent that may not see secrets reads a body at every offset: no window shows one.
TEST(Bodies, NoWindowShowsAMaskedSecret) {
  Bench bench;
  const std::string secret = "Zq8Xw3Lm5Np7Rt2V";
  const std::string text = R"({"user":"ann","password":")" + secret + R"(","note":"plain words here"})";
  bench.capture.exchange({.response_body = text, .response_fields = "Content-Type: application/json\r\n"});
  const std::string id = bench.last_id();
  bench.context.redactor = &bench.redactor;
  bool words = false;
  for (std::int64_t offset = 0; offset < static_cast<std::int64_t>(text.size()); ++offset) {
    for (const std::int64_t limit : {4, 12, 1000}) {
      const Json body = bench.ok("proxy_get_exchange", {{"exchange_id", id},
                                                        {"include", {"response_body"}},
                                                        {"offset", offset},
                                                        {"limit", limit}})["exchange"]["response"]["body"];
      const auto shown = body["text"].get<std::string>();
      for (std::size_t at = 0; at + 4 <= secret.size(); ++at) {
        EXPECT_EQ(shown.find(secret.substr(at, 4)), std::string::npos) << offset << " " << limit << " " << shown;
      }
      words |= shown.find("plain words") != std::string::npos;
    }
  }
  EXPECT_TRUE(words);
}

TEST(Bodies, CodedOctetsAreNotShownWhereSecretsAreMasked) {
  Bench bench;
  bench.capture.exchange({.response_body = *codings::encode_all("x", {codings::Coding::kGzip}),
                          .response_fields = "Content-Encoding: gzip\r\n"});
  bench.context.redactor = &bench.redactor;
  EXPECT_TRUE(bench
                  .error("proxy_get_exchange",
                         {{"exchange_id", bench.last_id()}, {"include", {"response_body"}}, {"decoded", false}})
                  .starts_with("Coded octets cannot be masked"));
}

TEST(Search, LooksWhereItIsTold) {
  Bench bench;
  bench.capture.exchange({.target = "/needle"});
  bench.capture.exchange({.response_fields = "X-A: a NEEDLE here\r\n"});
  const std::string coded = *codings::encode_all("hay needle hay", {codings::Coding::kBrotli});
  bench.capture.exchange({.response_body = coded, .response_fields = "Content-Encoding: br\r\n"});
  bench.capture.exchange({.target = "/hay"});
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "Needle"}})["total"], 3);
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "needle"}, {"in", {"url"}}})["total"], 1);
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "needle"}, {"in", {"headers"}}})["total"], 1);
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "needle"}, {"in", {"body"}}})["total"], 1);
  const Json page = bench.ok("proxy_search_traffic", {{"query", "needle"}, {"offset", 1}, {"limit", 1}});
  EXPECT_EQ(page["matches"], 1);
  EXPECT_EQ(page["total"], 3);
}

TEST(Search, IsNoOracleForMaskedSecrets) {
  Bench bench;
  bench.capture.exchange({.target = "/?access_token=Zq8Xw3Lm5Np7",
                          .response_body = R"({"password":"Zq8Xw3Lm5Np7"})",
                          .response_fields = "Set-Cookie: sid=Zq8Xw3Lm5Np7\r\nContent-Type: application/json\r\n"});
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "Zq8X"}})["total"], 1);
  bench.context.redactor = &bench.redactor;
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "Zq8X"}})["total"], 0);
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "access_token"}})["total"], 1);
}

TEST(Search, EndsWhenItIsStoppedAndSaysSoWhenTimeRunsOut) {
  Bench bench;
  for (int i = 0; i < 3; ++i) bench.capture.exchange({});
  std::stop_source stop;
  stop.request_stop();
  bench.context.stop = stop.get_token();
  EXPECT_EQ(bench.call("proxy_search_traffic", {{"query", "x"}}).error().code, Code::kCancelled);
  bench.context.stop = {};
  bench.context.deadline = bench.capture.clock.mono();
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "x"}})["searched"], 0);
}

TEST(Traffic, ClearForgetsWhatHasEnded) {
  Bench bench;
  for (int i = 0; i < 3; ++i) bench.capture.exchange({});
  bench.capture.begin({});
  EXPECT_EQ(bench.ok("proxy_clear_traffic")["cleared"], 3);
  EXPECT_EQ(bench.rows().size(), 0u);
  EXPECT_EQ(bench.rows({{"state", {"open"}}}).size(), 1u);
}

TEST(Tls, FingerprintsAreNullWithoutTls) {
  Bench bench;
  auto connection = std::make_shared<flow::Connection>();
  connection->id = ConnectionId{5};
  connection->tls = std::make_shared<const flow::ClientTls>(
      flow::ClientTls{"example.com", {"h2", "http/1.1"}, "TLSv1.3", "", "h2", false, "ja3hash", "", "ja4hash", ""});
  bench.capture.exchange({});
  bench.capture.exchange({.connection = connection});
  const Json rows = bench.rows();
  EXPECT_TRUE(bench.ok("proxy_get_tls_fingerprints", {{"exchange_id", rows[0]["id"]}})["tls"].is_null());
  const Json tls = bench.ok("proxy_get_tls_fingerprints", {{"exchange_id", rows[1]["id"]}})["tls"];
  EXPECT_EQ(tls["client"], (Json{{"sniHostname", "example.com"},
                                 {"clientAlpn", {"h2", "http/1.1"}},
                                 {"ja3Fingerprint", "ja3hash"},
                                 {"ja4Fingerprint", "ja4hash"}}));
  EXPECT_EQ(rows[1]["ja4"], "ja4hash");
}

// --- rules ---

Json mock_rule() {
  return {
      {"description", "d"}, {"matcher", {{"hostname", "a.test"}}}, {"handler", {{"type", "mock"}, {"status", 418}}}};
}

TEST(Rules, AreAddedChangedSwitchedAndRemoved) {
  Bench bench;
  const Json rule = bench.ok("proxy_add_rule", mock_rule())["rule"];
  EXPECT_EQ(rule["id"], "rule_1");
  EXPECT_EQ(rule["priority"], 100);
  EXPECT_EQ(rule["enabled"], true);
  const Json changed = bench.ok("proxy_update_rule", {{"rule_id", "rule_1"}, {"priority", 3.5}})["rule"];
  EXPECT_EQ(changed["priority"], 3.5);
  EXPECT_EQ(changed["description"], "d");
  EXPECT_EQ(bench.ok("proxy_disable_rule", {{"rule_id", "rule_1"}})["message"], "Rule 'rule_1' disabled.");
  EXPECT_EQ(bench.ok("proxy_list_rules")["rules"][0]["enabled"], false);
  EXPECT_EQ(bench.ok("proxy_enable_rule", {{"rule_id", "rule_1"}})["message"], "Rule 'rule_1' enabled.");
  EXPECT_EQ(bench.ok("proxy_remove_rule", {{"rule_id", "rule_1"}})["message"], "Rule 'rule_1' removed.");
  EXPECT_EQ(bench.ok("proxy_list_rules")["count"], 0);
}

TEST(Rules, UnknownOnesAreToldAsTheContractTellsThem) {
  Bench bench;
  const Json id = {{"rule_id", "rule_9"}};
  EXPECT_EQ(bench.error("proxy_update_rule", id), "Error: Rule 'rule_9' not found");
  EXPECT_EQ(bench.error("proxy_enable_rule", id), "Error: Rule 'rule_9' not found");
  EXPECT_EQ(bench.error("proxy_disable_rule", id), "Error: Rule 'rule_9' not found");
  EXPECT_EQ(bench.error("proxy_remove_rule", id), "Rule 'rule_9' not found");
}

TEST(Rules, ABadOneIsRefusedWholeAndStoresNothing) {
  Bench bench;
  Json bad = mock_rule();
  bad["matcher"] = {{"urlPattern", "("}};
  EXPECT_TRUE(bench.error("proxy_add_rule", bad).starts_with("Error: "));
  bad = mock_rule();
  bad["handler"] = {{"type", "forward"}, {"forwardTo", "http://x/path"}};
  EXPECT_TRUE(bench.error("proxy_add_rule", bad).starts_with("Error: "));
  EXPECT_EQ(bench.ok("proxy_list_rules")["count"], 0);
  EXPECT_TRUE(bench.error("proxy_mock_response", {{"status", 99}}).starts_with("Error: "));
}

TEST(Rules, MocksAndInjectionsDescribeThemselves) {
  Bench bench;
  EXPECT_EQ(bench.ok("proxy_mock_response", {{"status", 200}, {"method", "get"}, {"url_pattern", "/x"}})["description"],
            "Mock 200 for GET /x");
  EXPECT_EQ(bench.ok("proxy_mock_response", {{"status", 204}})["description"], "Mock 204 for ANY *");
  EXPECT_EQ(bench.ok("proxy_inject_headers",
                     {{"headers", {{"x-a", "1"}, {"x-b", nullptr}}}, {"direction", "both"}})["description"],
            "Inject headers: x-a, x-b (both)");
  const auto rules = bench.rules.list();
  EXPECT_EQ(rules[0]->spec.handler.headers[0].second, "application/json");
  EXPECT_EQ(rules[2]->spec.on_match, rules::OnMatch::kContinue) << "it must shadow nothing";
  EXPECT_TRUE(rules[2]->spec.handler.transform_response.has_value());
  EXPECT_EQ(rules[2]->spec.grant, "default");
}

TEST(Rules, ATrialSaysWhoWinsAndWhy) {
  Bench bench;
  bench.ok("proxy_add_rule", mock_rule());
  const Json simulated = bench.ok("proxy_test_rule_match", {{"request", {{"url", "https://A.test/x"}}}});
  EXPECT_EQ(simulated["mode"], "simulate");
  EXPECT_EQ(simulated["result"]["effectiveWinner"]["ruleId"], "rule_1");
  bench.capture.exchange({.host = "b.test"});
  const Json real = bench.ok("proxy_test_rule_match", {{"mode", "exchange"}, {"exchange_id", bench.last_id()}});
  EXPECT_TRUE(real["result"]["effectiveWinner"].is_null());
  EXPECT_EQ(real["result"]["results"][0]["checks"]["hostname"]["reason"], "Hostname mismatch");
  EXPECT_EQ(bench.error("proxy_test_rule_match"), "request is required when mode='simulate'");
  EXPECT_EQ(bench.error("proxy_test_rule_match", {{"mode", "exchange"}}),
            "exchange_id is required when mode='exchange'");
  EXPECT_EQ(bench.error("proxy_test_rule_match", {{"mode", "exchange"}, {"exchange_id", "x"}}),
            "Error: Exchange 'x' not found");
  EXPECT_EQ(bench.error("proxy_test_rule_match", {{"request", {{"url", "::"}}}}), "Error: Invalid URL '::'");
  EXPECT_EQ(bench.ok("proxy_test_rule_match",
                     {{"request", {{"url", "http://a/"}}}, {"limit_rules", -1}})["result"]["evaluatedCount"],
            1);
}

}  // namespace
}  // namespace sluice::tools

// Host options and TLS prints, over a real ring and a real store of options; the engine is a fake.
#include <gtest/gtest.h>

#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

// --- host options ---

TEST(HostOptionsTools, SetMergesResetTakesBackAndListShowsAll) {
  Bench bench;
  EXPECT_EQ(bench.ok("proxy_list_host_options"), (Json{{"options", Json::array()}}));
  EXPECT_EQ(bench.ok("proxy_set_host_options", {{"host", "API.test"}, {"record", false}, {"min_tls", "1.0"}}),
            (Json{{"message", "Options of 'api.test' set. They hold from the next request on."},
                  {"host", "api.test"},
                  {"options", {{"record", false}, {"min_tls", "1.0"}}}}));
  EXPECT_EQ(bench.ok("proxy_set_host_options",
                     {{"host", "api.test"}, {"tls", "passthrough"}, {"reset", {"record"}}})["options"],
            (Json{{"tls", "passthrough"}, {"min_tls", "1.0"}}));
  EXPECT_EQ(
      bench.ok("proxy_set_host_options", {{"host", "api.test"}, {"tls", nullptr}, {"alt_svc", "keep"}})["options"],
      (Json{{"tls", "passthrough"}, {"min_tls", "1.0"}, {"alt_svc", "keep"}}))
      << "null is absence, as everywhere";
  EXPECT_EQ(bench.ok("proxy_list_host_options")["options"],
            Json::array({{{"host", "api.test"},
                          {"options", {{"tls", "passthrough"}, {"min_tls", "1.0"}, {"alt_svc", "keep"}}},
                          {"from", "tool"}}}));
  EXPECT_EQ(bench.ok("proxy_remove_host_options", {{"host", "Api.Test."}}),
            (Json{{"message", "Options of 'api.test' removed."}, {"host", "api.test"}, {"removed", 1}}));
  EXPECT_EQ(bench.error("proxy_remove_host_options", {{"host", "api.test"}}), "No options are set for 'api.test'");
}

TEST(HostOptionsTools, RefuseWhatMeansNothing) {
  Bench bench;
  EXPECT_TRUE(bench.error("proxy_set_host_options", {{"host", "a.test"}}).starts_with("Error: name an option: tls, "));
  EXPECT_EQ(bench.error("proxy_set_host_options", {{"host", "a/b"}, {"record", true}}),
            "Error: 'a/b' is no host name and no *.suffix");
  EXPECT_EQ(bench.error("proxy_set_host_options", {{"host", "a.test"}, {"ca_file", "/etc/ssl/x.pem"}}),
            "Error: no folder may be read");
  EXPECT_NE(bench.error("proxy_set_host_options", {{"host", "a.test"}, {"reset", {"all"}}}).find("must be one of"),
            std::string::npos);
  EXPECT_EQ(bench.ok("proxy_list_host_options")["options"], Json::array());
}

TEST(HostOptionsTools, WhatWasLearnedIsListedAndCanBeRemoved) {
  Bench bench;
  EXPECT_EQ(bench.ok("proxy_status")["learnedPassthrough"], Json::array());
  bench.engine.learned.push_back({"pinned.test", "127.0.0.1", "t13d", WallTime(std::chrono::seconds(7))});
  EXPECT_EQ(
      bench.ok("proxy_status")["learnedPassthrough"],
      (Json::array({{{"host", "pinned.test"}, {"clientAddress", "127.0.0.1"}, {"ja4", "t13d"}, {"until", 7000}}})));
  EXPECT_EQ(bench.ok("proxy_list_host_options")["options"], Json::array({{{"host", "pinned.test"},
                                                                          {"options", {{"tls", "passthrough"}}},
                                                                          {"from", "learned"},
                                                                          {"clientAddress", "127.0.0.1"},
                                                                          {"ja4", "t13d"},
                                                                          {"until", 7000}}}));
  EXPECT_EQ(bench.ok("proxy_remove_host_options", {{"host", "Pinned.test"}})["removed"], 1);
  EXPECT_EQ(bench.ok("proxy_status")["learnedPassthrough"], Json::array());
}

// --- prints ---

flow::ConnectionPtr connection_with(const std::string& ja3, const std::string& ja4) {
  auto connection = std::make_shared<flow::Connection>();
  auto tls = std::make_shared<flow::ClientTls>();
  tls->ja3 = ja3;
  tls->ja4 = ja4;
  connection->tls = std::move(tls);
  return connection;
}

TEST(Prints, AreCountedCommonestFirstAndTiesByFirstAppearance) {
  Bench bench;
  const auto seen = [&](const std::string& host, const std::string& ja3) {
    bench.capture.exchange({.host = host, .connection = connection_with(ja3, "j4-" + ja3)});
  };
  seen("late.test", "b");
  seen("one.test", "a");
  seen("one.test", "c");
  seen("two.test", "c");
  for (int i = 0; i < 7; ++i) seen("host" + std::to_string(i) + ".test", "d");
  bench.capture.exchange({.host = "plain.test"});
  const Json all = bench.ok("proxy_list_tls_fingerprints");
  EXPECT_EQ(all["totalExchangesWithTls"], 11);
  ASSERT_EQ(all["ja3"].size(), 4u);
  EXPECT_EQ(all["ja3"][0],
            (Json{{"fingerprint", "d"},
                  {"count", 7},
                  {"hostnames", {"host0.test", "host1.test", "host2.test", "host3.test", "host4.test"}}}));
  EXPECT_EQ(all["ja3"][1], (Json{{"fingerprint", "c"}, {"count", 2}, {"hostnames", {"one.test", "two.test"}}}));
  EXPECT_EQ(all["ja3"][2]["fingerprint"], "b") << "seen before a";
  EXPECT_EQ(all["ja3"][3]["fingerprint"], "a");
  EXPECT_EQ(all["ja4"][0]["fingerprint"], "j4-d");
  const Json some = bench.ok("proxy_list_tls_fingerprints", {{"limit", 1}, {"hostname_filter", "ONE."}});
  EXPECT_EQ(some["totalExchangesWithTls"], 2);
  EXPECT_EQ(some["ja3"], Json::array({{{"fingerprint", "a"}, {"count", 1}, {"hostnames", {"one.test"}}}}));
  EXPECT_EQ(bench.ok("proxy_list_tls_fingerprints", {{"limit", -3}})["ja3"].size(), 1u);
}

TEST(Prints, TheSwitchHidesTheServersTlsOnly) {
  Bench bench;
  auto upstream = std::make_shared<flow::Upstream>();
  auto seen = std::make_shared<flow::ServerTls>();
  seen->protocol = "TLSv1.3";
  upstream->tls = std::move(seen);
  bench.capture.exchange({.connection = connection_with("a", "b"), .upstream = upstream});
  const std::string id = bench.last_id();
  const auto tls = [&] { return bench.ok("proxy_get_tls_fingerprints", {{"exchange_id", id}})["tls"]; };
  EXPECT_EQ(bench.ok("proxy_get_tls_config"), (Json{{"serverTlsCaptureEnabled", true}, {"ja3SpoofConfig", nullptr}}));
  EXPECT_TRUE(tls().contains("server"));
  EXPECT_EQ(bench.ok("proxy_enable_server_tls_capture", {{"enabled", false}}),
            (Json{{"serverTlsCaptureEnabled", false}}));
  EXPECT_FALSE(tls().contains("server"));
  EXPECT_TRUE(tls().contains("client"));
  EXPECT_FALSE(bench.ok("proxy_get_exchange", {{"exchange_id", id}})["exchange"]["tls"].contains("server"));
  EXPECT_EQ(bench.ok("proxy_get_tls_config")["serverTlsCaptureEnabled"], false);
  bench.ok("proxy_enable_server_tls_capture", {{"enabled", true}});
  EXPECT_TRUE(tls().contains("server")) << "it was recorded all the same";
}

TEST(Prints, ThatNothingCanBeSpoofedIsSaidPlainly) {
  Bench bench;
  EXPECT_EQ(bench.ok("proxy_list_fingerprint_presets"), (Json{{"presets", Json::array()}}));
  const Json runtime = bench.ok("proxy_check_fingerprint_runtime");
  EXPECT_EQ(runtime["ready"], false);
  EXPECT_EQ(runtime["runtimes"][0]["ready"], false);
  EXPECT_NE(runtime["runtimes"][0]["detail"].get<std::string>().find("cannot imitate"), std::string::npos);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(bench.ok("proxy_clear_ja3_spoof")["message"], "JA3 spoofing disabled");
}

}  // namespace
}  // namespace sluice::tools

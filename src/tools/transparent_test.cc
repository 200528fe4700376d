// The tools of the transparent listener, over a fake engine.
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

TEST(Transparent, StartsStopsAndTellsWithoutTheExplicitProxy) {
  Bench bench;
  EXPECT_EQ(bench.ok("proxy_transparent_status"), (Json{{"running", false}, {"port", nullptr}, {"trafficCount", 0}}));
  EXPECT_EQ(bench.error("proxy_stop_transparent"), "Error: Transparent proxy is not running.");
  const Json started = bench.ok("proxy_start_transparent");
  EXPECT_EQ(started["port"], 8443);
  ASSERT_EQ(started["instructions"].size(), 2u);
  EXPECT_NE(started["instructions"][0].get<std::string>().find("--to-ports 8443"), std::string::npos);
  EXPECT_NE(started["instructions"][0].get<std::string>().find("! --uid-owner"), std::string::npos);
  EXPECT_NE(started["instructions"][0].get<std::string>().find("with ip6tables"), std::string::npos);
  const auto transparent = bench.engine.status().transparent.listeners;
  ASSERT_EQ(transparent.size(), 2u);  // REDIRECT in OUTPUT goes to the loopback of each family
  EXPECT_EQ(transparent[0].host, "127.0.0.1");
  EXPECT_EQ(transparent[1].host, "::1");
  EXPECT_EQ(bench.error("proxy_start_transparent"), "Error: Transparent proxy is already running. Stop it first.");
  EXPECT_EQ(bench.ok("proxy_status")["transparentProxy"]["running"], true);
  EXPECT_EQ(bench.ok("proxy_status")["running"], false);
  EXPECT_EQ(bench.ok("proxy_stop_transparent")["message"], "Transparent proxy stopped.");
  EXPECT_EQ(bench.ok("proxy_transparent_status")["port"], 8443) << "the last port stays to be seen";
}

TEST(Transparent, DoesWithoutIpv6AndNamesTheMarkThatSparesItsOwnTraffic) {
  Bench bench;
  bench.engine.has_ipv6 = false;
  bench.services->outgoing_mark = 0x51;
  const Json started = bench.ok("proxy_start_transparent", {{"port", 0}});
  EXPECT_EQ(bench.engine.status().transparent.listeners.size(), 1u);
  EXPECT_NE(started["instructions"][0].get<std::string>().find("! --mark 0x51"), std::string::npos);
  EXPECT_NE(started["instructions"][0].get<std::string>().find("leave ip6tables"), std::string::npos);
}

TEST(Transparent, ListensWhereTheConfigurationSaysAndFailsWhereItCannot) {
  Bench bench;
  bench.services->transparent_listen = {{"0.0.0.0", 1}, {"::", 1}};
  bench.ok("proxy_start_transparent", {{"port", 9000}});
  EXPECT_EQ(bench.engine.status().transparent.listeners[1].host, "::");
  EXPECT_EQ(bench.engine.status().transparent.listeners[1].port, 9000);
  bench.ok("proxy_stop_transparent");
  bench.engine.taken = 9000;
  EXPECT_EQ(bench.error("proxy_start_transparent", {{"port", 9000}}), "Error: the address cannot be had");
}

TEST(Transparent, StopsWithTheProxy) {
  Bench bench;
  bench.ok("proxy_start");
  bench.ok("proxy_start_transparent");
  bench.ok("proxy_stop");
  EXPECT_EQ(bench.ok("proxy_transparent_status")["running"], false);
}

}  // namespace
}  // namespace sluice::tools

#include "gateway/call_stats.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(CallStats, AreWrittenAsPrometheusReadsThem) {
  CallStats stats;
  stats.decided(false, "allow");
  stats.decided(false, "allow");
  stats.decided(true, "allow");
  stats.decided(false, "deny");
  stats.ended("ok", std::chrono::microseconds(900));
  stats.ended("ok", std::chrono::milliseconds(1));
  stats.ended("timeout", std::chrono::seconds(90));
  GateState state;
  state.version = "1.2.3";
  state.running = 4;
  state.closed = true;
  const std::string text = metrics_text(stats, state);
  for (const char* line :
       {"sluice_build_info{version=\"1.2.3\"} 1\n", "sluice_decisions_total{caller=\"agent\",decision=\"allow\"} 2\n",
        "sluice_decisions_total{caller=\"owner\",decision=\"allow\"} 1\n",
        "sluice_decisions_total{caller=\"agent\",decision=\"deny\"} 1\n", "sluice_calls_total{status=\"ok\"} 2\n",
        "sluice_calls_total{status=\"timeout\"} 1\n", "sluice_call_seconds_bucket{le=\"0.001\"} 2\n",
        "sluice_call_seconds_bucket{le=\"60\"} 2\n", "sluice_call_seconds_bucket{le=\"+Inf\"} 3\n",
        "sluice_call_seconds_count 3\n", "sluice_calls_running 4\n", "sluice_gate_closed 1\n",
        "# TYPE sluice_call_seconds histogram\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_EQ(text.back(), '\n');
}

TEST(CallStats, OfSeveralGatesAreCountedTogether) {
  CallStats one, two;
  one.decided(false, "allow");
  one.ended("ok", std::chrono::milliseconds(1));
  two.decided(false, "allow");
  two.decided(false, "deny");
  two.ended("ok", std::chrono::seconds(90));
  one.add(two);
  const std::string text = metrics_text(one, {});
  for (const char* line : {"{caller=\"agent\",decision=\"allow\"} 2\n", "{caller=\"agent\",decision=\"deny\"} 1\n",
                           "sluice_calls_total{status=\"ok\"} 2\n", "sluice_call_seconds_bucket{le=\"60\"} 1\n",
                           "sluice_call_seconds_count 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace sluice::gateway

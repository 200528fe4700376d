#include <gtest/gtest.h>

#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

TEST(Traffic, AFilterExpressionMustHoldToo) {
  Bench bench;
  bench.capture.exchange(
      {.method = "POST", .host = "api.example.com", .target = "/1", .response_body = "late", .status = 503});
  bench.capture.exchange({.host = "api.example.com", .target = "/2"});
  bench.capture.exchange({.host = "www.example.com", .target = "/3", .response_body = "late", .status = 500});
  EXPECT_EQ(bench.rows({{"filter", "~c 5.. ~b late"}}).size(), 2u);
  EXPECT_EQ(bench.rows({{"filter", "~c 5.. ~b late"}, {"hostname_filter", "api"}}).size(), 1u);
  EXPECT_EQ(bench.rows({{"filter", "  "}}).size(), 3u) << "blank is none";
  const Json page = bench.ok("proxy_list_traffic", {{"filter", "~d example"}, {"limit", 1}, {"offset", -2}});
  EXPECT_EQ(page["total"], 3);
  EXPECT_EQ(page["offset"], 1);
  EXPECT_EQ(page["exchanges"][0]["url"], "https://api.example.com/2");
  EXPECT_EQ(bench.ok("proxy_search_traffic", {{"query", "late"}, {"filter", "!~m POST"}})["total"], 1);
  EXPECT_TRUE(bench.error("proxy_search_traffic", {{"query", "x"}, {"filter", "~q ~websoket"}})
                  .starts_with("The filter is wrong at column 4"));
  EXPECT_TRUE(bench.error("proxy_list_traffic", {{"filter", "(~q"}}).starts_with("The filter is wrong at column 1"));
}

TEST(Traffic, AFilterThatRanOutOfTimeSaysHowFarItCame) {
  Bench bench;
  bench.capture.exchange({});
  const Json page = bench.ok("proxy_list_traffic", {{"filter", "~all"}});
  EXPECT_FALSE(page.contains("searched"));
  bench.context.deadline = bench.capture.clock.mono();
  const Json late = bench.ok("proxy_list_traffic", {{"filter", "~all"}, {"after_rev", 0}});
  EXPECT_EQ(late["searched"], 0);
  EXPECT_EQ(late["lastRev"], 0) << "from there the next call goes on";
}

}  // namespace
}  // namespace sluice::tools

// Host options, over a real store of options; the engine is a fake.
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

}  // namespace
}  // namespace sluice::tools

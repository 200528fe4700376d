#include "analysis/har_read.h"

#include <gtest/gtest.h>

#include "codings/codings.h"

namespace sluice::analysis {
namespace {

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

HarEntry read(std::string_view text) {
  auto entry = read_har_entry(text, kNow);
  EXPECT_TRUE(entry) << (entry ? "" : entry.error().message);
  return entry ? *std::move(entry) : HarEntry{};
}
std::string error(std::string_view text) {
  const auto entry = read_har_entry(text, kNow);
  return entry ? "" : entry.error().message;
}
std::int64_t ns(std::string_view text) {
  const auto time = parse_iso8601(text);
  return time ? time->time_since_epoch().count() : -1;
}

TEST(HarRead, TimesOfAllFlavoursAreRead) {
  const std::int64_t ten = 1'772'359'200'000'000'000;
  for (const auto& [text, after] : std::initializer_list<std::pair<const char*, std::int64_t>>{
           {"2026-03-01T10:00:00Z", 0},
           {"2026-03-01T10:00:00.125Z", 125'000'000},
           {"2026-03-01T12:00:00.250+02:00", 250'000'000},
           {"2026-03-01T05:30:00-0430", 0},
           {"2026-03-01T11:00:00.1234567+01:00", 123'456'700},
           {"2026-03-01T10:00:00.123456789123+00:00", 123'456'789},
           {"2026-03-01T10:00:00", 0},
           {"2026-03-01 10:00", 0}}) {
    EXPECT_EQ(ns(text), ten + after) << text;
  }
  EXPECT_EQ(ns("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ns("2024-02-29T23:59:60.5Z") - ns("2024-02-29T23:59:59.5Z"), 1'000'000'000);
  for (const char* bad :
       {"", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01", "2026-03-01T24:00:00Z", "20260301T100000Z",
        "9999-01-01T00:00:00Z", "2026-03-01T10:00:00+99:00", "2026-03-01T10:00:00Zx"}) {
    EXPECT_FALSE(parse_iso8601(bad)) << bad;
  }
}

TEST(HarRead, ErrorsAreTheContracts) {
  EXPECT_EQ(error("7"), "entry is not an object.");
  EXPECT_EQ(error("{}"), "missing request object.");
  EXPECT_EQ(error(R"({"request":{}})"), "missing request.method.");
  EXPECT_EQ(error(R"({"request":{"method":"GET"}})"), "missing request.url.");
  EXPECT_TRUE(error(R"({"request":{"method":"GET","url":"/x"}})").starts_with("invalid request.url ("));
  const HarEntry least = read(R"({"request":{"method":"get","url":"http://a"}})");
  EXPECT_EQ(least.warnings,
            (std::vector<std::string>{"missing response object.", "missing startedDateTime, using import time."}));
  EXPECT_EQ(least.loaded.exchange.method, "GET");
  EXPECT_EQ(least.loaded.exchange.started, kNow);
}

TEST(HarRead, BodiesAreCodedAsTheirHeadsSay) {
  const HarEntry entry = read(
      R"({"request":{"method":"POST","url":"https://a/","postData":{"mimeType":"x","text":"AP8=","encoding":"base64"}},)"
      R"("response":{"status":200,"headers":[{"name":"Content-Encoding","value":"gzip, br"}],"content":{"text":"plain"}}})");
  EXPECT_EQ(entry.loaded.request_body, std::string("\0\xFF", 2));
  EXPECT_NE(entry.loaded.response_body, "plain");
  const auto decoded = codings::decode_all(entry.loaded.response_body, "gzip, br", 1'000);
  EXPECT_EQ(decoded.text, "plain");
  EXPECT_EQ(decoded.problem, "");
}

TEST(HarRead, WhatABodyIsStandsForAFieldThatIsNotThere) {
  const HarEntry entry = read(
      R"({"request":{"method":"POST","url":"https://a/","postData":{"mimeType":"application/json","text":"{}"}},)"
      R"("response":{"status":200,"headers":[{"name":"X","value":"y"}],"content":{"mimeType":"text/html\r\nevil: 1","text":"<p>"}}})");
  EXPECT_EQ(flow::parse_fields(entry.loaded.exchange.request.head).find("content-type"), "application/json");
  EXPECT_EQ(flow::parse_fields(entry.loaded.exchange.response.head).find("content-type"), "text/html  evil: 1");
  EXPECT_FALSE(flow::parse_fields(entry.loaded.exchange.response.head).find("evil"));
  for (const char* content :
       {R"({"mimeType":"x-unknown","text":"a"})", R"({"mimeType":"","text":"a"})", R"({"mimeType":"text/html"})"}) {
    const HarEntry none =
        read(std::string(R"({"request":{"method":"GET","url":"https://a/"},"response":{"status":200,)") +
             R"("content":)" + content + "}}");
    EXPECT_FALSE(flow::parse_fields(none.loaded.exchange.response.head).find("content-type")) << content;
  }
  const HarEntry both = read(
      R"({"request":{"method":"GET","url":"https://a/"},"response":{"status":200,"content":{"mimeType":"a/b","text":)"
      R"("x"},"headers":[{"name":"content-type","value":"c/d"}]}})");
  EXPECT_EQ(flow::parse_fields(both.loaded.exchange.response.head).count("content-type"), 1u);
  EXPECT_EQ(flow::parse_fields(both.loaded.exchange.response.head).find("content-type"), "c/d");
}

TEST(HarRead, HeadsAreMadeLineByLine) {
  const HarEntry entry = read(
      R"({"request":{"method":"GET","url":"https://a.example/p?q#f","httpVersion":"h2","headers":[{"name":":authority","value":"a.example"},)"
      R"({"name":"x","value":"1\r\nevil: 2"},{"name":"bad name","value":"3"},{"name":"y","value":7}]},)"
      R"("response":{"status":200,"statusText":"OK\nevil: 1","headers":[{"name":"Set-Cookie","value":"a=1"},{"name":"Set-Cookie","value":"b=2"}]}})");
  const flow::Exchange& exchange = entry.loaded.exchange;
  EXPECT_EQ(exchange.request.head, "GET /p?q HTTP/2\r\nhost: a.example\r\nx: 1  evil: 2\r\n\r\n");
  EXPECT_EQ(exchange.response.head, "HTTP/2 200 OK evil: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n");
  EXPECT_EQ(exchange.protocol, flow::Protocol::kHttp2);
}

TEST(HarRead, OddTypesAndNumbersDoNoHarm) {
  const HarEntry entry = read(
      R"({"startedDateTime":7,"time":"x","timings":[],"connection":[],"serverIPAddress":{},"_clientTls":3,"_serverTls":[],)"
      R"("_ruleIds":{},"_anomalies":[1,"none"],"_state":"open","_webSocketMessages":[1,{"type":"send","opcode":1e9,"data":""},)"
      R"({"type":"send","opcode":9,"data":"x"}],"request":{"method":"GET","url":"http://a/","headers":7,"bodySize":-1e300,)"
      R"("postData":[]},"response":{"status":1e300,"headers":{},"content":"x","bodySize":1e300}})");
  EXPECT_EQ(entry.loaded.exchange.status, 0);
  EXPECT_EQ(entry.loaded.messages.size(), 1u);
  const HarEntry late = read(
      R"({"time":1e300,"timings":{"wait":1e300,"send":-5,"connect":2,"ssl":9},"request":{"method":"GET","url":"http://a/"},"response":{"status":204}})");
  EXPECT_GT(late.loaded.exchange.timings.end, 0);
  EXPECT_LE(late.loaded.exchange.timings.connected, late.loaded.exchange.timings.upstream_tls);
}

}  // namespace
}  // namespace sluice::analysis

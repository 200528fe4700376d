#include <gtest/gtest.h>

#include "codings/codings.h"
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

TEST(Traffic, DecodesBothBodiesOfAnExchange) {
  Bench bench;
  bench.capture.exchange(
      {.method = "POST",
       .request_body = "user=ada&password=Zq8redXw3",
       .response_body = *codings::encode_all("[1,2,3]", {codings::Coding::kDeflate, codings::Coding::kGzip}),
       .response_fields = "Content-Type: application/json\r\nContent-Encoding: deflate, gzip\r\n",
       .request_fields = "Content-Type: application/x-www-form-urlencoded\r\n"});
  const std::string id = bench.last_id();
  const Json both = bench.ok("proxy_decode_exchange", {{"exchange_id", id}, {"limit", 2}});
  EXPECT_EQ(dump_json(both["response"]["chain"]), R"(["gzip","deflate","json"])");
  EXPECT_EQ(dump_json(both["response"]["value"]), "[1,2]");
  EXPECT_EQ(both["response"]["nextOffset"], 2);
  EXPECT_EQ(both["request"]["value"][1]["value"], "Zq8redXw3");
  bench.context.redactor = &bench.redactor;
  const Json one = bench.ok("proxy_decode_exchange", {{"exchange_id", id}, {"include", {"request"}}});
  EXPECT_FALSE(one.contains("response"));
  EXPECT_EQ(dump_json(one).find("Zq8redXw3"), std::string::npos);
  bench.capture.exchange({.response_body = "\xc1", .response_fields = "Content-Type: application/msgpack\r\n"});
  const Json garbage = bench.ok("proxy_decode_exchange", {{"exchange_id", bench.last_id()}});
  EXPECT_TRUE(garbage["request"].is_null());
  EXPECT_TRUE(garbage["response"]["value"].is_null());
  EXPECT_EQ(garbage["response"]["problem"], "not MessagePack: a type that there is none of at octet 2");
  bench.capture.exchange({.response_body = "not gzip \x01\x02", .response_fields = "Content-Encoding: gzip\r\n"});
  const Json lie = bench.ok("proxy_decode_exchange", {{"exchange_id", bench.last_id()}})["response"];
  EXPECT_TRUE(lie["chain"].empty()) << dump_json(lie);
  EXPECT_TRUE(lie.contains("problem"));
  EXPECT_EQ(bench.error("proxy_decode_exchange", {{"exchange_id", "nope"}}), "Exchange 'nope' not found");
}

}  // namespace
}  // namespace sluice::tools

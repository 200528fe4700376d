#include "analysis/json_document.h"

#include <gtest/gtest.h>

namespace sluice::analysis {
namespace {

constexpr JsonLimits kLoose{.max_depth = 8, .max_members = 20, .refuse_duplicate_keys = false};

// What parse_json makes of a text and what this does must be one thing.
std::string by_json(std::string_view text, const JsonLimits& limits) {
  const auto json = parse_json(text, limits);
  return json ? dump_json(*json) : "error: " + json.error().message;
}
std::string by_tape(std::string_view text, const JsonLimits& limits) {
  const auto document = JsonDocument::parse(text, limits);
  if (!document) return "error: " + document.error().message;
  std::size_t left = kMiB;
  return dump_json(*to_json(document->root(), left));
}

TEST(JsonDocument, HoldsWhatParseJsonHolds) {
  for (const std::string& text : {
           std::string(R"({"b":1,"a":[true,false,null,"x\n\u00e9\ud83d\ude00"],"":{}})"),
           std::string("[0,-0,-0.0,1.0,1e2,1.5e-7,5e-324,123456789012345678]"),
           std::string("[9223372036854775807,-9223372036854775808,18446744073709551615]"),
           std::string("[18446744073709551616,-9223372036854775809,123456789012345678901234567890]"),
           std::string("1e400"),
           std::string("[1e400]"),
           std::string(R"({"a":1,"b":2,"a":3})"),
           std::string(R"([{"x":{"a":1,"a":{"b":1,"b":2}}}])"),
           std::string(R"("alone")"),
           std::string(" 5 "),
           std::string("null"),
           std::string("\xEF\xBB\xBF{\"bom\":1}"),
           std::string("[\"\xff\"]"),
           std::string("[\"\t\"]"),
           std::string(R"(["\ud800"])"),
           std::string(""),
           std::string("[1,]"),
           std::string("{} {}"),
           std::string("[01]"),
           std::string("\0", 1),
       }) {
    EXPECT_EQ(by_tape(text, kLoose), by_json(text, kLoose)) << text;
    const JsonLimits strict{.max_depth = 8, .max_members = 20};
    if (text.find("\"a\":1") == text.npos) EXPECT_EQ(by_tape(text, strict), by_json(text, strict)) << text;
  }
}

TEST(JsonDocument, DepthAndMembersAreBoundedAlike) {
  for (std::size_t depth = 6; depth <= 11; ++depth) {
    const std::string arrays = std::string(depth, '[') + std::string(depth, ']');
    EXPECT_EQ(by_tape(arrays, kLoose), by_json(arrays, kLoose)) << depth;
    const std::string held = std::string(depth, '[') + "1" + std::string(depth, ']');
    EXPECT_EQ(by_tape(held, kLoose), by_json(held, kLoose)) << depth;
  }
  for (int members = 7; members <= 22; ++members) {
    std::string object = "{";
    for (int i = 0; i < members; ++i) object += (i ? ",\"m" : "\"m") + std::to_string(i) + "\":" + std::to_string(i);
    EXPECT_EQ(by_tape(object + "}", kLoose), by_json(object + "}", kLoose)) << members;
    EXPECT_EQ(by_tape(object + ",\"m3\":0}", kLoose), by_json(object + ",\"m3\":0}", kLoose)) << members;
  }
}

TEST(JsonDocument, ACopyPaysForWhatItHolds) {
  const auto document = JsonDocument::parse(R"({"name":"0123456789"})");
  ASSERT_TRUE(document);
  std::size_t left = 2 * kValueCost + 4 + 10;
  EXPECT_TRUE(to_json(document->root(), left));
  EXPECT_EQ(left, 0u);
  left = 2 * kValueCost + 4 + 9;
  EXPECT_FALSE(to_json(document->root(), left));
}

}  // namespace
}  // namespace sluice::analysis

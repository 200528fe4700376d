#include "policy/canonical.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

std::string canonical(std::string_view text) {
  const auto source = parse_source(text);
  EXPECT_TRUE(source) << text;
  const Json json = to_json(*source);
  const Spellings spellings = spellings_of(*source, json);
  return canonical_json(json, &spellings);
}

TEST(Canonical, OrderAndBlanksSayNothing) {
  EXPECT_EQ(canonical(R"( { "b" : [ 1 , { "d":null,"c":true } ] , "a" : "\u0041\/\n" } )"),
            R"({"a":"A/\n","b":[1,{"c":true,"d":null}]})");
  EXPECT_EQ(canonical("{}"), "{}");
  EXPECT_EQ(canonical("[]"), "[]");
  EXPECT_EQ(canonical(R"([[],{},"[","{"])"), R"([[],{},"[","{"])");
}

TEST(Canonical, NamesAreInTheOrderOfTheirUtf16) {
  // RFC 8785 §3.2.3's own example.
  EXPECT_EQ(
      canonical(R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})"),
      "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
  EXPECT_EQ(canonical(R"({"ab":1,"a":2,"":3})"), R"({"":3,"a":2,"ab":1})");
}

TEST(Canonical, NumbersThatDifferAreSpelledDifferently) {
  EXPECT_EQ(canonical("[9007199254740993, 18446744073709551617]"), "[9007199254740993,18446744073709551617]");
  EXPECT_NE(canonical("[0.1000000000000000055511151231257827]"), canonical("[0.1]"));
}

}  // namespace
}  // namespace sluice::policy

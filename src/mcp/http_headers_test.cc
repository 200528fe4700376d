#include "mcp/http_headers.h"

#include <gtest/gtest.h>

#include "mcp/http_rules.h"

namespace sluice::mcp {
namespace {

Json parsed(std::string_view text) { return *parse_json(text); }

TEST(HttpHeaders, AValueThatCannotStandAsItIsComesInBase64) {
  EXPECT_EQ(encode_header_value("us-west1"), "us-west1");
  EXPECT_EQ(encode_header_value("Hello, \xE4\xB8\x96\xE7\x95\x8C"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
  EXPECT_EQ(encode_header_value(" padded "), "=?base64?IHBhZGRlZCA=?=");
  EXPECT_EQ(encode_header_value("line1\nline2"), "=?base64?bGluZTEKbGluZTI=?=");
  EXPECT_EQ(encode_header_value("=?base64?literal?="), "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
  for (const char* value : {"", "a", "\r\nX: y", " ", "=?base64?\?=", "\t", "\x7F"}) {
    EXPECT_EQ(decode_header_value(encode_header_value(value)), value);
  }
}

TEST(HttpHeaders, MarkedArgumentsAreFoundAlongPropertiesOnly) {
  const auto found = find_param_headers(
      parsed(R"({"properties":{"region":{"type":"string","x-mcp-header":"Region"},"x-mcp-header":{"type":"string"},)"
             R"("deep":{"properties":{"n":{"type":"integer","x-mcp-header":"N"}}}},"default":{"x-mcp-header":1}})"));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].field, "Mcp-Param-Region");
  EXPECT_EQ((*found)[1].path, (std::vector<std::string>{"deep", "n"}));
}

TEST(HttpHeaders, AMarkThatMustNotBeMakesTheToolUnusable) {
  for (const char* schema :
       {R"({"x-mcp-header":"A"})", R"({"properties":{"a":{"type":"string","x-mcp-header":""}}})",
        R"({"properties":{"a":{"type":"string","x-mcp-header":"A\r\nX: y"}}})",
        R"({"properties":{"a":{"type":"string","x-mcp-header":"A B"}}})",
        R"({"properties":{"a":{"type":"string","x-mcp-header":7}}})",
        R"({"properties":{"a":{"type":"string","x-mcp-header":null}}})",
        R"({"properties":{"a":{"type":"number","x-mcp-header":"A"}}})",
        R"({"properties":{"a":{"type":["string","null"],"x-mcp-header":"A"}}})",
        R"({"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}})",
        R"({"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}})",
        R"({"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]})",
        R"({"$defs":{"d":{"type":"string","x-mcp-header":"A"}}})",
        R"({"if":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}})"}) {
    EXPECT_FALSE(find_param_headers(parsed(schema))) << schema;
  }
}

TEST(HttpHeaders, AModernRequestSaysBesideItsBodyWhatStandsInIt) {
  const auto marked = *find_param_headers(
      parsed(R"({"properties":{"s":{"type":"string","x-mcp-header":"S"},"i":{"type":"integer","x-mcp-header":"I"},)"
             R"("b":{"type":"boolean","x-mcp-header":"B"},"none":{"type":"string","x-mcp-header":"None"},)"
             R"("o":{"properties":{"f":{"type":"integer","x-mcp-header":"F"}}}}})"));
  const HeaderFields fields =
      modern_headers("tools/call",
                     parsed(R"({"name":"t","arguments":{"s":"a\nb","i":-7,"b":false,"none":null,"o":{"f":42.0}},)"
                            R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}})"),
                     marked);
  EXPECT_EQ(fields, (HeaderFields{{"MCP-Protocol-Version", "2026-07-28"},
                                  {"Mcp-Method", "tools/call"},
                                  {"Mcp-Name", "t"},
                                  {"Mcp-Param-S", "=?base64?YQpi?="},
                                  {"Mcp-Param-I", "-7"},
                                  {"Mcp-Param-B", "false"},
                                  {"Mcp-Param-F", "42"}}));
}

TEST(HttpHeaders, WhatAClientSaysOfAParameterMustBeWhatItsBodySays) {
  const auto marked = *find_param_headers(
      parsed(R"({"properties":{"s":{"type":"string","x-mcp-header":"S"},"i":{"type":"integer","x-mcp-header":"I"}}})"));
  const Json params = parsed(R"({"arguments":{"s":"a\nb","i":42}})");
  const auto check = [&](std::vector<HeaderField> fields) {
    return check_param_headers(params, marked, fields).has_value();
  };
  EXPECT_TRUE(check({{"mcp-param-s", "=?base64?YQpi?="}, {"Mcp-Param-I", " 42.0 "}, {"Mcp-Param-Other", "x"}}));
  EXPECT_FALSE(check({{"Mcp-Param-S", "=?base64?YQpi?="}}));
  EXPECT_FALSE(check({{"Mcp-Param-S", "ab"}, {"Mcp-Param-I", "42"}}));
  EXPECT_FALSE(check({{"Mcp-Param-S", "=?base64?!?="}, {"Mcp-Param-I", "42"}}));
  EXPECT_FALSE(check({{"Mcp-Param-S", "=?base64?YQpi?="}, {"Mcp-Param-I", "42"}, {"Mcp-Param-I", "42"}}));
  const Json without = parsed(R"({"arguments":{"s":null}})");
  EXPECT_TRUE(check_param_headers(without, marked, {}));
  const std::vector<HeaderField> more{{"Mcp-Param-S", "x"}};
  EXPECT_FALSE(check_param_headers(without, marked, more));
}

TEST(HttpHeaders, TheNameIsThatOfTheMethodAndNoneWhereThereIsNone) {
  EXPECT_EQ(modern_headers("resources/read", parsed(R"({"uri":"a:b","name":"x"})"), {})[2].second, "a:b");
  EXPECT_EQ(modern_headers("prompts/get", parsed(R"({"uri":"a:b","name":"x"})"), {})[2].second, "x");
  EXPECT_EQ(modern_headers("tasks/get", parsed(R"({"taskId":"T1","name":"x"})"), {})[2].second, "T1");
  EXPECT_EQ(modern_headers("tools/list", parsed(R"({"name":"x"})"), {}).size(), 2u);
}

}  // namespace
}  // namespace sluice::mcp

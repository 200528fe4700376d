#include <gtest/gtest.h>

#include "tools/tool.h"

namespace sluice::tools {
namespace {

Tool tool_named(std::string_view name) {
  for (Tool& tool : all_tools()) {
    if (tool.name == name) return std::move(tool);
  }
  ADD_FAILURE() << "no tool " << name;
  return {.risk = Risk::kRead};
}

std::string refusal(std::string_view tool, const Json& arguments) {
  const auto parsed = parse_arguments(tool_named(tool), arguments);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Arguments, FillsInDefaults) {
  const auto parsed = parse_arguments(tool_named("proxy_list_traffic"), Json::object());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(dump_json(*parsed), R"({"limit":50,"offset":0,"show_secrets":false})");
}

TEST(Arguments, TakesAbsentArgumentsAsNone) {
  EXPECT_TRUE(parse_arguments(tool_named("proxy_status"), nullptr));
  EXPECT_TRUE(parse_arguments(tool_named("proxy_status"), Json::object()));
}

TEST(Arguments, NullForAnOptionalOneIsAbsence) {
  const auto parsed = parse_arguments(tool_named("proxy_list_traffic"), {{"limit", nullptr}, {"url_filter", nullptr}});
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)["limit"], 50);
  EXPECT_FALSE(parsed->contains("url_filter"));
}

TEST(Arguments, NullForARequiredOneIsRefused) {
  EXPECT_EQ(refusal("proxy_get_exchange", {{"exchange_id", nullptr}}),
            "MCP error -32602: Input validation error: Invalid arguments for tool proxy_get_exchange: exchange_id is "
            "required");
}

TEST(Arguments, UnknownNamesGetTheNearestOneAtEveryDepth) {
  EXPECT_NE(refusal("proxy_start", {{"prot", 1}}).find(R"(unknown argument "prot", did you mean "port"?)"),
            std::string::npos);
  const Json nested = {{"description", "d"}, {"matcher", {{"hostnam", "x"}}}, {"handler", {{"type", "mock"}}}};
  EXPECT_NE(
      refusal("proxy_add_rule", nested).find(R"(unknown argument "hostnam" in matcher, did you mean "hostname"?)"),
      std::string::npos);
  const Json deep = {{"description", "d"},
                     {"matcher", Json::object()},
                     {"handler", {{"type", "passthrough"}, {"transformRequest", {{"updateHeader", Json::object()}}}}}};
  EXPECT_NE(refusal("proxy_add_rule", deep).find("in handler.transformRequest, did you mean \"updateHeaders\"?"),
            std::string::npos);
  EXPECT_NE(refusal("proxy_status", {{"x", 1}}).find("(it takes none)"), std::string::npos);
}

TEST(Arguments, NumbersAreCutOffAndClampedNeverRefused) {
  const auto parsed = parse_arguments(tool_named("proxy_start"), {{"port", 70000.7}, {"max_disk_mb", -3}});
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)["port"], 65535);
  EXPECT_EQ((*parsed)["max_disk_mb"], 1);
  const auto page = parse_arguments(tool_named("proxy_list_traffic"), {{"limit", 2.9}, {"offset", -7.5}});
  ASSERT_TRUE(page);
  EXPECT_EQ((*page)["limit"], 2);
  EXPECT_EQ((*page)["offset"], -7);
  const auto huge = parse_arguments(tool_named("proxy_list_traffic"), {{"offset", 1e300}});
  ASSERT_TRUE(huge);
  EXPECT_EQ((*huge)["offset"], 9007199254740991);
}

TEST(Arguments, WrongTypesAreRefusedByName) {
  EXPECT_NE(refusal("proxy_start", {{"port", "8080"}}).find("port must be a number"), std::string::npos);
  EXPECT_NE(refusal("proxy_start", {{"capture_profile", "ful"}}).find(R"(must be one of "preview", "full")"),
            std::string::npos);
  EXPECT_NE(refusal("proxy_start", Json::array()).find("arguments must be an object"), std::string::npos);
  EXPECT_NE(
      refusal("proxy_inject_headers", {{"headers", {{"a", 1}}}}).find(R"("a" of headers must be a string or null)"),
      std::string::npos);
  EXPECT_NE(
      refusal("proxy_get_exchange", {{"exchange_id", "x"}, {"include", {"bodies"}}}).find("include[0] must be one of"),
      std::string::npos);
}

TEST(Arguments, NullDeletesAHeaderAndIsKept) {
  const auto parsed = parse_arguments(tool_named("proxy_inject_headers"), {{"headers", {{"a", nullptr}, {"b", "1"}}}});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(dump_json((*parsed)["headers"]), R"({"a":null,"b":"1"})");
}

TEST(Arguments, PairsHaveExactlyTwoStrings) {
  const auto with = [](Json pairs) -> Json {
    return {{"description", "d"},
            {"matcher", Json::object()},
            {"handler", {{"type", "passthrough"}, {"transformResponse", {{"matchReplaceBody", std::move(pairs)}}}}}};
  };
  EXPECT_EQ(refusal("proxy_add_rule", with(Json::array({Json::array({"a", "b"})}))), "accepted");
  EXPECT_NE(refusal("proxy_add_rule", with(Json::array({Json::array({"a"})}))).find("exactly 2 strings"),
            std::string::npos);
  EXPECT_NE(refusal("proxy_add_rule", with(Json::array({"a", "b"}))).find("exactly 2 strings"), std::string::npos);
}

TEST(Arguments, ErrorsRepeatALittleOfAnUnknownNameAndNoControlOctets) {
  const std::string text = refusal("proxy_status", {{std::string(5000, 'x') + "\n\x1b", 1}});
  EXPECT_LT(text.size(), 300u);
  const std::string escaped = refusal("proxy_status", {{"a\n\x1b[0m", 1}});
  EXPECT_EQ(escaped.find('\n'), std::string::npos);
  EXPECT_EQ(escaped.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sluice::tools

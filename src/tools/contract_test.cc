// Every tool against the published catalogue: names, parameters, types, required flags, enums, defaults, result keys.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tools/tool.h"

namespace sluice::tools {
namespace {

// What we add to the published tools, and why it is allowed: engine.md 5, 6, 8; proxy_stop's `all` is 3.5.3's.
const std::set<std::string> kExtraArguments = {
    "proxy_stop.all",
    "proxy_add_rule.on_match",
    "proxy_add_rule.matcher.hostPattern",
    "proxy_update_rule.on_match",
    "proxy_add_rule.matcher.protocol",
    "proxy_add_rule.matcher.phase",
    "proxy_add_rule.matcher.statusCode",
    "proxy_add_rule.handler.location",
    "proxy_add_rule.handler.path",
    "proxy_add_rule.handler.urlPattern",
    "proxy_add_rule.handler.replacement",
    "proxy_add_rule.handler.delayMs",
    "proxy_add_rule.handler.throttle",
    "proxy_add_rule.handler.transformRequest.setBody",
    "proxy_add_rule.handler.transformRequest.regexReplaceBody",
    "proxy_add_rule.handler.transformRequest.jsonEdits",
    "proxy_add_rule.handler.transformResponse.setBody",
    "proxy_add_rule.handler.transformResponse.regexReplaceBody",
    "proxy_add_rule.handler.transformResponse.jsonEdits",
    "proxy_update_rule.matcher.protocol",
    "proxy_update_rule.matcher.phase",
    "proxy_update_rule.matcher.statusCode",
    "proxy_update_rule.handler.location",
    "proxy_update_rule.handler.path",
    "proxy_update_rule.handler.urlPattern",
    "proxy_update_rule.handler.replacement",
    "proxy_update_rule.handler.delayMs",
    "proxy_update_rule.handler.throttle",
    "proxy_update_rule.handler.transformRequest.setBody",
    "proxy_update_rule.handler.transformRequest.regexReplaceBody",
    "proxy_update_rule.handler.transformRequest.jsonEdits",
    "proxy_update_rule.handler.transformResponse.setBody",
    "proxy_update_rule.handler.transformResponse.regexReplaceBody",
    "proxy_update_rule.handler.transformResponse.jsonEdits",
    "proxy_update_rule.matcher.hostPattern",
    "proxy_add_rule.enabled",
    "proxy_add_rule.persist",
    "proxy_add_rule.handler.holdOn",
    "proxy_add_rule.handler.timeoutMs",
    "proxy_add_rule.handler.transformMessage",
    "proxy_update_rule.persist",
    "proxy_update_rule.handler.holdOn",
    "proxy_update_rule.handler.timeoutMs",
    "proxy_update_rule.handler.transformMessage",
    "proxy_list_rules.offset",
    "proxy_list_rules.show_secrets",
    "proxy_test_rule_match.show_secrets",
    "proxy_list_traffic.filter",
    "proxy_search_traffic.filter",
    "proxy_list_traffic.state",
    "proxy_list_traffic.after_rev",
    "proxy_list_traffic.show_secrets",
    "proxy_get_exchange.include",
    "proxy_get_exchange.decoded",
    "proxy_get_exchange.offset",
    "proxy_get_exchange.limit",
    "proxy_get_exchange.show_secrets",
    "proxy_search_traffic.offset",
    "proxy_search_traffic.in",
    "proxy_search_traffic.state",
    "proxy_search_traffic.after_rev",
    "proxy_search_traffic.show_secrets",
    "proxy_get_tls_fingerprints.show_secrets",
    "proxy_list_tls_fingerprints.show_secrets",
    "proxy_session_start.on_cap",
    "proxy_query_session.filter",
    "proxy_query_session.show_secrets",
    "proxy_search_session_bodies.filter",
    "proxy_search_session_bodies.offset",
    "proxy_list_sessions.limit",
    "proxy_list_sessions.offset",
    "proxy_query_session.cursor",
    "proxy_search_session_bodies.regex",
    "proxy_search_session_bodies.show_secrets",
    "proxy_get_session_handshakes.cursor",
    "proxy_get_session_handshakes.show_secrets",
    "proxy_get_session_exchange.decoded",
    "proxy_get_session_exchange.offset",
    "proxy_get_session_exchange.limit",
    "proxy_get_session_exchange.show_secrets",
};

const std::set<std::string> kMoreChoices = {"proxy_add_rule.handler.type", "proxy_update_rule.handler.type"};

Json catalogue() {
  std::ifstream file(SLUICE_VECTORS "/proxy-tools.json");
  std::stringstream text;
  text << file.rdbuf();
  JsonLimits limits;
  return *parse_json(text.str(), limits);
}

std::map<std::string, Tool> ours() {
  std::map<std::string, Tool> tools;
  for (Tool& tool : all_tools()) tools.emplace(std::string(tool.name), std::move(tool));
  return tools;
}

void compare_type(const Json& published, const Json& schema, const std::string& where) {
  EXPECT_EQ(schema["type"], published["type"]) << where;
  const Json* items = find_member(published, "items");
  if (!items) return;
  if (published["type"] == "array" && *items == "string") {
    EXPECT_EQ(schema["items"]["type"], "string") << where;
  } else if (items->is_object()) {  // pairs
    EXPECT_EQ(schema["items"]["type"], "array") << where;
    EXPECT_EQ(schema["items"]["minItems"], (*items)["length"]) << where;
    EXPECT_EQ(schema["items"]["maxItems"], (*items)["length"]) << where;
    EXPECT_EQ(schema["items"]["items"]["type"], "string") << where;
  } else if (*items == "string") {
    EXPECT_EQ(schema["additionalProperties"]["type"], "string") << where;
  } else {
    EXPECT_EQ(*items, "string|null") << where;
    EXPECT_EQ(schema["additionalProperties"]["type"], Json::array({"string", "null"})) << where;
  }
}

// Ours may know more; the published ones come first, in their order.
void compare_choices(const Json& ours, const Json& published, const std::string& where) {
  if (!kMoreChoices.contains(where)) {
    EXPECT_EQ(ours, published) << where;
    return;
  }
  ASSERT_GT(ours.size(), published.size()) << where;
  for (std::size_t i = 0; i < published.size(); ++i) EXPECT_EQ(ours[i], published[i]) << where;
}

void compare_parameters(const Json& published, const Json& schema, const std::string& where) {
  EXPECT_EQ(schema["type"], "object") << where;
  EXPECT_EQ(schema["additionalProperties"], false) << where;
  std::set<std::string> known, required;
  for (const Json& name : schema.value("required", Json::array())) required.insert(name.get<std::string>());
  for (const Json& parameter : published) {
    const auto name = parameter["name"].get<std::string>();
    const std::string path = where + "." + name;
    known.insert(name);
    ASSERT_TRUE(schema["properties"].contains(name)) << path;
    const Json& property = schema["properties"][name];
    compare_type(parameter, property, path);
    EXPECT_EQ(required.contains(name), parameter["required"].get<bool>()) << path;
    compare_choices(property.value("enum", Json()), parameter.value("enum", Json()), path);
    EXPECT_EQ(property.value("default", Json()), parameter.value("default", Json())) << path;
    if (parameter.contains("properties")) compare_parameters(parameter["properties"], property, path);
  }
  for (const auto& [name, property] : schema["properties"].items()) {
    if (known.contains(name)) continue;
    EXPECT_TRUE(kExtraArguments.contains(where + "." + name)) << where << "." << name << " is not in the catalogue";
    EXPECT_FALSE(required.contains(name)) << "an addition must be optional: " << where << "." << name;
  }
}

TEST(Contract, EveryParameterIsThatOfTheCatalogue) {
  const auto tools = ours();
  const Json published = catalogue();
  EXPECT_EQ(published["tools"].size(), 43u);
  for (const Json& entry : published["tools"]) {
    const auto name = entry["name"].get<std::string>();
    ASSERT_TRUE(tools.contains(name)) << name;
    const Tool& tool = tools.at(name);
    EXPECT_EQ(tool.group, entry["family"].get<std::string>()) << name;
    EXPECT_EQ(to_string(tool.risk), entry["risk"].get<std::string>()) << name;
    compare_parameters(entry["params"], input_schema(tool), name);
  }
}

TEST(Contract, EveryResultKeyIsDeclaredInTheOrderOfTheCatalogue) {
  const auto tools = ours();
  const Json published_tools = catalogue()["tools"];
  for (const Json& entry : published_tools) {
    const Tool& tool = tools.at(entry["name"].get<std::string>());
    std::vector<std::string> declared{"status"}, published;
    for (const ResultField& field : tool.result) declared.emplace_back(field.name);
    for (const auto& [key, value] : entry["result"].items()) published.push_back(key);
    std::vector<std::string> common;
    for (const std::string& key : declared) {
      if (std::find(published.begin(), published.end(), key) != published.end()) common.push_back(key);
    }
    EXPECT_EQ(common, published) << tool.name;
  }
}

TEST(Contract, ToolsStandInTheOrderOfTheCatalogue) {
  std::vector<std::string> published, declared;
  const auto tools = ours();
  const Json order = catalogue()["order"];
  for (const Json& name : order) {
    if (tools.contains(name.get<std::string>())) published.push_back(name);
  }
  for (const Tool& tool : all_tools()) {
    if (std::find(published.begin(), published.end(), tool.name) != published.end()) declared.emplace_back(tool.name);
  }
  EXPECT_EQ(declared, published);
}

// Four bytes are counted as one token (DESIGN 4).
TEST(Contract, TheCoreToolsetFitsIntoItsTokens) {
  std::size_t count = 0, input = 0, output = 0;
  for (const Tool& tool : all_tools()) {
    if (!belongs_to(tool, Toolset::kCore)) continue;
    ++count;
    input += tool.name.size() + tool.summary.size() + dump_json(input_schema(tool)).size();
    output += dump_json(output_schema(tool)).size();
  }
  EXPECT_LE(count, 20u);
  EXPECT_GE(count, 10u);
  EXPECT_LE(input, 4'000u * 4);
  EXPECT_LE(output, 4'000u * 4);
  RecordProperty("input_bytes", static_cast<int>(input));
  RecordProperty("output_bytes", static_cast<int>(output));
}

TEST(Contract, EveryToolThatReturnsTrafficCanShowSecrets) {
  for (const Tool& tool : all_tools()) {
    const Json schema = input_schema(tool);
    EXPECT_EQ(schema["properties"].contains("show_secrets"), (tool.hints & kReturnsTraffic) != 0) << tool.name;
  }
}

TEST(Contract, EveryDefinitionIsWhole) {
  std::set<std::string_view> names;
  for (const Tool& tool : all_tools()) {
    EXPECT_TRUE(names.insert(tool.name).second) << tool.name;
    EXPECT_FALSE(tool.title.empty() || tool.summary.empty() || tool.group.empty()) << tool.name;
    EXPECT_NE(tool.function, nullptr) << tool.name;
    EXPECT_EQ(output_schema(tool)["type"], "object") << tool.name;
  }
}

TEST(Contract, TheDocumentIsMadeFromTheDefinitions) {
  std::ifstream file(SLUICE_VECTORS "/../../docs/tools.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), tools_markdown(all_tools())) << "run: sluice tools --markdown > docs/tools.md";
}

}  // namespace
}  // namespace sluice::tools

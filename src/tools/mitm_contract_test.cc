// The toolset `mitmproxy` against its published catalogue: names, parameters, types, required flags, enums, defaults.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tools/tool.h"
#include "tools/twins.h"

namespace sluice::tools {
namespace {

// What analysis.md and mitm.md's W1 and W18 add.
const std::set<std::string> kExtraArguments = {"set_scope.decrypt_domains",
                                               "set_scope.ignore",
                                               "get_traffic_summary.cursor",
                                               "search_traffic.cursor",
                                               "inspect_flow.offset",
                                               "inspect_flow.limit",
                                               "inspect_flows.offset",
                                               "inspect_flows.limit",
                                               "extract_from_flow.offset",
                                               "extract_from_flow.limit",
                                               "extract_from_flow.paths",
                                               "replay_flow.url",
                                               "replay_flow.omit_body",
                                               "replay_flow.direct",
                                               "replay_flow.substitute_captured",
                                               "fuzz_endpoint.payloads",
                                               "fuzz_endpoint.location",
                                               "fuzz_endpoint.pointer",
                                               "fuzz_endpoint.concurrency",
                                               "fuzz_endpoint.rate",
                                               "fuzz_endpoint.budget",
                                               "fuzz_endpoint.allow_unsafe",
                                               "get_api_patterns.cursor",
                                               "extract_session_variable.json_path",
                                               "extract_session_variable.css_selector",
                                               "extract_session_variable.header",
                                               "extract_session_variable.cookie",
                                               "get_api_patterns.host",
                                               "get_api_patterns.include_generated",
                                               "export_openapi_spec.host",
                                               "export_openapi_spec.include_generated"};

Json catalogue() {
  std::ifstream file(SLUICE_VECTORS "/mitm-tools.json");
  std::stringstream text;
  text << file.rdbuf();
  return *parse_json(text.str());
}

std::string json_type(const std::string& published) {
  if (published == "integer") return "number";
  return published.substr(0, published.find('<'));
}

void compare(const Json& entry, const Tool& tool) {
  const Json schema = input_schema(tool);
  std::set<std::string> required, known{"show_secrets"};
  for (const Json& name : schema.value("required", Json::array())) required.insert(name.get<std::string>());
  for (const Json& parameter : entry["params"]) {
    const auto name = parameter["name"].get<std::string>();
    const std::string where = std::string(tool.name) + "." + name;
    known.insert(name);
    ASSERT_TRUE(schema["properties"].contains(name)) << where;
    const Json& property = schema["properties"][name];
    EXPECT_EQ(property["type"], json_type(parameter["type"])) << where;
    EXPECT_EQ(required.contains(name), parameter["required"].get<bool>()) << where;
    EXPECT_EQ(property.value("default", Json()), parameter.value("default", Json())) << where;
    // Columns are one string with commas between: they cannot be an enum of it.
    if (where != "inspect_flows.fields") {
      const Json published = parameter.value("enum", Json());
      Json ours = property.value("enum", Json());
      // analysis.md adds some behind the published ones.
      const bool more = where == "generate_scraper_code.target_framework" || where == "fuzz_endpoint.payload_category";
      if (more) ours.erase(ours.begin() + static_cast<std::ptrdiff_t>(published.size()), ours.end());
      EXPECT_EQ(ours, published) << where;
    }
  }
  for (const auto& [name, property] : schema["properties"].items()) {
    const std::string where = std::string(tool.name) + "." + name;
    EXPECT_TRUE(known.contains(name) || kExtraArguments.contains(where)) << where;
    EXPECT_FALSE(!known.contains(name) && required.contains(name)) << where;
  }
}

TEST(MitmproxyContract, EveryParameterIsThatOfTheCatalogueInItsOrder) {
  std::map<std::string, Json> published;
  std::vector<std::string> order, ours;
  const Json entries = catalogue();
  EXPECT_EQ(entries.size(), 25u);
  for (const Json& entry : entries) {
    order.push_back(entry["name"]);
    published.emplace(order.back(), entry);
  }
  for (const Tool& tool : all_tools()) {
    if (!belongs_to(tool, Toolset::kMitmproxy)) continue;
    ASSERT_TRUE(published.contains(std::string(tool.name))) << tool.name;
    compare(published[std::string(tool.name)], tool);
    ours.emplace_back(tool.name);
  }
  std::erase_if(order,
                [&](const std::string& name) { return std::find(ours.begin(), ours.end(), name) == ours.end(); });
  EXPECT_EQ(ours, order);
}

TEST(MitmproxyContract, W21EveryToolIsDescribedAndNamesWhatItTakes) {
  for (const Tool& tool : all_tools()) {
    if (!belongs_to(tool, Toolset::kMitmproxy)) continue;
    EXPECT_GE(tool.summary.size(), 20u) << tool.name;
    for (const Field& field : tool.fields) {
      EXPECT_FALSE(field.meaning.empty() && field.choices.empty()) << tool.name << "." << field.name;
    }
  }
}

TEST(MitmproxyContract, TheToolsetsDoNotMixAndAllHasBoth) {
  for (const Tool& tool : all_tools()) {
    if ((tool.hints & kBeyondContract) != 0) {
      EXPECT_FALSE(belongs_to(tool, Toolset::kProxy) || belongs_to(tool, Toolset::kMitmproxy)) << tool.name;
      EXPECT_TRUE(belongs_to(tool, Toolset::kAll)) << tool.name;
      continue;
    }
    EXPECT_NE(belongs_to(tool, Toolset::kProxy), belongs_to(tool, Toolset::kMitmproxy)) << tool.name;
    EXPECT_EQ(belongs_to(tool, Toolset::kProxy), tool.name.starts_with("proxy_")) << tool.name;
    EXPECT_TRUE(belongs_to(tool, Toolset::kAll)) << tool.name;
  }
}

// gate.md 3: a policy that speaks of a class means both.
TEST(MitmproxyContract, TwinsOfTheTwoToolsetsShareOneClass) {
  std::map<std::string, Risk> risks;
  for (const Tool& tool : all_tools()) risks.emplace(tool.name, tool.risk);
  for (const auto& [ours, theirs] : twins()) {
    const std::string one(ours), other(theirs);
    ASSERT_TRUE(risks.contains(one) && risks.contains(other)) << one;
    EXPECT_EQ(to_string(risks[one]), to_string(risks[other])) << one;
  }
}

}  // namespace
}  // namespace sluice::tools

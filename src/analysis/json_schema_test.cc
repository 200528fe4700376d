#include "analysis/json_schema.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/entropy.h"

namespace sluice::analysis {
namespace {

Json of(const std::vector<std::string>& samples, std::string_view name = "") {
  std::size_t nodes = 0;
  JsonSchema schema(name, nodes);
  for (const std::string& sample : samples) {
    const auto json = parse_json(sample);
    EXPECT_TRUE(json) << sample;
    if (json) schema.add(*json);
  }
  return schema.schema();
}
Json json(std::string_view text) { return *parse_json(text); }

TEST(JsonSchema, MembersAreRequiredOnlyFromFiveSamples) {
  const std::vector<std::string> four(4, R"({"a":1})");
  EXPECT_FALSE(of(four).contains("required"));
  std::vector<std::string> five(5, R"({"a":1,"b":2})");
  EXPECT_EQ(of(five)["required"], json(R"(["a","b"])"));
  five.emplace_back(R"({"a":1})");
  EXPECT_EQ(of(five)["required"], json(R"(["a"])"));
}

TEST(JsonSchema, ObjectsKeyedByIdsAreMaps) {
  EXPECT_EQ(
      of({R"({"17":{"n":1},"42":{"n":2},"99":{"n":3}})"}),
      json(R"({"type":"object","additionalProperties":{"type":"object","properties":{"n":{"type":"integer"}}}})"));
  EXPECT_EQ(of({R"({"2024-01-01":1})", R"({"2024-01-02":2})", R"({"2024-01-03":2.5})"}),
            json(R"({"type":"object","additionalProperties":{"type":"number"}})"));
  EXPECT_TRUE(of({R"({"a":1,"b":2,"c":3})"}).contains("properties"));
}

TEST(JsonSchema, EnumsOnlyFromTwentySamplesAndEightValues) {
  const auto states = [](int samples, int values) {
    std::vector<std::string> list;
    for (int i = 0; i < samples; ++i) list.push_back(fmt::format(R"("state{}")", static_cast<char>('a' + i % values)));
    return list;
  };
  EXPECT_FALSE(of(states(19, 3)).contains("enum"));
  EXPECT_EQ(of(states(20, 3))["enum"], json(R"(["statea","stateb","statec"])"));
  EXPECT_TRUE(of(states(40, 8)).contains("enum"));
  EXPECT_FALSE(of(states(40, 9)).contains("enum"));
}

TEST(JsonSchema, EnumsNeverComeFromSecretOrPersonalMembers) {
  std::vector<std::string> values;
  for (int i = 0; i < 40; ++i) values.push_back(i % 2 ? R"("alpha")" : R"("beta")");
  EXPECT_TRUE(of(values, "state").contains("enum"));
  for (const char* name : {"password", "api_key", "sessionId", "email", "phone", "lastName", "city", "name"})
    EXPECT_FALSE(of(values, name).contains("enum")) << name;
}

TEST(JsonSchema, FormatsOnlyIfAllSamplesFit) {
  EXPECT_EQ(of({R"("2024-01-01")", R"("2024-01-02")", R"("2024-02-29")"})["format"], "date");
  EXPECT_FALSE(of({R"("2024-01-01")", R"("2024-01-02")", R"("soon")"}).contains("format"));
  EXPECT_EQ(of({R"("a@b.cd")", R"("b@b.cd")", R"("c@b.cd")"})["format"], "email");
  EXPECT_EQ(
      of({R"("2024-01-01T00:00:00Z")", R"("2024-01-01T00:00:00.5+01:00")", R"("2024-01-01T00:00:00Z")"})["format"],
      "date-time");
  EXPECT_FALSE(of({R"("2024-01-01")"}).contains("format"));
}

TEST(JsonSchema, IntegersAreToldBySpellingAndWideOnesAreInt64) {
  EXPECT_EQ(of({"1", "2"}), json(R"({"type":"integer"})"));
  EXPECT_EQ(of({"1", "3000000000"}), json(R"({"type":"integer","format":"int64"})"));
  EXPECT_EQ(of({"1", "2.0"}), json(R"({"type":"number"})"));
}

TEST(JsonSchema, NullIsOneOfSeveralTypes) {
  EXPECT_EQ(of({R"("a b")", "null"}), json(R"({"type":["string","null"]})"));
  EXPECT_EQ(of({"null", "null"}), Json::object());
  EXPECT_EQ(of({"1", R"("a b")", "null"})["type"], json(R"(["integer","string","null"])"));
}

TEST(JsonSchema, EmptyArraysSayNothingOfTheirItems) {
  EXPECT_EQ(of({"[]"}), json(R"({"type":"array","items":{}})"));
  EXPECT_EQ(of({"[]", "[1]"}), json(R"({"type":"array","items":{"type":"integer"}})"));
}

TEST(JsonSchema, TextIsTypedByItsSpelling) {
  const auto text = [](std::vector<std::string> values) {
    std::size_t nodes = 0;
    JsonSchema schema("", nodes);
    for (const std::string& value : values) schema.add_text(value);
    return schema.schema()["type"];
  };
  EXPECT_EQ(text({"1", "22"}), "integer");
  EXPECT_EQ(text({"1", "2.5"}), "number");
  EXPECT_EQ(text({"true", "false"}), "boolean");
  EXPECT_EQ(text({"007"}), "string");
  EXPECT_EQ(text({"1e5"}), "string");
}

TEST(JsonSchema, ExamplesHoldNoSecretsAndFitTheirSchema) {
  SeededEntropy entropy(1);
  const Redactor redactor(entropy);
  std::size_t nodes = 0;
  JsonSchema schema("", nodes);
  const Json sample = json(
      R"({"password":"hunter2","email":"ann@example.org","state":"open","pin":1,"avatar":"https://x.org/a?access_token=zzz9","list":[1,2,3,4],"phone":123456})");
  for (int i = 0; i < 20; ++i) schema.add(sample);
  const Json example = schema.example(sample, &redactor);
  const std::string text = dump_json(example);
  for (const char* secret : {"hunter2", "ann@", "zzz9", "123456"})
    EXPECT_EQ(text.find(secret), std::string::npos) << text;
  EXPECT_EQ(example["email"], "user@example.com");
  EXPECT_EQ(example["state"], "open");
  EXPECT_EQ(example["list"], json("[1,2]"));
  EXPECT_EQ(example["phone"], 0);
  EXPECT_EQ(schema.example(sample, nullptr)["password"], "hunter2");
}

TEST(JsonSchema, HostileSamplesAreBounded) {
  std::size_t nodes = 0;
  JsonSchema schema("", nodes);
  for (int i = 0; i < 300; ++i) {
    Json wide = Json::object();
    for (int j = 0; j < 300; ++j) wide[fmt::format("m{}_{}", i, j)] = {{"a", {{"b", j}}}};
    schema.add(wide);
  }
  schema.add(json(std::string(60, '[') + std::string(60, ']')));
  EXPECT_LE(nodes, kMostSchemaNodes + 10);
  EXPECT_LT(dump_json(schema.schema()).size(), 200'000u);
}

}  // namespace
}  // namespace sluice::analysis

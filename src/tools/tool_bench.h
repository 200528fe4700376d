// Calls tools over a real ring and real rules, and holds every answer against the tool's definition; the engine is a
// fake. For tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/redact.h"
#include "capture/capture_test_support.h"
#include "tools/fake_engine.h"
#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

struct Bench {
  capture::RingFixture capture;
  FakeEngine engine;
  rules::RuleStore rules{capture.clock};
  std::shared_ptr<const tls::CertificateAuthority> authority =
      *tls::CertificateAuthority::create(capture.clock, capture.entropy);
  Adoptions adoptions;
  std::optional<Services> services;
  std::vector<Tool> tools = all_tools();
  Redactor redactor{capture.entropy};
  CallContext context;

  explicit Bench(StartMode mode = StartMode::kOpen) {
    EXPECT_TRUE(capture.open());
    services.emplace(Services{capture.clock,
                              engine,
                              *capture.ring,
                              rules,
                              authority,
                              "/home/ca/ca-cert.pem",
                              mode,
                              {"127.0.0.1", 0},
                              {},
                              std::chrono::milliseconds(0),
                              "/home/sessions",
                              &adoptions});
    context.services = &*services;
  }

  ToolResult call(std::string_view name, const Json& arguments = Json::object()) {
    for (const Tool& tool : tools) {
      if (tool.name != name) continue;
      auto parsed = parse_arguments(tool, arguments);
      if (!parsed) return fail(parsed.error());
      auto result = tool.function(*parsed, context);
      if (result) check(tool, *result);
      return result;
    }
    return fail(Code::kInternal, "no tool of this name");
  }
  Json ok(std::string_view name, const Json& arguments = Json::object()) {
    auto result = call(name, arguments);
    EXPECT_TRUE(result) << name << ": " << (result ? "" : result.error().message);
    return result ? *result : Json::object();
  }
  std::string error(std::string_view name, const Json& arguments = Json::object()) {
    auto result = call(name, arguments);
    return result ? "succeeded: " + dump_json(*result) : result.error().message;
  }
  Json rows(const Json& arguments = Json::object()) { return ok("proxy_list_traffic", arguments)["exchanges"]; }
  std::string last_id() { return rows().back()["id"]; }

  // Every answer is what its definition says, in its order.
  static void check(const Tool& tool, const Json& result) { check(tool.result, result, std::string(tool.name)); }
  static void check(const std::vector<ResultField>& fields, const Json& value, const std::string& where) {
    std::size_t at = 0;
    for (const ResultField& field : fields) {
      const std::string path = where + "." + std::string(field.name);
      if (!value.contains(field.name)) {
        EXPECT_TRUE(field.optional) << path << " is missing";
        continue;
      }
      const Json& member = value[std::string(field.name)];
      const auto found = value.find(std::string(field.name));
      const auto index = static_cast<std::size_t>(std::distance(value.begin(), found));
      EXPECT_GE(index, at) << path << " is out of order";
      at = index;
      if (member.is_null()) {
        EXPECT_TRUE(field.nullable) << path << " is null";
      } else if (field.type == "object") {
        ASSERT_TRUE(member.is_object()) << path;
        if (!field.fields.empty()) check(field.fields, member, path);
      } else if (field.type.ends_with("[]") || field.type == "array") {
        ASSERT_TRUE(member.is_array()) << path;
        if (field.type == "object[]") {
          for (const Json& item : member) check(field.fields, item, path + "[]");
        }
      } else if (field.type != "any") {
        EXPECT_EQ(field.type, member.type_name()) << path;
      }
    }
    if (fields.empty()) return;
    for (const auto& [name, member] : value.items()) {
      const auto known = [&n = name](const ResultField& field) { return field.name == n; };
      EXPECT_TRUE(std::any_of(fields.begin(), fields.end(), known)) << where << "." << name << " is not declared";
    }
  }
};

}  // namespace sluice::tools

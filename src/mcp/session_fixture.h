// What the tests of this folder share: a profile, a session, and messages by hand. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "mcp/mcp.h"

namespace sluice::mcp::testing {

inline Json parsed(std::string_view text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  return json ? *std::move(json) : Json();
}

inline ServerProfile make_profile() {
  ServerProfile profile;
  profile.server_info = parsed(R"({"name":"sluice","title":"Sluice","version":"1","icons":[{"src":"data:,"}]})");
  profile.instructions = "Look at traffic.";
  profile.grant = "default";
  profile.cursor_key.octets = {1, 2};
  return profile;
}

inline std::string legacy(std::string_view id, std::string_view method, std::string_view params = "{}") {
  return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":")" + std::string(method) + R"(","params":)" +
         std::string(params) + "}";
}

inline constexpr std::string_view kModernMeta =
    R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}})";

// `members` without braces: R"("name":"x")".
inline std::string modern(std::string_view id, std::string_view method, std::string_view members = "") {
  std::string params = "{" + std::string(members) + (members.empty() ? "" : ",") + std::string(kModernMeta) + "}";
  return legacy(id, method, params);
}

inline constexpr std::string_view kInitialized = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";

inline std::string initialize(std::string_view version) {
  return legacy("0", "initialize",
                R"({"protocolVersion":")" + std::string(version) +
                    R"(","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}})");
}

class SessionTest : public ::testing::Test {
 protected:
  ServerProfile profile_ = make_profile();
  ServerSession session_{profile_, Scope::kStdio};

  void initialize_with(std::string_view version) {
    ASSERT_TRUE(session_.feed(initialize(version)).answer);
    session_.feed(kInitialized);
  }
  // The answer of a message that must be answered at once.
  Json answer(std::string_view message) {
    Step step = session_.feed(message);
    EXPECT_TRUE(step.answer) << message;
    EXPECT_FALSE(step.operation) << message;
    return step.answer ? parsed(step.answer->text) : Json();
  }
  int error_code(std::string_view message) {
    const Json json = answer(message);
    return json.contains("error") ? json["error"]["code"].get<int>() : 0;
  }
  Operation operation(std::string_view message) {
    Step step = session_.feed(message);
    EXPECT_TRUE(step.operation) << message << " -> " << (step.answer ? step.answer->text : "nothing");
    return step.operation ? *std::move(step.operation) : Operation{};
  }
  Json completed(OperationKey key, Result<Json> outcome) {
    auto answer = session_.complete(key, std::move(outcome));
    EXPECT_TRUE(answer);
    return answer ? parsed(answer->text) : Json();
  }
};

}  // namespace sluice::mcp::testing

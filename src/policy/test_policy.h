// Short ways to a policy for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "policy/engine.h"

namespace sluice::policy {

inline std::shared_ptr<const Engine> make_engine(std::string_view text) {
  Parsed parsed = parse_policy(text);
  for (const Problem& problem : parsed.errors) ADD_FAILURE() << to_string(problem, "policy") << "\n" << text;
  if (!parsed.document) return nullptr;
  return *Engine::compile(*std::move(parsed.document));
}

// Arguments as a caller spells them, numbers exactly.
struct Spelled {
  explicit Spelled(std::string_view text)
      : node(*parse_source(text)), json(to_json(node)), spellings(spellings_of(node, json)) {}
  Node node;
  Json json;
  Spellings spellings;
};

inline Decision decide(const Engine& engine, std::string_view tool, std::string_view arguments = "{}",
                       std::optional<RiskClass> risk = RiskClass::kWrite) {
  const Spelled spelled(arguments);
  const NameAnswer name = engine.judge_name(tool, risk);
  if (name != NameAnswer::kListed) return engine.judged_name(tool, name);
  return engine.decide({.tool = tool, .risk = risk, .arguments = spelled.json, .spellings = &spelled.spellings});
}

// {"version","default":"deny","tools":{"t":ENTRY}}
inline std::string policy_of(std::string_view entry) {
  return R"({"version":"1","default":"deny","tools":{"t":)" + std::string(entry) + "}}";
}

}  // namespace sluice::policy

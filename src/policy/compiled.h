// What Engine keeps of a document. Private to this folder.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "policy/condition.h"
#include "policy/engine.h"

namespace sluice::policy {

struct IdentifiedCondition {
  CompiledCondition condition;
  std::string rule;  // its id
};

struct Engine::CompiledRule {
  std::vector<IdentifiedCondition> all;
  std::vector<std::vector<IdentifiedCondition>> any;
  std::string rule;  // if it has no condition
  std::optional<std::string> on_deny;
};

struct Engine::CompiledLimit {
  Limit limit;
  std::string entry, rule;
  std::optional<ArgumentPath> from;
};

struct Engine::CompiledEntry {
  const Entry* source = nullptr;
  std::string pointer;
  std::vector<CompiledRule> require, deny_if;
  std::vector<CompiledCondition> approval_when;
  std::string approval_text;  // where it stands, and as it was written
  std::vector<CompiledLimit> limits;
  std::shared_ptr<const CompiledResult> result;  // null: nothing happens to answers
};

struct Engine::Index {
  std::unordered_map<std::string_view, const CompiledEntry*> exact;
  std::vector<const CompiledEntry*> patterns;
  const CompiledEntry* classes[5] = {};  // by RiskClass, without kUnclassified
};

}  // namespace sluice::policy

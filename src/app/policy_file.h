// Policies as files: read only where nobody else can have written them, parsed, and compared with the tools that
// this program has.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/trusted_file.h"
#include "base/result.h"
#include "policy/engine.h"
#include "policy/explain.h"
#include "tools/tool.h"

namespace sluice::app {

// At most 1 MiB of a regular file that belongs to root or to us and that nobody else may write (gate.md 1).
// kRefused: others can write it, or it is somebody else's. `mark`: what was read.
Result<std::string> load_policy_text(const std::string& path, FileMark* mark = nullptr);

// What is wrong with a policy, one line each, or the engine that enforces it. `warnings` are added to.
struct LoadedPolicy {
  std::shared_ptr<const policy::Engine> engine;  // null: see `errors`
  std::vector<std::string> errors, warnings;
};
// Whose tools it names: of others' nothing is known, so nothing is warned of.
enum class ToolsOf { kOurs, kOthers };
// Refuses what this program cannot enforce, too (policy::unenforced).
LoadedPolicy load_policy(const std::string& path, FileMark* mark = nullptr, ToolsOf whose = ToolsOf::kOurs);
LoadedPolicy load_full_policy();

// For warnings; refers to `tools`.
std::vector<policy::KnownTool> known_tools(const std::vector<tools::Tool>& tools);

// The policy that agents have without --policy: every tool, secrets shown where asked for, everything audited. Equal
// to policies/full.json.
std::string_view full_policy_text();

}  // namespace sluice::app

// A policy in sentences, and what `check` warns of. Pure; thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace sluice::policy {

// A tool that the server has, as far as warnings need it.
struct KnownTool {
  std::string_view name;
  RiskClass risk = RiskClass::kRead;
  std::vector<std::string_view> arguments;
};

// One sentence or bullet a line.
std::vector<std::string> explain(const Document& document);
std::string explain(const Egress& egress);

// Documents that are right but may not mean what their author thinks. `tools`: those of our own server; empty: no
// warnings about names. By line.
std::vector<Problem> lint(const Document& document, std::span<const KnownTool> tools);

// The members that restrict and that cannot be enforced, each with a sentence: by this version, or for the tools of
// another server, which sends traffic of its own. A policy with one of them must not be put in force (never silently
// ignore a restriction).
enum class Tools { kOurs, kOthers };
std::vector<Problem> unenforced(const Document& document, Tools whose = Tools::kOurs);

}  // namespace sluice::policy

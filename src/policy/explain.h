// A policy in sentences, and what `check` warns of. Pure; thread-safe.
#pragma once

#include <functional>
#include <set>
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
  bool any_argument = false;                 // its schema names none, so that nothing is known of them
  std::vector<std::string_view> twins = {};  // other tools that do the same
};

// One sentence or bullet a line.
std::vector<std::string> explain(const Document& document);
std::string explain(const Egress& egress);

// Documents that are right but may not mean what their author thinks. `tools`: those of `server`; empty: no warnings
// about names. Without a name they are our own server's; then nothing is said of unknown names either where most of the
// document's are not ours and nothing like ours: it is for another server. By line.
std::vector<Problem> lint(const Document& document, std::span<const KnownTool> tools, std::string_view server = "");

// Names (no patterns, no classes) in `hide` and `tools` that are not among `names`, without repeats, at most `most`.
std::vector<std::string> unknown_names(const Document& document, const std::set<std::string, std::less<>>& names,
                                       std::size_t most);

// The members that restrict and that cannot be enforced, each with a sentence: by this version, or for the tools of
// another server, which sends traffic of its own. A policy with one of them must not be put in force (never silently
// ignore a restriction).
enum class Tools { kOurs, kOthers };
std::vector<Problem> unenforced(const Document& document, Tools whose = Tools::kOurs);

}  // namespace sluice::policy

// A YAML text as the tree that JSON texts become: one document, types by tag, nothing that means something elsewhere.
// Pure; values; thread-safe. gate.md 11.
#pragma once

#include <string>
#include <string_view>

#include "policy/source.h"

namespace sluice::policy {

// Quoted scalars and block scalars are texts; plain ones are what YAML's core schema says. Refused, each with "line 3,
// column 7: …": anchors, aliases, merge keys, tags other than the core ones, names that are no texts or that are there
// twice, a second document, numbers that are not finite or begin with a zero, control characters.
Result<Node> parse_yaml_source(std::string_view text, const SourceLimits& limits = {});

// A text as a double-quoted scalar that every reader of YAML 1.1 and 1.2 takes as it is.
std::string yaml_quoted(std::string_view text);

}  // namespace sluice::policy

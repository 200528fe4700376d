// Intercept's YAML format (policy.md 2.1) to our documents and back. Its rules say what must hold, so they become
// `require`; what one format says and the other does not is refused by name, never left out. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace sluice::policy {

// Whether a policy's text is taken as JSON: it begins with {, [ or ". Everything else is Intercept's YAML.
bool is_json_text(std::string_view text);

// From what parse_yaml_source() read.
struct Translation {
  Node document;                // as its JSON would be; lines are those of the YAML
  std::vector<Problem> errors;  // then `document` is not whole
  std::vector<Problem> notes;   // what is decided or answered in another way than Intercept does
};
Translation from_intercept(const Node& yaml);

struct Written {
  std::string yaml;              // empty where something is refused
  std::vector<Problem> refused;  // what Intercept's format cannot say
  std::vector<Problem> notes;
};
Written to_intercept(const Document& document);

// --- what both directions share; private to this folder ---

// Where Intercept finds two values equal that are not of one type ("100" and 100), and we do not: whether that can
// matter for this operator and value.
bool is_loosely_compared(Operator op, const Node& value);
// The text of a rule that has none of its own.
std::string default_denial(std::string_view rule_name);
inline constexpr std::string_view kGlobalScope = "_global";
inline constexpr std::string_view kRateCounter = "_rate_";

}  // namespace sluice::policy

// The contract's JSON shapes of rules (proxy.md (b), proxy-tools.json). Pure; thread-safe.
// Errors: kInvalid with one sentence that names the member ("matcher.headers.x-a must be a string") and, for unknown
// members, the nearest known name. null for an optional member equals absence (engine.md 8).
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "rules/rule.h"

namespace sluice::rules {

// priority, enabled, description, matcher, handler, id, hitCount, createdAt; on_match where it is "continue".
Json to_json(const Rule& rule);
Json to_json(const Matcher& matcher);
Json to_json(const Handler& handler);
std::string_view to_string(HandlerType type);
std::optional<HandlerType> handler_type_of(std::string_view name);
Json priority_json(double priority);  // an integer where it is one: 100, not 100.0

Result<Matcher> matcher_from_json(const Json& json);
Result<Handler> handler_from_json(const Json& json);

// A rule apart from what this process knows of it: description, priority, enabled, matcher, handler, and on_match,
// persist, grant where they are not the usual ones.
Json spec_json(const RuleSpec& spec);
Result<RuleSpec> spec_from_json(const Json& json);
Result<OnMatch> on_match_from_text(std::string_view text);  // "stop", "continue"

}  // namespace sluice::rules

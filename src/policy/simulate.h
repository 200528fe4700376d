// What a policy would have decided over calls of which only the names are known: an audit log holds no values (gate.md
// 8). Pure; thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "policy/engine.h"

namespace sluice::policy {

// The decision if no value of an argument can change it; its limits are still to be reserved. Nothing: it needs values.
// `arguments`: the names of the effective arguments, sorted.
std::optional<Decision> decide_by_names(const Engine& engine, std::string_view grant, std::string_view server,
                                        std::string_view tool, std::optional<RiskClass> risk,
                                        std::span<const std::string> arguments);

}  // namespace sluice::policy

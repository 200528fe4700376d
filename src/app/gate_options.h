// Flags of programs with a gate in them, and of `sluice gateway` itself. Private to config.cc. What is given outlives
// what is made of it.
#pragma once

#include <CLI/CLI.hpp>

#include "app/config.h"

namespace sluice::app {

// `text`: what is in Redis, in the help.
void add_state_options(CLI::App& app, EngineConfig& engine, const std::string& text);
void add_calls_key_option(CLI::App& app, EngineConfig& engine);
// `policy`: what --policy is, in the help.
void add_gate_options(CLI::App& app, EngineConfig& engine, const char* policy);
// Where a server is, but for its command, and how it is reached.
void add_upstream_options(CLI::App& app, Config& config);
void add_policy_options(CLI::App& policy, Config& config);
// Without those of its subcommands.
void add_gateway_options(CLI::App& gateway, Config& config);

}  // namespace sluice::app

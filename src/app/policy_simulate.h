// `sluice policy simulate`, `learn`, `scan` and `test`.
#pragma once

#include "app/config.h"
#include "policy/engine.h"

namespace sluice::app {

// What the policy would have decided over past calls (call_log.h): differences grouped, what cannot be decided named.
// 0: all could be decided, 1: not.
int simulate_policy(const Config& config, const policy::Engine& engine);
// The least policy that lets those pass that were allowed, on standard output; why, on standard error.
int learn_policy(const Config& config);
// A policy to begin with, on standard output: each of our tools by its class; or each tool of the server that is named,
// by what its annotations say.
int scan_policy(const Config& config);
// What becomes of one call, in fresh counters.
int test_policy(const Config& config, policy::Document document);

}  // namespace sluice::app

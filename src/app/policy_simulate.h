// `sluice policy simulate` and `sluice policy scan`.
#pragma once

#include "app/config.h"
#include "policy/engine.h"

namespace sluice::app {

// What the policy would have decided over the calls of an audit log: differences grouped, what needs values named. 0:
// all could be decided, 1: not.
int simulate_policy(const Config& config, const policy::Engine& engine);
// A policy to begin with, on standard output: each of our tools by its class.
int scan_policy(const Config& config);

}  // namespace sluice::app

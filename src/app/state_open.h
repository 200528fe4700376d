// Where limits are counted: state.db of the home, or with --state Redis (gate.md 4).
#pragma once

#include <memory>

#include "app/config.h"
#include "app/home.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "policy/state_store.h"

namespace sluice::app {

std::unique_ptr<policy::StateStore> make_state_store(const EngineConfig& config, const Home& home, const Clock& clock,
                                                     Entropy& entropy);
// kInvalid, kRefused: it can never be used as it is said. What cannot be reached now is told, and calls that need it
// are denied until it can.
Status check_state_store(const EngineConfig& config, policy::StateStore& store);

}  // namespace sluice::app

// Where the gate's state is kept, what is counted and who may act: state.db of the home, or with --state Redis (gate.md
// 4, 5).
#pragma once

#include <memory>

#include "app/config.h"
#include "app/home.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "gateway/gate_rows.h"
#include "gateway/redis_link.h"
#include "gateway/remote_state.h"
#include "policy/state_store.h"

namespace sluice::app {

// kInvalid, kRefused: --state and its password cannot be used as they are said.
Status check_state_options(const EngineConfig& config);
// Behind check_state_options(). Null: state.db. One for whatever shares a process and a Redis.
std::shared_ptr<gateway::RedisLink> make_state_link(const EngineConfig& config, const Clock& clock, Entropy& entropy);
std::unique_ptr<policy::StateStore> make_counters(std::shared_ptr<gateway::RedisLink> link, const Home& home);
std::unique_ptr<gateway::GateRows> make_gate_state(std::shared_ptr<gateway::RedisLink> link, const Home& home);
// What a program that serves others asks it through, so that none of them waits for it. Null: state.db.
std::shared_ptr<gateway::RemoteState> make_remote_state(boost::asio::any_io_executor control,
                                                        const EngineConfig& config, const Home& home,
                                                        const Clock& clock, Entropy& entropy);

// Before a program starts. kRefused: the Redis can never be used as it is. What cannot be reached or trusted now is
// told, and calls that need it are denied until it can; so is what state.db has and a Redis that is new to this home
// has not.
Status check_state(gateway::RemoteState* remote, const Home& home);
// kRefused: gateways of this home keep their state elsewhere, so state.db does not say who may do this.
Status check_no_other_state(const Home& home);
// For whoever works on state.db though gateways of this home keep theirs elsewhere.
void warn_of_other_states(const Home& home);

}  // namespace sluice::app

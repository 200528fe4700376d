// A gate's state in Redis as a running program has it: what is asked there is asked on the lane's thread, what may be
// known without asking stands in the mirror. `rows` and all that is made over `link` are the lane's alone once it is
// used; before, at the start, the calling thread's. One for whatever shares a process and a Redis.
#pragma once

#include <memory>
#include <string>

#include "gateway/gate_mirror.h"
#include "gateway/redis_link.h"
#include "gateway/redis_state.h"
#include "gateway/state_lane.h"

namespace sluice::gateway {

struct RemoteState {
  // `memory_path`: state.db of the home.
  RemoteState(boost::asio::any_io_executor control, const Clock& clock, std::shared_ptr<RedisLink> given,
              const std::string& memory_path, StateLane::Options options = {})
      : link(std::move(given)),
        rows(link, memory_path),
        lane(control, lane_store(*link), options),
        mirror(control, clock, lane, rows) {}

  const std::shared_ptr<RedisLink> link;
  RedisState rows;
  StateLane lane;
  GateMirror mirror;

 private:
  static StateLane::Store lane_store(RedisLink& link) {
    return {[&link]() -> std::optional<StateLane::Store::Rest> {
              auto rest = link.resting();
              if (!rest) return std::nullopt;
              return StateLane::Store::Rest{std::move(rest->why), rest->left};
            },
            [&link] { (void)link.check(); }};
  }
};

}  // namespace sluice::gateway

// What the control thread knows of a gate's state that lies elsewhere (gate_rows.h): who may act, and how often what
// people decide has changed. It is read on the lane's thread four times a second, and whenever somebody cannot do with
// what is known; nobody but who asks so waits for it. What is older than a second is not used: it reads as an error.
//
// Control thread only, but for what it has the lane do: `rows` are the lane's alone once start() was called.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gateway/redis_state.h"
#include "gateway/state_lane.h"

namespace sluice::gateway {

class GateMirror {
 public:
  static constexpr std::chrono::milliseconds kEach{250};
  static constexpr std::chrono::seconds kMostAge{1};  // gate.md 2: what ends has ended within a second

  GateMirror(boost::asio::any_io_executor control, const Clock& clock, StateLane& lane, RedisState& rows);
  ~GateMirror();

  // Reads here and now, on the calling thread: before anything else uses the lane.
  void prime();
  // Four times a second from now on.
  void start();

  // Each as of the last look; why it cannot be said.
  Result<std::int64_t> revision(GateRows::Part part) const;
  Result<const std::vector<Grant>*> grants() const;
  Result<std::string> admin_hash() const;
  Result<std::size_t> count_waiting(std::int64_t now_ms) const;

  // `then` is called once what is known is not older than this call, or cannot be had; not if the mirror goes. From
  // within where it could not be had a moment ago: nobody waits for a store that is down, it is tried again anyway.
  void look(std::function<void()> then);
  // The same for whoever can do with what was looked at a moment ago; then at once. How long a moment is depends on how
  // long a look takes: 5 to 250 ms.
  void look_soon(std::function<void()> then);
  Duration pause() const { return pause_; }  // that moment

 private:
  struct Known {
    RedisState::Overview overview{-1, -1, -1, ""};
    std::vector<Grant> grants;
    std::vector<std::int64_t> waiting_until_ms;  // of approvals that wait
  };
  // On the lane's thread: what has changed since `before`.
  static Result<Known> read(RedisState& rows, Known before, std::int64_t now_ms);
  void begin();
  void take(Result<Known> read, MonoTime began);
  void wait();
  Status usable() const;

  const Clock& clock_;
  StateLane& lane_;
  RedisState& rows_;
  boost::asio::steady_timer timer_;
  Known known_;
  Status readable_;
  MonoTime began_{};  // when the look began that is known
  // When the timer came last; and when it came late, since this thread stood still, which says nothing of the store.
  std::optional<MonoTime> ticked_;
  MonoTime woke_{};
  Duration pause_{};
  bool looking_ = false;
  std::vector<std::function<void()>> waiting_, later_;  // for the look under way; for the one behind it
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::gateway

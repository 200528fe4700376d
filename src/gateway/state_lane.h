// The way to a store that is asked over a network: pieces of work on a thread of its own, one at a time and in order,
// so that a store which is slow, hung or far away keeps nobody waiting but those who need it. gate.md 4.
//
// Threads: the control thread submits, forgets, and hears what was done; the lane's own thread does the work and undoes
// it. A piece's `work` and `undo` touch nothing of the control thread's; what they leave for `done` passes with the
// lane's mutex. What they hold may be destroyed on either; `done` and what it holds on the control thread alone.
//
// Each call ends: with `done` once, later and never from within submit(), unless it is forgotten. A piece that has not
// been done in time is told so, and what it does afterwards is undone. While the store is known to be down, and beyond
// kMostWaiting, a call is refused without being queued; the lane looks by itself whether the store is back.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::gateway {

class StateLane {
 public:
  static constexpr std::size_t kMostWaiting = 1'024;  // calls: some tenths of a second of a Redis nearby

  // What the lane's thread knows of the store; called there alone.
  struct Store {
    // Why it is left alone for now, and for how long; behind each piece.
    struct Rest {
      Error why;
      Duration left{};
    };
    std::function<std::optional<Rest>()> rest;
    std::function<void()> probe;  // looks whether it can be used again, once that is over
  };
  struct Options {
    std::chrono::milliseconds patience{2'000};  // from submit() to the end of the work
    std::size_t most_waiting = kMostWaiting;
  };
  StateLane(boost::asio::any_io_executor control, Store store, Options options);
  ~StateLane();
  // Waits for the work under way; nothing is done afterwards. What nobody heard of is undone and what is to be given
  // back is given back, as long as the store answers; what was not begun never happens.
  void close();
  StateLane(const StateLane&) = delete;
  StateLane& operator=(const StateLane&) = delete;

  struct Piece {
    std::function<void()> work;
    // What became of it: done, or why not: kUnavailable. Empty: nobody waits.
    std::function<void(Status)> done;
    std::function<void()> undo;  // behind `work`, if nobody will hear that it was done; may be empty
  };
  class Ticket;
  using TicketPtr = std::shared_ptr<Ticket>;
  enum class Kind {
    kCall,
    kLook,   // before all calls that wait, and also while the store is down
    kAfter,  // what a call leaves to be done: never refused, as there are only so many calls
  };
  TicketPtr submit(Kind kind, Piece piece);
  // Nobody waits for it any more: `done` is not called, and what was done is undone.
  void forget(const TicketPtr& ticket);

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace sluice::gateway

// Deadlines without a timer for each wait: a worker's connections stand in one intrusive list that a tick walks.
// Setting a deadline is a store; granularity is the tick (100 ms). Belongs to one worker thread.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace sluice::net {

inline constexpr std::chrono::milliseconds kDeadlineTick{100};

class Deadlines {
 public:
  class Node {
   public:
    explicit Node(Deadlines& list);
    virtual ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    void set_deadline(MonoTime at) { at_ = at; }
    void clear_deadline() { at_ = MonoTime::max(); }

   protected:
    virtual void on_deadline() = 0;  // may end waits; must not destroy nodes before it returns

   private:
    friend class Deadlines;
    Deadlines* list_;
    Node* next_ = nullptr;
    Node* previous_ = nullptr;
    MonoTime at_ = MonoTime::max();
  };

  // Calls on_deadline() of every node whose time has come; each deadline fires once.
  void tick(MonoTime now);
  // The time of the last tick: for what needs no better time, without a look at the clock. Where the loop stood still
  // it is older than a tick by as much.
  MonoTime last_tick() const { return last_tick_; }
  // A deadline so far from now: up to a tick late, and early only by what the loop stood still before.
  MonoTime in(Duration duration) const { return last_tick_ + kDeadlineTick + duration; }

 private:
  Node* head_ = nullptr;
  MonoTime last_tick_{};
};

}  // namespace sluice::net

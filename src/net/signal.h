// One coroutine tells another, on the same worker thread, that there is something to do: a flag that can be waited
// for, with a deadline. At most one coroutine waits. The waiter is resumed from the loop, never inside notify().
#pragma once

#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "net/deadlines.h"
#include "net/stream.h"

namespace sluice::net {

// The least of it: whoever sleeps is woken, and finds out what for.
class Sleeper {
 public:
  Task<void> sleep();  // one at a time
  void wake();         // nothing, where nobody sleeps

 private:
  using Handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;
  std::optional<Handler> waiter_;
};

class Signal final : private Deadlines::Node {
 public:
  explicit Signal(Deadlines& deadlines) : Deadlines::Node(deadlines) {}

  // Wakes the waiter; kept for the next wait() if nobody waits.
  void notify();
  // Until notify(), which it takes back. Fails with kTimeout at the deadline, or with the code given to cancel().
  Task<Status> wait();
  // Until notify(), whatever becomes of deadlines and however often it is cancelled: for what ends by itself.
  Task<void> wait_told();
  // The wait under way and all later ones end so, until notify() or a new deadline.
  void cancel(Code why);
  // Waits that pass this moment fail with kTimeout. Stays until changed.
  void set_deadline(MonoTime at) {
    failed_.reset();
    Deadlines::Node::set_deadline(at);
  }
  void clear_deadline() { set_deadline(MonoTime::max()); }

 private:
  void on_deadline() override { cancel(Code::kTimeout); }

  Sleeper sleeper_;
  std::optional<Code> failed_;
  bool set_ = false;
};

}  // namespace sluice::net

// What is held just now, of all workers: the list that somebody decides from, and the waits of the exchanges. A hold
// ends when it is decided, when its time is over (it goes on), when the client leaves, or when Sluice stops; whatever
// comes first takes it off the list, once. At most kMostHolds at a time: what is beyond goes on (anomaly hold_limit).
// engine.md 6. Holds: any thread. HoldPoint: one worker thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "net/signal.h"
#include "proxy/exchange.h"
#include "proxy/hold.h"

namespace sluice::proxy {

inline constexpr std::size_t kMostHolds = 100;

struct Held {
  ExchangeSeq seq;
  MonoTime since, until;
  HeldMessage message;
};

class Holds {
 public:
  std::vector<Held> list() const;  // longest held first
  // kNotFound: not held (any more). kInvalid, kTooLarge: the edits cannot be made; it stays held.
  Status resume(ExchangeSeq seq, HoldAction action, HoldEdits edits);

 private:
  friend class HoldPoint;
  struct Entry {
    Held held;
    net::asio::any_io_executor executor;
    net::Signal* signal = nullptr;  // of the wait; touched on its worker's thread only
    std::optional<Resumption> decision;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  bool enter(const EntryPtr& entry);  // false: there are too many
  // Off the list; the decision if there is one.
  std::optional<Resumption> leave(const EntryPtr& entry);

  mutable std::mutex mutex_;
  std::unordered_map<ExchangeSeq, EntryPtr> entries_;  // undecided ones
};

// Where the exchanges of one client connection wait.
class HoldPoint {
 public:
  HoldPoint(Holds& holds, const Clock& clock, net::Deadlines& deadlines)
      : holds_(holds), clock_(clock), deadlines_(deadlines) {}

  // `has_left` is asked now and then whether the client is still there. nullopt: it is not, or end() was called; the
  // exchange has failed.
  net::Task<std::optional<Exchange::Next>> hold_request(Exchange& exchange, std::function<bool()> has_left);
  net::Task<std::optional<Exchange::AfterHold>> hold_response(Exchange& exchange, std::function<bool()> has_left);
  // All waits end.
  void end();

 private:
  // nullopt: see above. Time that is over is a decision to go on.
  net::Task<std::optional<Resumption>> wait(Exchange& exchange, HeldMessage message, std::function<bool()> has_left);

  Holds& holds_;
  const Clock& clock_;
  net::Deadlines& deadlines_;
  std::unordered_set<net::Signal*> waits_;
  bool ended_ = false;
};

}  // namespace sluice::proxy

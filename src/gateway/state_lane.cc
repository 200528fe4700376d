#include "gateway/state_lane.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::gateway {
namespace {

using Steady = std::chrono::steady_clock;

Error too_late() { return {Code::kUnavailable, "Redis cannot be used: it answers too slowly"}; }

}  // namespace

class StateLane::Ticket {
 private:
  friend class StateLane;
  friend struct StateLane::State;
  enum class Phase { kWaits, kWorks, kDone, kOver };

  Kind kind = Kind::kCall;
  std::function<void()> work, undo;  // whose phase it is
  std::function<void(Status)> done;  // control thread
  Steady::time_point deadline;
  // With the mutex held:
  Phase phase = Phase::kWaits;
  bool forgotten = false;
  std::optional<Error> refused;
};

struct StateLane::State : std::enable_shared_from_this<StateLane::State> {
  State(boost::asio::any_io_executor executor, Store given, Options bounds)
      : control(std::move(executor)), store(std::move(given)), options(bounds), timer(control) {}

  // --- control thread ---
  TicketPtr submit(Kind kind, Piece piece);
  void forget(const TicketPtr& ticket);
  void close();
  void drain();
  void watch();
  void note_late(const TicketPtr& ticket);
  // --- the lane's thread ---
  void run();
  void work(std::unique_lock<std::mutex>& lock, const TicketPtr& ticket);
  void look_at_store(std::unique_lock<std::mutex>& lock);
  // --- with the mutex held ---
  std::optional<Error> refusal(Kind kind) const;
  void finish(const TicketPtr& ticket);
  static bool undo_later(const TicketPtr& ticket, std::deque<TicketPtr>& to);

  const boost::asio::any_io_executor control;
  const Store store;
  const Options options;

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<TicketPtr> looks, queue;
  std::size_t calls = 0;           // of those in `queue`
  std::deque<TicketPtr> finished;  // to be heard of
  bool is_posted = false, closing = false;
  std::optional<Steady::time_point> working_since;
  bool is_stuck = false;  // whoever waited for what is under way was told that it is late
  std::optional<Error> down;
  Steady::time_point down_until;

  // Control thread:
  std::deque<TicketPtr> timed;  // those that wait for an answer, the next one whose time ends first
  boost::asio::steady_timer timer;
  bool is_watching = false, closed = false;

  std::thread thread;
};

StateLane::StateLane(boost::asio::any_io_executor control, Store store, Options options)
    : state_(std::make_shared<State>(std::move(control), std::move(store), options)) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

StateLane::~StateLane() { close(); }

void StateLane::close() { state_->close(); }

StateLane::TicketPtr StateLane::submit(Kind kind, Piece piece) { return state_->submit(kind, std::move(piece)); }

void StateLane::forget(const TicketPtr& ticket) { state_->forget(ticket); }

std::optional<Error> StateLane::State::refusal(Kind kind) const {
  if (kind == Kind::kAfter) return std::nullopt;
  if (closing) return Error{Code::kUnavailable, "Sluice ends"};
  if (kind == Kind::kLook) return std::nullopt;
  if (down) return *down;
  const bool hangs = is_stuck || (working_since && Steady::now() - *working_since >= options.patience);
  if (hangs) return too_late();
  if (calls < options.most_waiting) return std::nullopt;
  return Error{Code::kUnavailable, "too many calls wait for Redis already; try again"};
}

void StateLane::State::finish(const TicketPtr& ticket) {
  ticket->phase = Ticket::Phase::kDone;
  finished.push_back(ticket);
  if (std::exchange(is_posted, true)) return;
  boost::asio::post(control, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  });
}

StateLane::TicketPtr StateLane::State::submit(Kind kind, Piece piece) {
  auto ticket = std::make_shared<Ticket>();
  ticket->kind = kind;
  ticket->work = std::move(piece.work);
  ticket->undo = std::move(piece.undo);
  ticket->done = std::move(piece.done);
  ticket->deadline = Steady::now() + options.patience;
  const bool awaited = ticket->done != nullptr;
  {
    const std::lock_guard lock(mutex);
    ticket->refused = refusal(kind);
    if (ticket->refused) {
      finish(ticket);
      return ticket;
    }
    (kind == Kind::kLook ? looks : queue).push_back(ticket);
    calls += kind == Kind::kCall ? 1 : 0;
  }
  wake.notify_one();
  if (awaited) {
    timed.push_back(ticket);
    watch();
  }
  return ticket;
}

void StateLane::State::forget(const TicketPtr& ticket) {
  const std::function<void(Status)> dropped = std::exchange(ticket->done, nullptr);
  const std::lock_guard lock(mutex);
  if (ticket->forgotten || ticket->phase == Ticket::Phase::kOver) return;
  ticket->forgotten = true;  // where it is done and nobody has heard of it, drain() has it undone
}

// Tells whoever waits what was done: one at a time, since who hears of it may forget the next.
void StateLane::State::drain() {
  std::unique_lock lock(mutex);
  is_posted = false;
  bool to_undo = false;
  for (std::size_t count = finished.size(); count > 0 && !finished.empty(); --count) {
    const TicketPtr ticket = std::move(finished.front());
    finished.pop_front();
    ticket->phase = Ticket::Phase::kOver;
    if (ticket->forgotten) {
      to_undo |= undo_later(ticket, queue);
      continue;
    }
    lock.unlock();
    const auto done = std::exchange(ticket->done, nullptr);
    if (done) done(ticket->refused ? Status(fail(*ticket->refused)) : Status());
    lock.lock();
  }
  lock.unlock();
  if (to_undo) wake.notify_one();
}

bool StateLane::State::undo_later(const TicketPtr& ticket, std::deque<TicketPtr>& to) {
  if (ticket->refused || !ticket->undo) return false;
  ticket->work = std::exchange(ticket->undo, nullptr);
  ticket->phase = Ticket::Phase::kWaits;
  ticket->forgotten = false;
  ticket->kind = Kind::kAfter;
  to.push_back(ticket);
  return true;
}

// One timer for all: those whose time ends first are asked first, since all have the same.
void StateLane::State::watch() {
  while (!timed.empty() && !timed.front()->done) timed.pop_front();
  if (is_watching || timed.empty() || closed) return;
  is_watching = true;
  timer.expires_at(timed.front()->deadline);
  timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->closed) return;
    self->is_watching = false;
    const auto now = Steady::now();
    while (!self->timed.empty() && (!self->timed.front()->done || self->timed.front()->deadline <= now)) {
      const TicketPtr ticket = std::move(self->timed.front());
      self->timed.pop_front();
      const auto done = std::exchange(ticket->done, nullptr);
      self->forget(ticket);
      if (done) self->note_late(ticket);
      if (done) done(fail(too_late()));
      if (self->closed) return;
    }
    self->watch();
  });
}

void StateLane::State::note_late(const TicketPtr& ticket) {
  const std::lock_guard lock(mutex);
  is_stuck = is_stuck || ticket->phase == Ticket::Phase::kWorks;
}

void StateLane::State::run() {
  ::pthread_setname_np(::pthread_self(), "state");
  std::unique_lock lock(mutex);
  while (true) {
    const auto is_due = [this] { return closing || !looks.empty() || !queue.empty(); };
    if (down) {
      wake.wait_until(lock, down_until, is_due);
    } else {
      wake.wait(lock, is_due);
    }
    if (closing && (down || queue.empty())) return;
    std::deque<TicketPtr>& next = looks.empty() || closing ? queue : looks;
    if (next.empty()) {
      if (down && Steady::now() >= down_until) look_at_store(lock);
      continue;
    }
    const TicketPtr ticket = std::move(next.front());
    next.pop_front();
    calls -= ticket->kind == Kind::kCall ? 1 : 0;
    work(lock, ticket);
  }
}

void StateLane::State::work(std::unique_lock<std::mutex>& lock, const TicketPtr& ticket) {
  // What waited behind others until the store was found down need not ask it as well.
  if (down && ticket->kind == Kind::kCall && !ticket->forgotten) {
    ticket->refused = down;
    return finish(ticket);
  }
  if (ticket->forgotten) {
    ticket->phase = Ticket::Phase::kOver;
    return;
  }
  ticket->phase = Ticket::Phase::kWorks;
  working_since = Steady::now();
  lock.unlock();
  ticket->work();
  const auto rest = store.rest();
  lock.lock();
  working_since.reset();
  is_stuck = false;
  down = rest ? std::optional(rest->why) : std::nullopt;
  if (rest) down_until = Steady::now() + rest->left;
  if (!ticket->forgotten) {
    // Where nobody waits the control thread need not wake.
    if (ticket->kind != Kind::kAfter) return finish(ticket);
  } else if (ticket->undo) {
    lock.unlock();
    ticket->undo();
    lock.lock();
  }
  ticket->phase = Ticket::Phase::kOver;
}

void StateLane::State::look_at_store(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  store.probe();
  const auto rest = store.rest();
  lock.lock();
  down = rest ? std::optional(rest->why) : std::nullopt;
  if (rest) down_until = Steady::now() + rest->left;
}

void StateLane::State::close() {
  if (std::exchange(closed, true)) return;
  timer.cancel();
  std::vector<std::function<void(Status)>> unheard;  // what they hold goes on this thread, and without the lock
  {
    const std::lock_guard lock(mutex);
    closing = true;
    std::deque<TicketPtr> left;
    for (const TicketPtr& ticket : timed) unheard.push_back(std::exchange(ticket->done, nullptr));
    for (const TicketPtr& ticket : finished) {
      unheard.push_back(std::exchange(ticket->done, nullptr));
      undo_later(ticket, left);
    }
    for (const TicketPtr& ticket : queue) {
      if (ticket->kind == Kind::kAfter) left.push_back(ticket);
    }
    queue = std::move(left);
    finished.clear();
    looks.clear();
    calls = 0;
    for (const TicketPtr& ticket : timed) ticket->forgotten = ticket->forgotten || ticket->kind != Kind::kAfter;
  }
  wake.notify_one();
  thread.join();
  timed.clear();
}

}  // namespace sluice::gateway

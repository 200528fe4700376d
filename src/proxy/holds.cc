#include "proxy/holds.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "proxy/no_record.h"

namespace sluice::proxy {
namespace {

constexpr std::chrono::seconds kLook{1};  // how often to look whether the client is still there

}  // namespace

std::vector<Held> Holds::list() const {
  std::vector<Held> list;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [seq, entry] : entries_) list.push_back(entry->held);
  }
  std::sort(list.begin(), list.end(), [](const Held& a, const Held& b) { return a.since < b.since; });
  return list;
}

Status Holds::resume(ExchangeSeq seq, HoldAction action, HoldEdits edits) {
  EntryPtr entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(seq);
    if (found == entries_.end()) return fail(Code::kNotFound, "it is not held");
    entry = found->second;
  }
  SLUICE_TRY(Resumption decision, make_resumption(entry->held.message, action, std::move(edits)));
  {
    const std::lock_guard lock(mutex_);
    if (entries_.erase(seq) == 0) return fail(Code::kNotFound, "it is not held any more");
    entry->decision = std::move(decision);
  }
  net::asio::post(entry->executor, [entry] {
    if (entry->signal) entry->signal->notify();
  });
  return {};
}

bool Holds::enter(const EntryPtr& entry) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMostHolds) return false;
  entries_[entry->held.seq] = entry;
  return true;
}

std::optional<Resumption> Holds::leave(const EntryPtr& entry) {
  const std::lock_guard lock(mutex_);
  entries_.erase(entry->held.seq);
  return std::move(entry->decision);
}

void HoldPoint::end() {
  ended_ = true;
  for (net::Signal* signal : waits_) signal->notify();
}

net::Task<std::optional<Resumption>> HoldPoint::wait(Exchange& exchange, HeldMessage message,
                                                     std::function<bool()> has_left) {
  if (exchange.seq() == kUnrecorded) co_return Resumption{};  // nobody is shown it, so nobody can decide
  net::Signal signal(deadlines_);
  auto entry = std::make_shared<Holds::Entry>();
  const MonoTime now = clock_.mono();
  entry->held = {exchange.seq(), now, now + message.time, std::move(message)};
  entry->executor = co_await net::asio::this_coro::executor;
  entry->signal = &signal;
  const MonoTime until = entry->held.until;
  if (!holds_.enter(entry)) {
    exchange.mark(http::Anomaly::kHoldLimit);
    co_return Resumption{};
  }
  waits_.insert(&signal);
  struct Leave {  // also where the coroutine is destroyed in its wait
    HoldPoint& point;
    const Holds::EntryPtr& entry;
    net::Signal* signal;
    ~Leave() {
      point.holds_.leave(entry);
      entry->signal = nullptr;
      point.waits_.erase(signal);
    }
  } leaving{*this, entry, &signal};
  bool told = false, over = false, left = false;
  while (!ended_ && !told && !over && !left) {
    signal.set_deadline(std::min(until, clock_.mono() + kLook));
    told = (co_await signal.wait()).has_value();
    over = clock_.mono() >= until;
    left = has_left();
  }
  std::optional<Resumption> decision = holds_.leave(entry);
  if (ended_) {
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped while the exchange was held");
    co_return std::nullopt;
  }
  if (left) {
    exchange.fail(FailureKind::kClientAborted, "the client went away while the exchange was held");
    co_return std::nullopt;
  }
  if (!decision) decision.emplace();
  co_return decision;
}

net::Task<std::optional<Exchange::Next>> HoldPoint::hold_request(Exchange& exchange, std::function<bool()> has_left) {
  const auto decision = co_await wait(exchange, exchange.held_request(), std::move(has_left));
  if (!decision) co_return std::nullopt;
  co_return exchange.resume_request(*decision);
}

net::Task<std::optional<Exchange::AfterHold>> HoldPoint::hold_response(Exchange& exchange,
                                                                       std::function<bool()> has_left) {
  auto decision = exchange.settled_answer();
  if (!decision) decision = co_await wait(exchange, exchange.held_response(), std::move(has_left));
  if (!decision) co_return std::nullopt;
  co_return exchange.resume_response(*decision);
}

}  // namespace sluice::proxy

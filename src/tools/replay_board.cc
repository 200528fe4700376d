#include "tools/replay_board.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::tools {

Result<std::string> ReplayBoard::begin(Owner owner, const std::string& session_id, WallTime now, Work work) {
  const std::lock_guard guard(mutex_);
  const auto running =
      std::count_if(entries_.begin(), entries_.end(), [](const auto& one) { return one->running.load(); });
  if (static_cast<std::size_t>(running) >= kMostRunning) {
    return fail(Code::kConflict, fmt::format("{} replays run already: wait for one, or cancel one with "
                                             "proxy_replay_status.",
                                             kMostRunning));
  }
  const auto entry = add_entry(std::move(owner), session_id, now);
  // The thread holds no share of its entry: whoever lets go of that waits for the thread.
  entry->thread = std::jthread([one = entry.get(), work = std::move(work)](const std::stop_token& stop) {
    auto result = work(stop, [one](std::size_t done, std::size_t total) {
      one->done = done;
      one->total = total;
    });
    const std::lock_guard ending(one->mutex);
    one->state.state = stop.stop_requested() ? "cancelled" : result ? "done" : "failed";
    if (result)
      one->state.result = std::make_shared<const Json>(*std::move(result));
    else
      one->state.error = result.error().message;
    if (stop.stop_requested() && !one->why_ended.empty()) one->state.error = one->why_ended;
    one->running = false;
  });
  return entry->state.id;
}

std::string ReplayBoard::keep(Owner owner, const std::string& session_id, WallTime started, std::size_t total,
                              Json result) {
  const std::lock_guard guard(mutex_);
  const auto entry = add_entry(std::move(owner), session_id, started);
  entry->state.state = "done";
  entry->state.result = std::make_shared<const Json>(std::move(result));
  entry->done = entry->total = total;
  entry->running = false;
  return entry->state.id;
}

std::shared_ptr<ReplayBoard::Entry> ReplayBoard::add_entry(Owner owner, const std::string& session_id, WallTime now) {
  forget_old();
  auto entry = std::make_shared<Entry>();
  entry->owner = std::move(owner);
  entry->state.id = fmt::format("replay_{}", next_++);
  entry->state.session_id = session_id;
  entry->state.state = "running";
  entry->state.started = now;
  entries_.push_front(entry);
  return entry;
}

void ReplayBoard::forget_old() {
  std::size_t kept = 0;
  entries_.remove_if([&kept](const auto& one) { return !one->running && ++kept >= kMostKept; });
}

ReplayBoard::State ReplayBoard::look(const Entry& entry) {
  const std::lock_guard guard(entry.mutex);
  State state = entry.state;
  state.done = entry.done;
  state.total = entry.total;
  return state;
}

std::vector<ReplayBoard::State> ReplayBoard::list(const std::string& grant) const {
  const std::lock_guard guard(mutex_);
  std::vector<State> states;
  for (const auto& entry : entries_) {
    if (entry->owner.grant == grant) states.push_back(look(*entry));
  }
  return states;
}

std::optional<ReplayBoard::State> ReplayBoard::find(const std::string& grant, const std::string& id) const {
  const std::lock_guard guard(mutex_);
  for (const auto& entry : entries_) {
    if (entry->owner.grant == grant && entry->state.id == id) return look(*entry);
  }
  return std::nullopt;
}

bool ReplayBoard::cancel(const std::string& grant, const std::string& id) {
  const std::lock_guard guard(mutex_);
  for (const auto& entry : entries_) {
    if (entry->owner.grant == grant && entry->state.id == id) {
      entry->thread.request_stop();
      return true;
    }
  }
  return false;
}

void ReplayBoard::cancel_all() {
  const std::lock_guard guard(mutex_);
  for (const auto& entry : entries_) entry->thread.request_stop();
}

std::vector<ReplayBoard::Ended> ReplayBoard::end_unless(const std::function<bool(const Owner&)>& may_go_on,
                                                        const std::string& why) {
  std::vector<Ended> ended;
  const std::lock_guard guard(mutex_);
  for (const auto& entry : entries_) {
    if (!entry->running || may_go_on(entry->owner)) continue;
    const std::lock_guard ending(entry->mutex);
    if (!entry->running || !entry->why_ended.empty()) continue;
    entry->why_ended = why;
    entry->thread.request_stop();
    ended.push_back({entry->owner.grant, entry->state.id, entry->done, entry->total});
  }
  return ended;
}

void ReplayBoard::stop() {
  cancel_all();
  std::list<std::shared_ptr<Entry>> ended;
  {
    const std::lock_guard guard(mutex_);
    ended.swap(entries_);
  }
}  // joins

}  // namespace sluice::tools

// Replays that go on after the call that began them: each on a thread of its own, owned by its grant, with what came of
// it kept for a while. Thread-safe. stop() before anything that the work uses is gone.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice::tools {

class ReplayBoard {
 public:
  static constexpr std::size_t kMostRunning = 4;
  static constexpr std::size_t kMostKept = 8;  // that have ended; the oldest goes

  using Progress = std::function<void(std::size_t done, std::size_t total)>;
  // What is answered once it is over; a failure too.
  using Work = std::function<Result<Json>(const std::stop_token& stop, const Progress& progress)>;

  ~ReplayBoard() { stop(); }

  struct Owner {
    std::string grant;
    std::string credential;  // the hash of the token that it was begun with; empty: none was needed
  };
  // Its id. kConflict: too many run.
  Result<std::string> begin(Owner owner, const std::string& session_id, WallTime now, Work work);

  // One that has ended already, so that what came of it can be read. Its id.
  std::string keep(Owner owner, const std::string& session_id, WallTime started, std::size_t total, Json result);

  struct State {
    std::string id, session_id;
    std::string state;  // "running", "done", "cancelled", "failed"
    WallTime started;
    std::size_t done = 0, total = 0;
    std::shared_ptr<const Json> result;  // null while it runs, or where it failed
    std::string error;
  };
  // The grant's own, newest first.
  std::vector<State> list(const std::string& grant) const;
  std::optional<State> find(const std::string& grant, const std::string& id) const;
  bool cancel(const std::string& grant, const std::string& id);  // false: there is none
  void cancel_all();
  // Asks those to end whose owner may not go on; `why` stands in their error. They, as they were then, each once.
  struct Ended {
    std::string grant, id;
    std::size_t done = 0, total = 0;
  };
  std::vector<Ended> end_unless(const std::function<bool(const Owner&)>& may_go_on, const std::string& why);
  void stop();  // ends all, and waits for them

 private:
  struct Entry {
    Owner owner;
    mutable std::mutex mutex;  // guards `state`'s result, error and state, and
    std::string why_ended;     // by another than its grant
    State state;
    std::atomic<std::size_t> done{0}, total{0};
    std::atomic<bool> running{true};
    std::jthread thread;
  };
  static State look(const Entry& entry);
  std::shared_ptr<Entry> add_entry(Owner owner, const std::string& session_id, WallTime now);
  void forget_old();

  mutable std::mutex mutex_;
  std::list<std::shared_ptr<Entry>> entries_;  // newest first
  std::uint64_t next_ = 1;
};

}  // namespace sluice::tools

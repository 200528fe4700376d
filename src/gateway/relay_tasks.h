// The tasks that one client's calls have made at a server (MCP 2025-11-25 "Tasks", and the extension of 2026-07-28):
// nobody else's exist for it, and what is said of one obeys the rules of the call that made it (gate.md 9). The client
// knows each by an id that is made here and that nobody guesses; the server by its own. Also the ids of tasks that the
// client itself has made for its server, which are the client's own. Private to the relay. Control thread only.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/limits.h"
#include "gateway/presenter.h"
#include "gateway/upstream_tools.h"
#include "policy/result_filter.h"

namespace sluice::gateway {

struct RelayTask {
  std::shared_ptr<const UpstreamTool> tool;  // that was called; null: another request has made it
  std::string method = "tools/call";         // of what has made it
  policy::ResultFilter results = {};         // of the call
  bool observed = false;                     // as it was decided: monitor mode
  std::string shown = {}, own = {};          // its id for the client, and at the server

  Presenter::View view(std::string* withheld) const { return {nullptr, &results, observed, withheld}; }
};
using RelayTaskPtr = std::shared_ptr<const RelayTask>;

class RelayTasks {
 public:
  static constexpr std::size_t kMost = 1'000;           // of either side; the oldest is forgotten
  static constexpr std::size_t kMostId = 1'024;         // octets
  static constexpr ByteCount kMostOctets = 256 * kKiB;  // of the server's ids together
  static constexpr std::chrono::seconds kGrace{60};     // behind the end of a task's `ttl`

  // Both outlive it.
  RelayTasks(Entropy& entropy, const Clock& clock) : entropy_(entropy), clock_(clock) {}

  // The answer `result` is a task (is_task_result()): it is known from now on, and stands there under the client's id.
  // An id that the server gives again is another task's, and the one before does not exist any more. kInvalid: nobody
  // could tell which task is meant.
  Status add(RelayTask task, Json& result);
  // By the client's id. Null: none of this client's, or one that is over.
  RelayTaskPtr find(std::string_view shown) const;
  // The one that params of the client name.
  RelayTaskPtr named_by(const Json& params) const;
  // The one that the server names.
  RelayTaskPtr of_server(const Json& state) const;
  bool is_empty() const { return tasks_.empty(); }
  void clear();

  // What the server says of a task, `method` answered or told, under the client's id. False: it speaks of another one.
  bool show(const RelayTask& task, std::string_view method, Json& said);
  // What a message says that it is related to: under the other side's id, and what is no task of this client's left
  // out. show: the server's; hide: the client's.
  void show_related(Json& said) const;
  void hide_related(Json& said) const;
  // The tasks that are listened for, in params of `subscriptions/listen` and what acknowledges it.
  void show_listened(Json& params) const;
  void hide_listened(Json& params) const;

  // A task that the client made for its server.
  void add_clients(const Json& result);
  bool is_clients(const Json& params) const;
  // Of all that the client has, those of this server.
  void keep_clients(Json& list) const;

 private:
  struct Kept {
    RelayTaskPtr task;
    MonoTime made{}, until{};
  };
  using Lookup = std::optional<std::string> (RelayTasks::*)(const std::string& id) const;
  std::optional<std::string> shown_for(const std::string& own) const;
  std::optional<std::string> own_for(const std::string& shown) const;
  void relate(Json& said, Lookup lookup) const;
  void relate_all(Json& said, Lookup lookup) const;
  void translate_listened(Json& params, Lookup lookup) const;
  void forget(const std::string& shown);

  Entropy& entropy_;
  const Clock& clock_;
  std::map<std::string, Kept, std::less<>> tasks_;          // by the client's id
  std::map<std::string, std::string, std::less<>> by_own_;  // to it
  std::deque<std::string> order_;
  ByteCount octets_ = 0;
  std::set<std::string, std::less<>> clients_;
  std::deque<std::string> clients_order_;
};

// Whether an answer is a task in place of what was asked for.
bool is_task_result(const Json& result);

// What the server says of a task, by its call's rules; kRefused: a rule withholds it. `method`: which was answered, or
// the notice.
Result<Json> present_task(const Presenter& presenter, const RelayTask& task, std::string_view method, Json said,
                          std::string* withheld);

}  // namespace sluice::gateway

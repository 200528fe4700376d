// The tasks that one client's calls have made at a server (MCP 2025-11-25 "Tasks", and the extension of 2026-07-28):
// nobody else's exist for it, and what is said of one obeys the rules of the call that made it (gate.md 9). By the
// server's own ids, which one connection to it has once. Private to the relay. Control thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/presenter.h"
#include "gateway/upstream_tools.h"
#include "policy/result_filter.h"

namespace sluice::gateway {

struct RelayTask {
  std::shared_ptr<const UpstreamTool> tool;
  policy::ResultFilter results;  // of the call
  bool observed = false;         // as it was decided: monitor mode

  Presenter::View view(std::string* withheld) const { return {nullptr, &results, observed, withheld}; }
};

class RelayTasks {
 public:
  static constexpr std::size_t kMost = 1'000;  // the oldest is forgotten
  static constexpr std::size_t kMostId = 1'024;

  void add(const std::string& id, RelayTask task);
  std::shared_ptr<const RelayTask> find(std::string_view id) const;
  bool is_empty() const { return tasks_.empty(); }
  // The one that params or a state of a task name; null: none of this client's.
  std::shared_ptr<const RelayTask> named_by(const Json& params) const;

 private:
  std::map<std::string, std::shared_ptr<const RelayTask>, std::less<>> tasks_;
  std::deque<std::string> order_;
};

// The id of the task that a call was answered with; nullopt: its answer is no task.
std::optional<std::string> created_task(const Json& result);

// What the server says of a task, by its call's rules; kRefused: a rule withholds it. `method`: which was answered, or
// the notice.
Result<Json> present_task(const Presenter& presenter, const RelayTask& task, std::string_view method, Json said,
                          std::string* withheld);

}  // namespace sluice::gateway

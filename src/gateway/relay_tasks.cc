#include "gateway/relay_tasks.h"

#include <utility>

namespace sluice::gateway {
namespace {

const std::string* id_in(const Json& holder) {
  const Json* id = find_member(holder, "taskId");
  return id && id->is_string() ? &id->get_ref<const std::string&>() : nullptr;
}

}  // namespace

void RelayTasks::add(const std::string& id, RelayTask task) {
  if (id.size() > kMostId) return;
  const bool is_new = tasks_.insert_or_assign(id, std::make_shared<const RelayTask>(std::move(task))).second;
  if (is_new) order_.push_back(id);
  if (order_.size() <= kMost) return;
  tasks_.erase(order_.front());
  order_.pop_front();
}

std::shared_ptr<const RelayTask> RelayTasks::find(std::string_view id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second;
}

std::shared_ptr<const RelayTask> RelayTasks::named_by(const Json& params) const {
  const std::string* id = id_in(params);
  return id ? find(*id) : nullptr;
}

std::optional<std::string> created_task(const Json& result) {
  const Json* type = find_member(result, "resultType");
  const Json* task = find_member(result, "task");
  const std::string* id = task ? id_in(*task) : nullptr;
  if (!id && type && *type == "task") id = id_in(result);
  return id ? std::optional(*id) : std::nullopt;
}

Result<Json> present_task(const Presenter& presenter, const RelayTask& task, std::string_view method, Json said,
                          std::string* withheld) {
  const Presenter::View view = task.view(withheld);
  if (method == "tasks/result") return presenter.foreign_tool(view, task.tool->entry, std::move(said));
  // What the call would have answered is within the state of a task that has ended (2026-07-28).
  const auto within = said.find("result");
  if (within == said.end() || !within->is_object()) return presenter.foreign(view, std::move(said));
  Json result = presenter.foreign_tool(view, task.tool->entry, std::exchange(*within, nullptr));
  SLUICE_TRY(Json shown, presenter.foreign(view, std::move(said)));
  shown["result"] = std::move(result);
  return shown;
}

}  // namespace sluice::gateway

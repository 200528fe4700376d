#include "gateway/relay_tasks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json_spelling.h"

namespace sluice::gateway {
namespace {

constexpr const char* kTaskId = "taskId";
constexpr const char* kRelated = "io.modelcontextprotocol/related-task";
constexpr std::size_t kIdOctets = 16;
constexpr double kMostTtl = 366.0 * 24 * 3'600 * 1'000;  // milliseconds

const std::string* id_in(const Json& holder) {
  const Json* id = find_member(holder, kTaskId);
  return id && id->is_string() ? &id->get_ref<const std::string&>() : nullptr;
}

Json* member(Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? &*found : nullptr;
}

bool says_task(const Json& result) {
  const Json* type = find_member(result, "resultType");
  return type && *type == "task";
}

bool holds_task(const Json& result) {
  const Json* task = find_member(result, "task");
  return task && id_in(*task);
}

// When a task of this age is over, by what was said of it last.
MonoTime end_of(MonoTime made, const Json& state, MonoTime unsaid) {
  for (const char* name : {"ttl", "ttlMs"}) {
    if (!state.contains(name)) continue;
    const Json ttl = plain_json(state[name]);
    if (!ttl.is_number()) return MonoTime::max();
    const double ms = std::clamp(ttl.get<double>(), 0.0, kMostTtl);
    return made + std::chrono::milliseconds(static_cast<std::int64_t>(ms)) + RelayTasks::kGrace;
  }
  return unsaid;
}

}  // namespace

bool is_task_result(const Json& result) { return says_task(result) || holds_task(result); }

Status RelayTasks::add(RelayTask task, Json& result) {
  if (says_task(result) && holds_task(result)) return fail(Code::kInvalid, "the server answered with two tasks");
  Json& state = holds_task(result) ? result["task"] : result;
  const std::string* own = id_in(state);
  if (!own || own->empty() || own->size() > kMostId) {
    return fail(Code::kInvalid, "the server answered with a task whose id is none");
  }
  if (const auto before = by_own_.find(*own); before != by_own_.end()) forget(std::string(before->second));
  task.own = *own;
  task.shown = random_token(entropy_, kIdOctets);
  state[kTaskId] = task.shown;
  const MonoTime now = clock_.mono();
  std::vector<std::string> over;
  for (const auto& [shown, kept] : tasks_) {
    if (kept.until < now) over.push_back(shown);
  }
  for (const std::string& shown : over) forget(shown);
  octets_ += task.own.size();
  by_own_[task.own] = task.shown;
  order_.push_back(task.shown);
  const std::string shown = task.shown;
  tasks_[shown] = {std::make_shared<const RelayTask>(std::move(task)), now, end_of(now, state, MonoTime::max())};
  while (order_.size() > kMost || octets_ > kMostOctets) forget(std::string(order_.front()));
  return {};
}

void RelayTasks::forget(const std::string& shown) {
  const auto found = tasks_.find(shown);
  if (found == tasks_.end()) return;
  octets_ -= found->second.task->own.size();
  by_own_.erase(found->second.task->own);
  tasks_.erase(found);
  std::erase(order_, shown);
}

void RelayTasks::clear() {
  tasks_.clear();
  by_own_.clear();
  order_.clear();
  octets_ = 0;
  clients_.clear();
  clients_order_.clear();
}

RelayTaskPtr RelayTasks::find(std::string_view shown) const {
  const auto found = tasks_.find(shown);
  return found == tasks_.end() || found->second.until < clock_.mono() ? nullptr : found->second.task;
}

RelayTaskPtr RelayTasks::named_by(const Json& params) const {
  const std::string* id = id_in(params);
  return id ? find(*id) : nullptr;
}

RelayTaskPtr RelayTasks::of_server(const Json& state) const {
  const std::string* id = id_in(state);
  const auto found = id ? by_own_.find(*id) : by_own_.end();
  return found == by_own_.end() ? nullptr : find(found->second);
}

bool RelayTasks::show(const RelayTask& task, std::string_view method, Json& said) {
  // What was asked for in the first place may have members of any name.
  const bool is_state = method != "tasks/result";
  if (!is_state && !is_task_result(said)) return true;
  for (Json* state : {is_state || says_task(said) ? &said : nullptr, member(said, "task")}) {
    if (!state || !state->is_object() || !state->contains(kTaskId)) continue;
    const std::string* id = id_in(*state);
    if (!id || *id != task.own) return false;
    (*state)[kTaskId] = task.shown;
    const auto kept = tasks_.find(task.shown);
    if (kept != tasks_.end()) kept->second.until = end_of(kept->second.made, *state, kept->second.until);
  }
  return true;
}

std::optional<std::string> RelayTasks::shown_for(const std::string& own) const {
  const auto found = by_own_.find(own);
  if (found != by_own_.end() && find(found->second)) return found->second;
  return clients_.contains(own) ? std::optional(own) : std::nullopt;
}

std::optional<std::string> RelayTasks::own_for(const std::string& shown) const {
  if (const auto task = find(shown)) return task->own;
  return clients_.contains(shown) ? std::optional(shown) : std::nullopt;
}

void RelayTasks::relate(Json& said, Lookup lookup) const {
  Json* meta = member(said, "_meta");
  Json* related = meta ? member(*meta, kRelated) : nullptr;
  if (!related) return;
  const std::string* id = id_in(*related);
  if (const auto other = id ? (this->*lookup)(*id) : std::nullopt) {
    (*related)[kTaskId] = *other;
  } else {
    meta->erase(kRelated);
  }
}

// Also within what a message carries of other messages.
void RelayTasks::relate_all(Json& said, Lookup lookup) const {
  relate(said, lookup);
  if (Json* result = member(said, "result")) relate(*result, lookup);
  for (const char* name : {"inputRequests", "inputResponses"}) {
    Json* all = member(said, name);
    if (!all || !all->is_structured()) continue;
    for (Json& one : *all) {
      relate(one, lookup);
      if (Json* params = member(one, "params")) relate(*params, lookup);
    }
  }
}

void RelayTasks::show_related(Json& said) const { relate_all(said, &RelayTasks::shown_for); }
void RelayTasks::hide_related(Json& said) const { relate_all(said, &RelayTasks::own_for); }

void RelayTasks::translate_listened(Json& params, Lookup lookup) const {
  Json* wanted = member(params, "notifications");
  Json* ids = wanted ? member(*wanted, "taskIds") : nullptr;
  if (!ids) return;
  Json known = Json::array();
  for (const Json& id : ids->is_array() ? *ids : Json::array()) {
    const auto other = id.is_string() ? (this->*lookup)(id.get<std::string>()) : std::nullopt;
    if (other) known.push_back(*other);
  }
  *ids = std::move(known);
}

void RelayTasks::show_listened(Json& params) const { translate_listened(params, &RelayTasks::shown_for); }
void RelayTasks::hide_listened(Json& params) const { translate_listened(params, &RelayTasks::own_for); }

void RelayTasks::add_clients(const Json& result) {
  if (!holds_task(result)) return;
  const std::string& id = *id_in(result["task"]);
  if (id.size() > kMostId || !clients_.insert(id).second) return;
  clients_order_.push_back(id);
  if (clients_order_.size() <= kMost) return;
  clients_.erase(clients_order_.front());
  clients_order_.pop_front();
}

bool RelayTasks::is_clients(const Json& params) const {
  const std::string* id = id_in(params);
  return id && clients_.contains(*id);
}

void RelayTasks::keep_clients(Json& list) const {
  Json* tasks = member(list, "tasks");
  if (!tasks || !tasks->is_array()) return;
  Json own = Json::array();
  for (Json& one : *tasks) {
    if (is_clients(one)) own.push_back(std::move(one));
  }
  *tasks = std::move(own);
}

Result<Json> present_task(const Presenter& presenter, const RelayTask& task, std::string_view method, Json said,
                          std::string* withheld) {
  const Presenter::View view = task.view(withheld);
  if (!task.tool) return presenter.foreign(view, std::move(said));
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

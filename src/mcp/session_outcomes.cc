// The second half of ServerSession: outcomes, progress, changes and ends of operations.
#include <algorithm>
#include <cmath>
#include <utility>

#include "mcp/meta.h"
#include "mcp/operation_parse.h"
#include "mcp/server_session.h"
#include "mcp/shape.h"

namespace sluice::mcp {
namespace {

constexpr double kExact = 9007199254740992.0;  // 2^53: integers up to here are written without a fraction

Json number(double value) {
  if (std::trunc(value) == value && std::fabs(value) <= kExact) return static_cast<std::int64_t>(value);
  return value;
}

std::string_view notice_method(Change::What what) {
  switch (what) {
    case Change::What::kToolList:
      return "notifications/tools/list_changed";
    case Change::What::kPromptList:
      return "notifications/prompts/list_changed";
    case Change::What::kResourceList:
      return "notifications/resources/list_changed";
    case Change::What::kResource:
      return "notifications/resources/updated";
  }
  return "";
}

bool wants(const SubscriptionFilter& filter, const Change& change) {
  switch (change.what) {
    case Change::What::kToolList:
      return filter.tools_list_changed;
    case Change::What::kPromptList:
      return filter.prompts_list_changed;
    case Change::What::kResourceList:
      return filter.resources_list_changed;
    case Change::What::kResource:
      return std::find(filter.resources.begin(), filter.resources.end(), change.uri) != filter.resources.end();
  }
  return false;
}

// A legacy client hears of every list whose capability said `listChanged`.
bool advertised(const Capabilities& have, Change::What what) {
  switch (what) {
    case Change::What::kToolList:
      return have.tools && have.tools_list_changed;
    case Change::What::kPromptList:
      return have.prompts && have.prompts_list_changed;
    case Change::What::kResourceList:
      return have.resources && have.resources_list_changed;
    case Change::What::kResource:
      return false;
  }
  return false;
}

bool is_complete(const Json& result) {
  const Json* type = find_member(result, "resultType");
  return !type || *type == "complete";
}

Json stamp(const RequestId& id) {
  Json meta = Json::object();
  meta[std::string(meta::kSubscriptionId)] = id.to_json();
  return meta;
}

}  // namespace

std::optional<ServerSession::Running> ServerSession::take(OperationKey key) {
  const auto found = operations_.find(key);
  if (found == operations_.end()) return std::nullopt;
  Running running = std::move(found->second);
  by_id_.erase(running.id);
  operations_.erase(found);
  return running;
}

Answer ServerSession::fail_with(const Running& running, const RpcError& error) const {
  return Answer{write_error(running.id, error), http_status(error.code, era_of(running.revision), Origin::kOutcome)};
}

std::optional<Answer> ServerSession::complete(OperationKey key, const RpcError& error) {
  const auto running = take(key);
  if (!running) return std::nullopt;
  return fail_with(*running, error);
}

std::optional<Answer> ServerSession::complete(OperationKey key, Result<Json> outcome) {
  auto running = take(key);
  if (!running) return std::nullopt;
  const Era era = era_of(running->revision);
  const Subject subject = running->method.starts_with("resources/") ? Subject::kResource : Subject::kOther;
  if (outcome) outcome = settle(*running, *std::move(outcome));
  if (!outcome) return fail_with(*running, map_error(outcome.error(), era, subject));
  Json result = era == Era::kModern ? complete_modern(running->method, *profile_, *std::move(outcome))
                                    : fit_result(running->method, running->revision, *std::move(outcome));
  return Answer{write_result(running->id, std::move(result))};
}

// What a success changes in the session, and the page that was asked for.
Result<Json> ServerSession::settle(const Running& running, Json result) {
  if (!result.is_object()) return fail(Code::kInternal, "the result is no object");
  if (running.method == "resources/subscribe") {
    if (!subscriptions_.contains(running.uri) && subscriptions_.size() >= profile_->max_subscriptions) {
      return fail(Code::kTooLarge, "more than " + std::to_string(profile_->max_subscriptions) + " subscriptions");
    }
    subscriptions_.insert(running.uri);
    return Json::object();
  }
  if (running.method == "resources/unsubscribe") {
    subscriptions_.erase(running.uri);
    return Json::object();
  }
  if (running.method == "subscriptions/listen") {
    Json closing = Json::object();
    closing["_meta"] = stamp(running.id);
    return closing;
  }
  if (era_of(running.revision) == Era::kLegacy && !is_complete(result)) {
    return fail(Code::kInternal, "this result has no form in the client's revision");
  }
  const std::string_view name = list_array(running.method);
  return name.empty() ? std::move(result) : cut_page(running, name, std::move(result));
}

Result<Json> ServerSession::cut_page(const Running& running, std::string_view name, Json result) const {
  const auto list = result.find(std::string(name));
  if (list == result.end() || !list->is_array()) return fail(Code::kInternal, "the list is missing");
  auto& items = list->get_ref<Json::array_t&>();
  // The list became shorter since the cursor was made.
  if (running.offset > items.size()) return fail(Code::kInvalid, "`cursor` has expired");
  const std::size_t left = items.size() - running.offset;
  const std::size_t count = std::min(left, std::max<std::size_t>(profile_->page_size, 1));
  items.erase(items.begin() + running.offset + static_cast<std::ptrdiff_t>(count), items.end());
  items.erase(items.begin(), items.begin() + running.offset);
  result.erase("nextCursor");
  if (count < left) {
    result["nextCursor"] = write_cursor(profile_->cursor_key, running.method, profile_->grant,
                                        running.offset + static_cast<std::uint32_t>(count));
  }
  return result;
}

std::optional<std::string> ServerSession::accept_listen(OperationKey key, const SubscriptionFilter& granted) {
  const auto found = operations_.find(key);
  if (found == operations_.end()) return std::nullopt;
  Running& running = found->second;
  if (running.method != "subscriptions/listen" || running.listening) return std::nullopt;
  running.filter = intersect(running.filter, granted);
  running.listening = true;
  Json params = Json::object();
  params["_meta"] = stamp(running.id);
  params["notifications"] = write_filter(running.filter);
  return write_notification("notifications/subscriptions/acknowledged", std::move(params));
}

std::optional<std::string> ServerSession::progress(OperationKey key, double progress, std::optional<double> total,
                                                   std::string_view message) {
  const auto found = operations_.find(key);
  if (found == operations_.end()) return std::nullopt;
  Running& running = found->second;
  if (running.progress_token.is_null() || !std::isfinite(progress)) return std::nullopt;
  if (running.last_progress && progress <= *running.last_progress) return std::nullopt;
  running.last_progress = progress;
  Json params = Json::object();
  params["progressToken"] = running.progress_token;
  params["progress"] = number(progress);
  if (total && std::isfinite(*total)) params["total"] = number(*total);
  if (!message.empty()) params["message"] = message;
  return write_notification("notifications/progress", std::move(params));
}

std::vector<Notice> ServerSession::notify(const Change& change) const {
  std::vector<Notice> notices;
  const std::string_view method = notice_method(change.what);
  const bool of_resource = change.what == Change::What::kResource;
  for (const auto& [key, running] : operations_) {
    if (!running.listening || !wants(running.filter, change)) continue;
    Json params = Json::object();
    params["_meta"] = stamp(running.id);
    if (of_resource) params["uri"] = change.uri;
    notices.push_back(Notice{key, write_notification(method, std::move(params))});
  }
  const bool legacy =
      of_resource ? subscriptions_.contains(change.uri) : advertised(profile_->capabilities, change.what);
  if (initialized_ && legacy) {
    Json params = Json::object();
    if (of_resource) params["uri"] = change.uri;
    notices.push_back(Notice{OperationKey{}, write_notification(method, std::move(params))});
  }
  return notices;
}

bool ServerSession::cancel(OperationKey key) { return take(key).has_value(); }

std::vector<OperationKey> ServerSession::close() {
  std::vector<OperationKey> keys;
  for (const auto& [key, running] : operations_) keys.push_back(key);
  operations_.clear();
  by_id_.clear();
  subscriptions_.clear();
  initialized_ = false;
  return keys;
}

std::set<std::string> ServerSession::watched() const {
  std::set<std::string> uris = subscriptions_;
  for (const auto& [key, running] : operations_) {
    if (running.listening) uris.insert(running.filter.resources.begin(), running.filter.resources.end());
  }
  return uris;
}

}  // namespace sluice::mcp

#include "gateway/upstream_call.h"

#include "base/json_spelling.h"
#include "gateway/answer_cut.h"
#include "gateway/era_messages.h"
#include "gateway/policy_gate.h"
#include "gateway/relay_rules.h"
#include "gateway/upstream.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostPages = 100;  // of tasks, none of which is the client's

// gate.md 4: the server says that it did nothing.
bool did_nothing(const Json& error) {
  const int code = error["code"].get<int>();
  return code == mcp::rpc::kParseError || code == mcp::rpc::kInvalidRequest || code == mcp::rpc::kMethodNotFound ||
         code == mcp::rpc::kInvalidParams;
}

}  // namespace

UpstreamCall::UpstreamCall(const std::weak_ptr<Relay>& relay, mcp::RequestId id, std::string method, Json params,
                           std::shared_ptr<const UpstreamTool> tool, std::shared_ptr<const RelayTask> task)
    : relay_(relay),
      id_(std::move(id)),
      server_(relay.lock()->deps_.name.server),
      method_(std::move(method)),
      name_(subject_of(method_, params)),
      params_(std::move(params)),
      tool_(std::move(tool)),
      task_(std::move(task)) {}

// Of a task its call was decided.
std::string_view UpstreamCall::governing() const {
  return is_task_method(method_) ? "tools/call" : governing_method(method_);
}

// What is passed on is what the client said.
Result<Json> UpstreamCall::parse(const Json& arguments) const {
  return with_defaults(tool_ ? tool_->schema : Json(), plain_json(arguments));
}

policy::Spellings UpstreamCall::spellings(const Json& arguments) const {
  const Json* given = find_member(params_, "arguments");
  return given ? spellings_of(*given, arguments) : policy::Spellings();
}

std::optional<Decision> UpstreamCall::barred() const {
  const auto relay = relay_.lock();
  if (relay && task_) return relay->barred(*task_);
  if (!tool_) return std::nullopt;
  // As the newest list has it: the call may have waited.
  const auto now = relay ? relay->tools_.find(name_) : nullptr;
  if (!(now ? now->quarantined : tool_->quarantined)) return std::nullopt;
  Decision decision;
  decision.allow = false;
  decision.rule = "(quarantined)";
  decision.message =
      "Tool \"" + (relay ? relay->prefix_ : "") + name_ + "\" is new or has changed, and nobody has accepted it yet";
  return decision;
}

void UpstreamCall::drop_retry() {
  params_.erase("requestState");
  params_.erase("inputResponses");
}

void UpstreamCall::send(const Presenter& presenter, const Presenter::View& view, Done done) {
  const auto relay = relay_.lock();
  if (!relay || relay->server_gone_)
    return done(fail(Code::kUnavailable, "the server has ended"), {"error", "", false});
  presenter_ = &presenter;
  view_ = &view;
  done_ = std::move(done);
  if (begin(*relay)) return;
  auto tell = std::move(done_);
  done_ = nullptr;
  tell(fail(Code::kUnavailable, "too many requests wait for this server's answers; try again"), {"error", "", false});
}

bool UpstreamCall::begin(Relay& relay) {
  const auto look = [this](Json& params) {
    if (!view_) return false;
    const Presenter::View view = task_ ? task_->view(nullptr) : *view_;
    const Json* message = find_member(params, "message");
    if (message && message->is_string() && view.results) {
      params["message"] = presenter_->progress(message->get_ref<const std::string&>(), view);
    }
    return true;
  };
  Relay::Waiting waiting{
      [self = shared_from_this()](mcp::ClientSession::Answered answered) { self->take(std::move(answered)); },
      relay.progress_to_client(id_, params_, look), id_, false};
  Json params = params_;
  if (task_) params["taskId"] = task_->own;
  return relay.send(method_, std::move(params), std::move(waiting), &sent_);
}

// The server's list says by now what stands beside a body: once, and only where the tool is otherwise what was decided
// on (MCP 2026-07-28 "Custom Headers: Client Behavior").
bool UpstreamCall::refresh(const std::shared_ptr<Relay>& relay, const mcp::ClientSession::Answered& answered) {
  if (refreshed_ || !tool_ || !answered.is_error || answered.unsent) return false;
  if (!relay->deps_.over_http || answered.body["code"] != mcp::rpc::kHeaderMismatch) return false;
  refreshed_ = true;
  relay->tools_.want(UpstreamTools::Freshness::kNew, connection_meta(params_),
                     [self = shared_from_this(), answered](const UpstreamTools::Failure& failure) {
                       const auto there = self->relay_.lock();
                       if (!self->done_ || !there) return;
                       const auto tool = failure ? nullptr : there->tools_.find(self->name_);
                       const bool same =
                           tool && !tool->quarantined &&
                           without_header_marks(tool->schema) == without_header_marks(self->tool_->schema);
                       if (!same || !self->begin(*there)) self->take(answered);
                     });
  return true;
}

void UpstreamCall::take_error(Json error, bool unsent, const Done& done) {
  CallEnd end{"error", "", !unsent && !did_nothing(error)};
  end.error_code = error["code"].get<int>();
  end.bytes = json_octets(error);
  const Json* data = find_member(error, "data");
  const Json* status = data ? find_member(*data, kHttpStatus) : nullptr;
  if (status && status->is_number_integer()) end.http_status = status->get<int>();
  auto shown = presenter_->foreign(task_ ? task_->view(view_->withheld) : *view_, std::move(error));
  if (!shown) return done(fail(std::move(shown).error()), end);
  error_ = *std::move(shown);
  done(fail(Code::kConflict, "the server answered with an error"), end);
}

bool UpstreamCall::keep_own_tasks(Relay& relay, Json& list) {
  Json own = Json::array();
  const auto all = list.find("tasks");
  if (all != list.end() && all->is_array()) {
    for (Json& one : *all) {
      const auto task = relay.tasks_.of_server(one);
      if (!task || relay.barred(*task) || !relay.tasks_.show(*task, method_, one)) continue;
      const auto is_open = [&](std::string_view method) { return relay.is_open(method); };
      if (closed_input(task_as_result(one), is_open)) continue;
      auto shown = present_task(*presenter_, *task, method_, std::move(one), view_->withheld);
      if (shown) own.push_back(*std::move(shown));
    }
  }
  const Json* next = find_member(list, "nextCursor");
  if (own.empty() && next && next->is_string() && ++pages_ < kMostPages) {
    params_["cursor"] = *next;
    if (begin(relay)) return false;
  }
  list["tasks"] = std::move(own);
  return true;
}

std::optional<std::string> UpstreamCall::asks_for_closed(const Relay& relay, const Json& result) const {
  const auto is_open = [&](std::string_view method) { return relay.is_open(method); };
  return closed_input(task_ || is_task_result(result) ? task_as_result(result) : result, is_open);
}

// Under the client's id of it.
Status UpstreamCall::name_task(Relay& relay, Json& result) const {
  RelayTasks& tasks = relay.tasks_;
  if (task_ && !tasks.show(*task_, method_, result)) {
    return fail(Code::kInternal, "the server answered for another task");
  }
  if (!task_ && is_task_result(result)) {
    const policy::ResultFilter results = view_->results ? *view_->results : policy::ResultFilter();
    SLUICE_CHECK(tasks.add({tool_, method_, results, view_->observed}, result));
  }
  tasks.show_related(result);
  return {};
}

void UpstreamCall::take(mcp::ClientSession::Answered answered) {
  if (!done_) return;
  const auto relay = relay_.lock();
  if (relay && refresh(relay, answered)) return;
  if (relay && method_ == "tasks/list" && !answered.is_error && !keep_own_tasks(*relay, answered.body)) return;
  const Done done = std::move(done_);
  done_ = nullptr;
  if (!relay) return;
  answered_ = true;
  if (answered.is_error) return take_error(std::move(answered.body), answered.unsent, done);
  CallEnd end;
  if (const auto closed = asks_for_closed(*relay, answered.body)) {
    end.status = "withheld";
    answered_ = false;
    const std::string text = "[POLICY DENIED] The server asks for " +
                             (closed->empty() ? "something unknown" : *closed) + ", which the policy closes";
    if (is_tool()) return done(presenter_->plain_failure(text, nullptr), end);
    return done(fail(Code::kRefused, text), end);
  }
  const Json* failed = find_member(answered.body, "isError");
  if (failed && *failed == true) end.status = "error";
  if (const Status named = name_task(*relay, answered.body); !named) {
    end.status = "error";
    return done(fail(named.error()), end);
  }
  if (task_) return done(present_task(*presenter_, *task_, method_, std::move(answered.body), view_->withheld), end);
  if (!is_tool()) return done(presenter_->foreign(*view_, std::move(answered.body)), end);
  done(presenter_->foreign_tool(*view_, tool_ ? tool_->entry : Json(), std::move(answered.body)), end);
}

void UpstreamCall::stop() {
  if (!done_) return;
  done_ = nullptr;
  view_ = nullptr;
  const auto relay = relay_.lock();
  if (!relay) return;
  relay->waiting_.erase(sent_);
  if (auto text = relay->server_.cancel(sent_, cancel_params_)) relay->deps_.to_server(*std::move(text));
}

}  // namespace sluice::gateway

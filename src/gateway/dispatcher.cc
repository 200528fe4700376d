#include "gateway/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/text.h"
#include "gateway/job.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxEcho = 128;

std::string echo_name(std::string_view name) {
  const std::string repaired = repair_utf8(name);
  return std::string(utf16_prefix(repaired, kMaxEcho));
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

Dispatcher::Dispatcher(DispatcherDeps deps, DispatcherLimits limits)
    : changes_(Changes::create(deps.control)), state_(std::make_shared<State>(std::move(deps), limits, changes_)) {}

Dispatcher::~Dispatcher() { state_->close(); }

std::size_t Dispatcher::running() const { return state_->running(); }

void Dispatcher::stop_calls() {
  for (const auto& all : {state_->jobs, state_->held}) {
    for (const JobPtr& job : all) {
      if (job->caller.grant != "owner") job->call->request_stop();
    }
  }
}

std::shared_ptr<RunningCall> Dispatcher::call(const Caller& caller, mcp::OperationBody operation, Progress progress,
                                              Done done) {
  auto job = std::make_shared<Job>();
  job->caller = caller;
  job->call = std::make_shared<RunningCall>();
  job->progress = std::move(progress);
  job->done = std::move(done);
  job->redactor = state_->deps.presenter.redactor_for(caller, Json::object());
  std::visit(Overloaded{[&](mcp::CallTool& call) { call_tool(job, call); },
                        [&](mcp::ReadResource& read) { read_resource(job, read); },
                        [&](auto&) { answer_later(*job, list(caller, operation)); }},
             operation);
  return job->call;
}

Result<Json> Dispatcher::list(const Caller& caller, const mcp::OperationBody& operation) const {
  const Registry& registry = state_->deps.registry;
  Json items = Json::array();
  if (std::holds_alternative<mcp::ListTools>(operation)) {
    return Json{{"tools", state_->tools_for(caller)}};
  }
  if (std::holds_alternative<mcp::ListResources>(operation)) {
    for (const Resource& resource : registry.resources()) items.push_back(Registry::resource_entry(resource));
    return Json{{"resources", std::move(items)}};
  }
  if (std::holds_alternative<mcp::ListResourceTemplates>(operation)) return Json{{"resourceTemplates", items}};
  if (std::holds_alternative<mcp::ListPrompts>(operation)) return Json{{"prompts", items}};
  if (const auto* prompt = std::get_if<mcp::GetPrompt>(&operation)) {
    return fail(Code::kNotFound, fmt::format("Prompt {} not found", echo_name(prompt->name)));
  }
  if (const auto* complete = std::get_if<mcp::Complete>(&operation)) {
    return fail(Code::kNotFound, fmt::format("There is nothing to complete for {}", echo_name(complete->target)));
  }
  return fail(Code::kInvalid, "subscriptions are not calls");
}

Dispatcher::Subscription Dispatcher::watch_tools(std::function<void()> changed) {
  return changes_->watch([changed = std::move(changed)](Changes::Topic topic) {
    if (topic == Changes::kTools) changed();
  });
}

bool Dispatcher::offers(const Caller& caller, std::string_view method) {
  const Decision decision = state_->deps.policy.judge_method(caller, method);
  // What is let pass only because nothing is enforced yet is written down here, but for reads, which have a record.
  if (decision.allow && (!decision.would_deny || method == "resources/read")) return true;
  Job job;
  job.caller = caller;
  (void)state_->write_decision(job, method, "", decision);
  return decision.allow;
}

bool Dispatcher::record(Job& job, std::string_view method, std::string_view name, const Decision& decision) {
  const DispatcherDeps& deps = state_->deps;
  const Status logged = state_->write_decision(job, method, name, decision);
  if (decision.allow && logged) return true;
  if (!decision.allow && decision.as_unknown) {
    answer_later(job, fail(Code::kNotFound, fmt::format("Tool {} not found", echo_name(name))));
    return false;
  }
  // gate.md 8: no log, no call.
  const std::string text =
      "[POLICY DENIED] " + (decision.allow
                                ? "the audit log cannot be written, so nothing may run (" + logged.error().message + ")"
                                : decision.message);
  if (job.resource) {
    answer_later(job, fail(Code::kRefused, text));
  } else {
    answer_later(job, deps.presenter.plain_failure(text, job.redactor));
  }
  return false;
}

void Dispatcher::call_tool(JobPtr job, const mcp::CallTool& call) {
  const DispatcherDeps& deps = state_->deps;
  const tools::Tool* tool = deps.registry.find_tool(call.name);
  if (!tool) {
    return answer_later(*job, fail(Code::kNotFound, fmt::format("Tool {} not found", echo_name(call.name))));
  }
  const Decision name = deps.policy.judge_name(job->caller, kServer, tool->name, tool->risk);
  if (!name.allow) {
    (void)record(*job, "tools/call", tool->name, name);
    return;
  }
  auto arguments = tools::parse_arguments(*tool, call.arguments);
  if (!arguments) {
    return answer_later(*job, deps.presenter.plain_failure(arguments.error().message, job->redactor));
  }
  job->tool = tool;
  job->arguments = *std::move(arguments);
  if (call.retry.request_state) {
    deps.policy.take_answer({job->caller, kServer, "tools/call", tool->name, tool->risk, job->arguments},
                            *call.retry.request_state, call.retry.input_responses);
  }
  job->redactor = deps.presenter.redactor_for(job->caller, job->arguments);
  decide(job);
}

void Dispatcher::decide(const JobPtr& job) {
  const DispatcherDeps& deps = state_->deps;
  const tools::Tool& tool = *job->tool;
  if (state_->is_full()) return answer_later(*job, State::full());
  Decision decision = deps.policy.decide(
      {job->caller, kServer, "tools/call", tool.name, tool.risk, job->arguments, state_->running(job->caller.grant)});
  if (decision.pending) return wait_for_person(job, decision);
  job->reserved = std::move(decision.reserved);
  if (!record(*job, "tools/call", tool.name, decision)) return deps.policy.give_back(job->reserved);
  run(job, (tool.hints & tools::kSlow) != 0);
}

// MCP 2026-07-28, multi round-trip requests: the client asks its user, and calls again with the answer.
Json Dispatcher::ask_user(const Job& job, const PendingApproval& pending) const {
  // The presenter's hand on the question, too: it quotes arguments.
  const Json safe = state_->deps.presenter.plain_failure(pending.question, job.redactor);
  const Json schema = {
      {"type", "object"},
      {"properties",
       {{"decision", {{"type", "string"}, {"title", "Decision"}, {"enum", Json::array({"approve", "deny"})}}}}},
      {"required", Json::array({"decision"})}};
  Json requests = Json::object();
  requests[std::string(kQuestion)] = {
      {"method", "elicitation/create"},
      {"params", {{"mode", "form"}, {"message", safe["content"][0]["text"]}, {"requestedSchema", schema}}}};
  return {{"resultType", "input_required"}, {"inputRequests", std::move(requests)}, {"requestState", pending.state}};
}

void Dispatcher::wait_for_person(const JobPtr& job, const Decision& decision) {
  const PendingApproval& pending = *decision.pending;
  if (job->waits_for != pending.id) {  // once for each that the call waits for
    job->waits_for = pending.id;
    if (const Status logged = state_->write_decision(*job, "tools/call", job->tool->name, decision); !logged) {
      (void)record(*job, "tools/call", job->tool->name, decision);
      return;
    }
    job->waits_until = state_->deps.clock.mono() + pending.wait;
  }
  if (!pending.state.empty()) return answer_later(*job, ask_user(*job, pending));
  const auto left = job->waits_until - state_->deps.clock.mono();
  if (left > Duration::zero() && state_->hold(job, [this, job] { decide(job); })) return;
  Json answer = state_->deps.presenter.plain_failure(pending.text, job->redactor);
  answer["_meta"]["dev.sluice/approval"] = {
      {"id", pending.id},
      {"expires_at", iso8601_ms(WallTime(std::chrono::milliseconds(pending.expires_ms)))},
      {"status", "pending"}};
  answer_later(*job, std::move(answer));
}

void Dispatcher::read_resource(JobPtr job, const mcp::ReadResource& read) {
  const DispatcherDeps& deps = state_->deps;
  const Resource* resource = deps.registry.find_resource(read.uri);
  const Decision decision = deps.policy.judge_method(job->caller, "resources/read");
  if (!resource || !decision.allow) {
    if (resource) (void)state_->write_decision(*job, "resources/read", resource->uri, decision);
    return answer_later(*job, fail(Code::kNotFound, fmt::format("Resource {} not found", echo_name(read.uri))));
  }
  job->resource = resource;
  if (state_->is_full()) return answer_later(*job, State::full());
  if (!record(*job, "resources/read", resource->uri, decision)) return;
  run(std::move(job), true);
}

void Dispatcher::run(JobPtr job, bool slow) {
  state_->begin(job);
  if (slow) {
    boost::asio::post(state_->pool, [state = state_, job] { state->work(job); });
  } else {
    state_->work(job);
  }
}

void Dispatcher::answer_later(Job& job, Result<Json> answer) {
  boost::asio::post(state_->deps.control,
                    [weak = std::weak_ptr(state_), done = std::move(job.done), answer = std::move(answer)]() mutable {
                      const auto state = weak.lock();
                      if (state && !state->closed()) done(std::move(answer));
                    });
}

std::vector<std::string> Dispatcher::watchable(const Caller& caller, std::span<const std::string> uris) const {
  std::vector<std::string> granted;
  if (!state_->deps.policy.judge_method(caller, "resources/subscribe").allow) return granted;
  for (const std::string& uri : uris) {
    if (state_->deps.registry.find_resource(uri)) granted.push_back(uri);
  }
  return granted;
}

Result<Dispatcher::Subscription> Dispatcher::subscribe(const Caller& caller, std::vector<std::string> uris,
                                                       std::function<void(std::string_view uri)> changed) {
  for (const std::string& uri : uris) {
    if (watchable(caller, std::span(&uri, 1)).empty()) {
      return fail(Code::kNotFound, fmt::format("Resource {} not found", echo_name(uri)));
    }
  }
  return changes_->watch([uris = std::move(uris), changed = std::move(changed)](Changes::Topic topic) {
    const std::string_view uri = Changes::uri(topic);
    if (std::find(uris.begin(), uris.end(), uri) != uris.end()) changed(uri);
  });
}

}  // namespace sluice::gateway

#include "gateway/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/memory.h"
#include "base/text.h"
#include "gateway/job.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxEcho = 128;
// For the user's answer within a call; clients give up sooner, mostly. Then it waits for an admin like any other.
constexpr std::chrono::minutes kQuestionTime{5};

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
std::size_t Dispatcher::running(std::string_view grant) const { return state_->running(grant); }
const CallStats& Dispatcher::stats() const { return state_->stats; }

void Dispatcher::count_with(std::function<std::size_t(std::string_view grant)> running_elsewhere) {
  state_->running_elsewhere = std::move(running_elsewhere);
}

void Dispatcher::stop_calls() {
  for (const auto& all : {state_->jobs, state_->deciding, state_->held}) {
    for (const JobPtr& job : all) {
      if (job->caller.grant != "owner") job->call->request_stop();
    }
  }
}

std::optional<WallTime> Dispatcher::shut_out_until(const Caller& caller) {
  return state_->denials.shut_out_until(caller.grant);
}

void Dispatcher::count_malformed(const Caller& caller) { state_->denials.tally(caller.grant, "(malformed)"); }

void Dispatcher::count_unknown(const Caller& caller) { state_->denials.tally(caller.grant, "(unknown)"); }

void Dispatcher::each_second() {
  state_->denials.each_second();
  state_->deps.audit.checkpoint();
  boost::asio::post(state_->pool, [] { give_back_memory(); });
}

Dispatcher::JobPtr Dispatcher::make_job(const Caller& caller, Progress progress, Done done) const {
  auto job = std::make_shared<Job>();
  job->caller = caller;
  job->call = std::make_shared<RunningCall>();
  job->progress = std::move(progress);
  job->done = std::move(done);
  job->redactor = state_->deps.presenter.redactor_for(caller, Json::object());
  return job;
}

bool Dispatcher::shut_out(const JobPtr& job) {
  const auto until = shut_out_until(job->caller);
  if (!until) return false;
  answer_later(*job, state_->failure(*job, Code::kRefused,
                                     "[POLICY DENIED] too many calls were denied; nothing is answered before " +
                                         iso8601_ms(*until)));
  return true;
}

std::shared_ptr<RunningCall> Dispatcher::call(const Caller& caller, CalleePtr callee, const Json& arguments,
                                              mcp::Retry retry, Progress progress, Done done) {
  const JobPtr job = make_job(caller, std::move(progress), std::move(done));
  job->callee = callee;
  if (!shut_out(job)) judge(job, std::move(callee), arguments, retry);
  return job->call;
}

std::shared_ptr<RunningCall> Dispatcher::call(const Caller& caller, mcp::OperationBody operation, Progress progress,
                                              Done done) {
  const JobPtr job = make_job(caller, std::move(progress), std::move(done));
  if (const auto until = shut_out_until(caller); until && !std::holds_alternative<mcp::CallTool>(operation)) {
    answer_later(*job, fail(Code::kRefused, "[POLICY DENIED] too many calls were denied; nothing is answered before " +
                                                iso8601_ms(*until)));
    return job->call;
  }
  if (shut_out(job)) return job->call;
  std::visit(Overloaded{[&](mcp::CallTool& call) { call_tool(job, call); },
                        [&](mcp::ReadResource& read) { read_resource(job, read); },
                        [&](mcp::ListResources&) { list_slowly(job, state_->deps.registry.resource_listing()); },
                        [&](mcp::Complete& complete) { this->complete(job, complete); },
                        [&](auto&) { answer_later(*job, list(caller, operation)); }},
             operation);
  return job->call;
}

Result<Json> Dispatcher::list(const Caller& caller, const mcp::OperationBody& operation) const {
  const Json items = Json::array();
  if (std::holds_alternative<mcp::ListTools>(operation)) {
    return Json{{"tools", state_->tools_for(caller)}};
  }
  if (std::holds_alternative<mcp::ListResourceTemplates>(operation)) {
    return Json{{"resourceTemplates", Registry::template_entries()}};
  }
  if (std::holds_alternative<mcp::ListPrompts>(operation)) return Json{{"prompts", items}};
  if (const auto* prompt = std::get_if<mcp::GetPrompt>(&operation)) {
    return fail(Code::kNotFound, fmt::format("Prompt {} not found", echo_name(prompt->name)));
  }
  return fail(Code::kInvalid, "subscriptions are not calls");
}

Dispatcher::Subscription Dispatcher::watch_tools(std::function<void()> changed) {
  return changes_->watch([changed = std::move(changed)](Changes::Topic topic) {
    if (topic == Changes::kTools) changed();
  });
}

bool Dispatcher::offers(const Caller& caller, std::string_view method, Record record) {
  if (shut_out_until(caller)) return true;  // and call() answers so
  const Decision decision = state_->deps.policy.judge_method(caller, method);
  if (decision.allow && (!decision.would_deny || record == Record::kByCall)) return true;
  Job job;
  job.caller = caller;
  (void)state_->write_decision(job, method, "", decision);
  return decision.allow;
}

Error Dispatcher::unknown_tool(std::string_view name) const {
  return {Code::kNotFound, fmt::format("Tool {} not found", echo_name(name))};
}

bool Dispatcher::record(Job& job, const Decision& decision) {
  const Status logged = state_->write_decision(job, job.callee->method(), job.callee->name(), decision);
  if (decision.allow && logged) return true;
  if (!decision.allow && decision.as_unknown) {
    answer_later(job, fail(unknown_tool(job.caller.tool_prefix + std::string(job.callee->name()))));
    return false;
  }
  // gate.md 8: no log, no call.
  const std::string text =
      "[POLICY DENIED] " + (decision.allow
                                ? "the audit log cannot be written, so nothing may run (" + logged.error().message + ")"
                                : decision.message);
  answer_later(job, state_->failure(job, Code::kRefused, text));
  return false;
}

void Dispatcher::call_tool(const JobPtr& job, const mcp::CallTool& call) {
  const tools::Tool* tool = state_->deps.registry.find_tool(call.name);
  if (!tool) {
    count_unknown(job->caller);
    return answer_later(*job, fail(unknown_tool(call.name)));
  }
  judge(job, Registry::callee_of(*tool), call.arguments, call.retry);
}

void Dispatcher::judge(const JobPtr& job, CalleePtr found, const Json& given, const mcp::Retry& retry) {
  const DispatcherDeps& deps = state_->deps;
  job->callee = std::move(found);
  const Callee& callee = *job->callee;
  if (!callee.is_tool()) return begin_request(job);
  const Decision name = deps.policy.judge_name(job->caller, callee.server(), callee.name(), callee.risk());
  const auto barred = name.allow ? callee.barred() : std::nullopt;
  if (deps.calls && (!name.allow || barred)) {
    if (auto unjudged = callee.parse(given)) {
      job->unjudged = *std::move(unjudged);
      job->unjudged_spellings = callee.spellings(*job->unjudged);
    }
  }
  if (!name.allow) {
    (void)record(*job, name);
    return;
  }
  if (barred) {
    (void)record(*job, *barred);
    return;
  }
  auto arguments = callee.parse(given);
  if (!arguments) {
    return answer_later(*job, deps.presenter.plain_failure(arguments.error().message, job->redactor));
  }
  job->arguments = *std::move(arguments);
  job->spellings = callee.spellings(job->arguments);
  job->was_parsed = true;
  job->redactor = deps.presenter.redactor_for(job->caller, job->arguments);
  if (retry.request_state) {
    const Subject subject = state_->subject_of(*job);
    if (deps.policy.take_answer(subject, *retry.request_state, retry.input_responses)) job->callee->drop_retry();
  }
  decide(job);
}

void Dispatcher::decide(const JobPtr& job) {
  if (state_->is_full()) {
    State::withdraw_question(*job);
    return answer_later(*job, State::full());
  }
  auto undecide = state_->deps.policy.decide_later(
      state_->subject_of(*job), [this, weak = std::weak_ptr(state_), job](Decision decision) {
        const auto state = weak.lock();
        if (!state || state->closed()) return;
        const bool waited = state->decided(job);
        decided(job, std::move(decision), waited || job->held_since != MonoTime{});
      });
  if (undecide) state_->wait_for_stores(job, std::move(undecide));
}

void Dispatcher::decided(const JobPtr& job, Decision decision, bool waited) {
  if (decision.pending) return wait_for_person(job, decision);
  State::withdraw_question(*job);  // somebody else has decided
  if (const auto barred = waited && decision.allow ? job->callee->barred() : std::nullopt) {
    state_->deps.policy.give_back(decision.reserved);
    decision = *barred;
  }
  job->reserved = std::move(decision.reserved);
  job->results = decision.results;
  job->results_observed = decision.results_observed;
  job->handles = decision.handles;
  if (!record(*job, decision)) return state_->deps.policy.give_back(job->reserved);
  run(job);
}

// The parameters of elicitation/create that every era knows: a form, which is what it is without `mode`.
Json Dispatcher::question(const Job& job, const PendingApproval& pending) const {
  // The presenter's hand on the question, too: it quotes arguments.
  const Json safe = state_->deps.presenter.plain_failure(pending.question, job.redactor);
  const Json schema = {
      {"type", "object"},
      {"properties",
       {{"decision", {{"type", "string"}, {"title", "Decision"}, {"enum", Json::array({"approve", "deny"})}}}}},
      {"required", Json::array({"decision"})}};
  return {{"message", safe["content"][0]["text"]}, {"requestedSchema", schema}};
}

// MCP 2026-07-28, multi round-trip requests: the client asks its user, and calls again with the answer.
Json Dispatcher::ask_user(const Job& job, const PendingApproval& pending) const {
  Json params = question(job, pending);
  params["mode"] = "form";
  Json requests = Json::object();
  requests[std::string(kQuestion)] = {{"method", "elicitation/create"}, {"params", std::move(params)}};
  return {{"resultType", "input_required"}, {"inputRequests", std::move(requests)}, {"requestState", pending.state}};
}

void Dispatcher::ask_within(const JobPtr& job, const PendingApproval& pending) {
  const MonoTime now = state_->deps.clock.mono();
  const auto left = std::chrono::milliseconds(pending.expires_ms - unix_ms(state_->deps.clock.wall()));
  const MonoTime waits_until = std::exchange(job->waits_until, now + std::min<Duration>(kQuestionTime, left));
  job->asked = true;
  if (!state_->hold(job, [this, job] { decide(job); })) {
    job->waits_until = waits_until;
    return;
  }
  job->withdraw = job->caller.ask_user(question(*job, pending), [this, weak = std::weak_ptr(state_), job,
                                                                 state = pending.state, waits_until](Json result) {
    const auto self = weak.lock();
    if (self && !self->closed()) take_answer(job, state, std::move(result), waits_until);
  });
}

// Whatever it says, nobody is asked again: what is still undecided waits as if there were no user to ask.
void Dispatcher::take_answer(const JobPtr& job, const std::string& state, Json result, MonoTime waits_until) {
  job->withdraw = nullptr;
  const bool is_held = state_->held.contains(job);
  if (!is_held && !state_->deciding.contains(job)) return;  // decided meanwhile
  job->waits_until = waits_until;
  job->users_answer.emplace(state, std::move(result));
  if (!is_held) return;  // stores are being asked, and do not know of it: wait_for_person() will
  state_->let_go(job);
  hand_in_answer(*job);
  decide(job);
}

void Dispatcher::hand_in_answer(Job& job) {
  auto [state, result] = *std::exchange(job.users_answer, std::nullopt);
  if (!result.is_object()) return;
  Json responses = Json::object();
  responses[std::string(kQuestion)] = std::move(result);
  (void)state_->deps.policy.take_answer(state_->subject_of(job), state, responses);
}

void Dispatcher::wait_for_person(const JobPtr& job, const Decision& decision) {
  if (job->users_answer) {
    hand_in_answer(*job);
    return decide(job);
  }
  const PendingApproval& pending = *decision.pending;
  job->looked = state_->deps.clock.mono();
  job->decisions = pending.decisions;
  if (job->waits_for != pending.id) {  // once for each that the call waits for
    job->waits_for = pending.id;
    if (const Status logged = state_->write_decision(*job, "tools/call", job->callee->name(), decision); !logged) {
      (void)record(*job, decision);
      return;
    }
    job->waits_until = state_->deps.clock.mono() + pending.wait;
  }
  if (!pending.state.empty() && !job->caller.ask_user) return answer_later(*job, ask_user(*job, pending));
  if (!pending.state.empty() && !job->asked) {
    ask_within(job, pending);
    if (state_->held.contains(job)) return;
  }
  const auto left = job->waits_until - state_->deps.clock.mono();
  if (left > Duration::zero() && state_->hold(job, [this, job] { decide(job); })) return;
  State::withdraw_question(*job);
  Json answer = state_->deps.presenter.plain_failure(pending.text, job->redactor);
  answer["_meta"]["dev.sluice/approval"] = {
      {"id", pending.id},
      {"expires_at", iso8601_ms(WallTime(std::chrono::milliseconds(pending.expires_ms)))},
      {"status", "pending"}};
  answer_later(*job, std::move(answer));
}

void Dispatcher::read_resource(const JobPtr& job, const mcp::ReadResource& read) {
  auto resource = state_->deps.registry.find_resource(read.uri);
  if (!resource) {
    return answer_later(*job, fail(Code::kNotFound, fmt::format("Resource {} not found", echo_name(read.uri))));
  }
  judge(job, Registry::callee_of(std::move(resource)), Json::object(), {});
}

void Dispatcher::begin_request(const JobPtr& job) {
  const Callee& callee = *job->callee;
  const auto barred = callee.barred();
  const Decision decision = barred ? *barred : state_->deps.policy.judge_method(job->caller, callee.governing());
  if (!decision.allow) {
    (void)state_->write_decision(*job, callee.method(), callee.name(), decision);
    const std::string_view what = callee.method().starts_with("tasks/") ? "Task" : "Resource";
    return answer_later(*job, fail(Code::kNotFound, fmt::format("{} {} not found", what, echo_name(callee.name()))));
  }
  job->results = decision.results;
  job->results_observed = decision.results_observed;
  job->handles = decision.handles;
  if (state_->is_full()) return answer_later(*job, State::full());
  if (record(*job, decision)) run(job);
}

void Dispatcher::complete(const JobPtr& job, const mcp::Complete& complete) {
  if (complete.of != mcp::Complete::Of::kResourceTemplate) {
    return answer_later(
        *job, fail(Code::kNotFound, fmt::format("There is nothing to complete for {}", echo_name(complete.target))));
  }
  list_slowly(job, Registry::completion(complete.target, complete.argument, complete.value));
}

// What a list shows is looked for on the disk. As the other lists it has no record: offers() has judged it.
void Dispatcher::list_slowly(const JobPtr& job, CalleePtr listing) {
  job->callee = std::move(listing);
  if (state_->is_full()) return answer_later(*job, State::full());
  run(job);
}

void Dispatcher::run(const JobPtr& job) {
  state_->begin(job);
  switch (job->callee->place()) {
    case Callee::Place::kPool:
      boost::asio::post(state_->pool, [state = state_, job] { state->work(job); });
      break;
    case Callee::Place::kHere:
      state_->work(job);
      break;
    case Callee::Place::kElsewhere:
      state_->send(job);
      break;
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
    if (state_->deps.registry.is_fixed(uri)) granted.push_back(uri);
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

#include "gateway/job.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <unordered_set>

#include "base/ids.h"
#include "gateway/answer_cut.h"
#include "gateway/handle_naming.h"
#include "gateway/policy_gate.h"
#include "tools/services.h"
#include "tools/visible_names.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostHeld = 64;            // calls that wait for a person with their connection open
constexpr std::chrono::milliseconds kLook{250};  // a decision reaches them within a second (gate.md 5)
// What is no decision of a person ends a call that waits as well: another policy, the end of its grant.
constexpr std::chrono::seconds kLookAnyway{2};
constexpr std::chrono::seconds kNotice{1};

std::string_view word_for(const Decision& decision) {
  if (decision.pending) return "ask";
  if (!decision.allow) return "deny";
  return decision.would_deny ? "would_deny" : "allow";
}

}  // namespace

void Dispatcher::State::begin(const JobPtr& job) {
  jobs.insert(job);
  job->started = deps.clock.mono();
  job->timer.emplace(deps.control, job->callee->deadline().value_or(limits.hard_deadline));
  job->timer->async_wait([weak = weak_from_this(), job](const boost::system::error_code& error) {
    const auto state = weak.lock();
    if (error || !state || state->closed_) return;
    job->call->request_stop();
    state->finish(job, state->failure(*job, Code::kTimeout, "The call took too long and was stopped."),
                  {"timeout", ""});
  });
}

Result<Json> Dispatcher::State::failure(const Job& job, Code code, std::string_view text) const {
  if (!job.callee || job.callee->is_tool()) return deps.presenter.plain_failure(text, job.redactor);
  return fail(code, std::string(text));
}

void Dispatcher::State::send(const JobPtr& job) {
  job->ran = true;
  job->view.emplace(job->redactor, job->results.get(), job->results_observed, &job->end.rule);
  job->on_stop.emplace(job->call->stop_.get_token(), [weak = weak_from_this(), job] {
    const auto state = weak.lock();
    if (!state) return;
    boost::asio::post(state->deps.control, [weak, job] {
      const auto now = weak.lock();
      if (!now || now->closed_ || job->finished) return;
      now->finish(job, now->failure(*job, Code::kCancelled, "The call was cancelled."), {"cancelled", ""});
    });
  });
  job->callee->send(deps.presenter, *job->view, [weak = weak_from_this(), job](Result<Json> answer, CallEnd end) {
    const auto state = weak.lock();
    if (!state || state->closed_ || job->finished) return;
    if (!job->end.rule.empty()) end.rule = job->end.rule;
    if (!end.rule.empty() && !job->results_observed) end.status = "withheld";
    job->ran = end.consumed;
    state->finish(job, std::move(answer), end);
  });
}

void Dispatcher::State::wait_for_stores(const JobPtr& job, Policy::Withdraw undecide) {
  deciding.insert(job);
  job->undecide = std::move(undecide);
  job->on_stop.emplace(job->call->stop_.get_token(), [weak = weak_from_this(), job] {
    const auto state = weak.lock();
    if (!state) return;
    boost::asio::post(state->deps.control, [weak, job] {
      const auto now = weak.lock();
      if (!now || now->closed_ || !now->deciding.contains(job)) return;
      job->undecide();
      (void)now->decided(job);
      withdraw_question(*job);
      const Done done = std::move(job->done);
      done(now->failure(*job, Code::kCancelled, "The call was cancelled."));
    });
  });
}

bool Dispatcher::State::decided(const JobPtr& job) {
  if (deciding.erase(job) == 0) return false;
  job->undecide = nullptr;
  job->on_stop.reset();
  return true;
}

bool Dispatcher::State::hold(const JobPtr& job, std::function<void()> again) {
  if (held.size() >= kMostHeld) return false;
  if (job->held_since == MonoTime{}) job->held_since = job->last_progress = deps.clock.mono();
  held.insert(job);
  job->timer.emplace(deps.control, kLook);
  job->timer->async_wait(
      [weak = weak_from_this(), job, again = std::move(again)](const boost::system::error_code& error) {
        const auto state = weak.lock();
        if (error || !state || state->closed_) return;
        state->held.erase(job);
        if (job->call->stop_.stop_requested()) {
          withdraw_question(*job);
          return job->done(state->deps.presenter.plain_failure("The call was cancelled.", job->redactor));
        }
        const MonoTime now = state->deps.clock.mono();
        if (job->progress && now - job->last_progress >= kNotice) {
          const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
          job->last_progress = now;
          job->progress(seconds(now - job->held_since), seconds(job->waits_until - job->held_since),
                        "Waiting for a person to decide");
        }
        if (state->is_due(*job, now)) return again();
        (void)state->hold(job, again);  // it has just made room for itself
      });
  return true;
}

bool Dispatcher::State::is_due(const Job& job, MonoTime now) const {
  if (now >= job.waits_until || now - job.looked >= kLookAnyway) return true;
  const auto decisions = deps.policy.decisions();
  return !decisions || decisions != job.decisions;
}

std::size_t Dispatcher::State::running(std::string_view grant) const {
  const auto is_its = [&](const JobPtr& job) { return job->caller.grant == grant; };
  return static_cast<std::size_t>(std::count_if(jobs.begin(), jobs.end(), is_its) +
                                  std::count_if(deciding.begin(), deciding.end(), is_its));
}

Subject Dispatcher::State::subject_of(const Job& job) const {
  const Callee& callee = *job.callee;
  const std::size_t elsewhere = running_elsewhere ? running_elsewhere(job.caller.grant) : 0;
  return {.caller = job.caller,
          .server = callee.server(),
          .method = callee.method(),
          .name = callee.name(),
          .risk = callee.risk(),
          .arguments = job.arguments,
          .in_flight = running(job.caller.grant) + elsewhere,
          .spellings = &job.spellings,
          .schema = callee.input_schema()};
}

// The owner's calls are nobody's to govern.
void Dispatcher::State::keep_call(const Job& job, std::string_view method, std::string_view name,
                                  const Decision& decision) const {
  if (!deps.calls || job.caller.grant == "owner") return;
  CallRecorder::Call call{.grant = job.caller.grant,
                          .server = job.callee ? job.callee->server() : deps.server,
                          .method = method,
                          .tool = name,
                          .decision = word_for(decision),
                          .rule = decision.rule,
                          .approver = decision.approver};
  if (job.callee && job.callee->is_tool()) {
    if (const auto risk = policy_risk(job.callee->risk())) call.risk = policy::to_string(*risk);
    const bool unjudged = !job.was_parsed;
    call.arguments = !unjudged ? &job.arguments : job.unjudged ? &*job.unjudged : nullptr;
    call.spellings = unjudged ? &job.unjudged_spellings : &job.spellings;
    call.schema = job.callee->input_schema();
  }
  deps.calls->append(call);
}

Status Dispatcher::State::write_decision(Job& job, std::string_view method, std::string_view name,
                                         const Decision& decision) {
  job.id = make_uuid(deps.entropy);
  stats.decided(job.caller.grant == "owner", word_for(decision));
  if (!decision.allow && !decision.pending) {
    const bool own_line = denials.add(job.caller.grant, decision.rule);
    deps.policy.count_denial_later(job.caller, [weak = weak_from_this(), grant = job.caller.grant](WallTime until) {
      if (const auto state = weak.lock()) state->denials.shut_out(grant, until);
    });
    if (!own_line) return {};
  }
  Status written = deps.audit.append({.id = job.id,
                                      .grant = job.caller.grant,
                                      .session = job.caller.session,
                                      .server = job.callee ? job.callee->server() : deps.server,
                                      .method = method,
                                      .tool = name,
                                      .arguments = &job.arguments,
                                      .decision = word_for(decision),
                                      .rule = decision.rule,
                                      .message = decision.message,
                                      .policy_revision = decision.revision,
                                      .approval = decision.approval,
                                      .approver = decision.approver,
                                      .has_outcome = job.done != nullptr});
  if (written) keep_call(job, method, name, decision);
  return written;
}

void Dispatcher::State::finish(const JobPtr& job, Result<Json> answer, const CallEnd& end) {
  if (job->finished || closed_) return;
  job->finished = true;
  job->timer.reset();
  jobs.erase(job);
  job->on_stop.reset();
  if (job->callee->place() == Callee::Place::kElsewhere) job->callee->stop();  // the deadline, or the caller
  // Stopped before it began: it provably did nothing. Asked to stop first, so that it cannot begin now.
  if (!job->ran) deps.policy.give_back(job->reserved);
  if (!job->id.empty()) {  // a list has no record
    const ByteCount bytes = answer ? json_octets(*answer) : end.bytes != 0 ? end.bytes : answer.error().message.size();
    stats.ended(end.status, deps.clock.mono() - job->started);
    deps.audit.append(AuditLog::OutcomeRecord{job->id, end.status, deps.clock.mono() - job->started, bytes, end.rule,
                                              end.http_status, end.error_code});
  }
  const auto risk = job->callee->risk();
  if (risk && *risk != tools::Risk::kRead) {
    changes->mark(Changes::kStatus);
    if (*risk == tools::Risk::kDestructive) changes->mark(Changes::kTraffic);
  }
  const Done done = std::move(job->done);
  done(std::move(answer));
}

void Dispatcher::State::close() {
  denials.each_second();  // what was counted since the last time
  closed_ = true;
  for (const JobPtr& job : jobs) {
    job->call->request_stop();
    job->timer.reset();
    job->on_stop.reset();
    if (job->callee->place() == Callee::Place::kElsewhere) job->callee->stop();  // it holds the job
  }
  for (const JobPtr& job : held) job->timer.reset();
  for (const JobPtr& job : deciding) {
    job->undecide();
    job->undecide = nullptr;
    job->on_stop.reset();
  }
  pool.join();
  // What the pool had not come to.
  for (const JobPtr& job : jobs) {
    if (!job->ran) deps.policy.give_back(job->reserved);
  }
  jobs.clear();
  deciding.clear();
  held.clear();
}

Result<Json> Dispatcher::State::perform(Job& job, tools::CallContext& context) const {
  job.ran = true;  // before the look at the token: see finish()
  if (context.stop.stop_requested()) {
    job.ran = false;
    job.end.status = "cancelled";
    return deps.presenter.plain_failure("The call was cancelled.", job.redactor);
  }
  Presenter::View view{job.redactor, job.results.get(), job.results_observed, &job.end.rule};
  std::optional<HandleNaming> handles;
  // Not on the control thread: it may read bodies.
  if (context.handles && job.redactor && job.callee->place() == Callee::Place::kPool) {
    view.handles = &handles.emplace(*deps.services, job.caller.grant, context.stop);
  }
  return job.callee->run({job.arguments, context, deps.presenter, view, job.end});
}

Json Dispatcher::State::tools_for(const Caller& caller) const {
  Json entries = Json::array();
  std::unordered_set<std::string_view> seen;
  for (const tools::Tool& tool : deps.registry.tools()) {
    if (!deps.policy.may_see(caller, kServer, tool.name, tool.risk)) continue;
    entries.push_back(deps.registry.tool_entry(tool));
    seen.insert(tool.name);
  }
  tools::drop_unseen(entries,
                     [&](std::string_view word) { return deps.registry.is_a_tool(word) && !seen.contains(word); });
  return entries;
}

void Dispatcher::State::work(const JobPtr& job) {
  tools::CallContext context;
  context.grant = job->caller.grant;
  context.credential = job->caller.credential;
  context.session = job->caller.session;
  context.redactor = job->redactor;
  context.stop = job->call->stop_.get_token();
  context.deadline = job->started + limits.soft_deadline;
  context.services = deps.services;
  context.handles = job->handles && deps.services && deps.services->handles;
  context.list_tools = [this, &job] { return tools_for(job->caller); };
  if (job->progress) {
    context.progress = [this, &job](double progress, double total, std::string_view message) {
      report(job, progress, total, message);
    };
  }
  bool egress_refused = false;
  context.egress_refused = &egress_refused;
  Result<Json> answer = Json();
  try {
    answer = perform(*job, context);
    if (!job->end.rule.empty() && !job->results_observed) job->end.status = "withheld";
    if (egress_refused && job->end.rule.empty()) job->end.rule = "/egress";
  } catch (const std::exception& bug) {
    if (deps.on_bug) deps.on_bug(bug.what());
    job->end = {"error", ""};
    answer = deps.presenter.failure("Error: internal error", job->redactor);
  }
  boost::asio::post(deps.control, [weak = weak_from_this(), job, answer = std::move(answer)]() mutable {
    if (const auto state = weak.lock()) state->finish(job, std::move(answer), job->end);
  });
}

void Dispatcher::State::report(const JobPtr& job, double progress, double total, std::string_view message) {
  const MonoTime now = deps.clock.mono();
  if (now - job->last_progress < limits.progress_interval) return;
  job->last_progress = now;
  const Presenter::View view{job->redactor, job->results.get(), job->results_observed, nullptr};
  auto said = deps.presenter.progress(message, view);
  boost::asio::post(deps.control, [weak = weak_from_this(), job, progress, total, text = std::move(said)] {
    const auto state = weak.lock();
    if (state && !state->closed_ && !job->finished) job->progress(progress, total, text);
  });
}

}  // namespace sluice::gateway

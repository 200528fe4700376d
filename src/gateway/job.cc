#include "gateway/job.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/ids.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostHeld = 64;            // calls that wait for a person with their connection open
constexpr std::chrono::milliseconds kLook{250};  // a decision reaches them within a second (gate.md 5)
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
  job->timer.emplace(deps.control, limits.hard_deadline);
  job->timer->async_wait([weak = weak_from_this(), job](const boost::system::error_code& error) {
    const auto state = weak.lock();
    if (error || !state || state->closed_) return;
    job->call->request_stop();
    const char* text = "The call took too long and was stopped.";
    if (job->resource) {
      state->finish(job, fail(Code::kTimeout, text), "timeout");
    } else {
      state->finish(job, state->deps.presenter.plain_failure(text, job->redactor), "timeout");
    }
  });
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
          return job->done(state->deps.presenter.plain_failure("The call was cancelled.", job->redactor));
        }
        const MonoTime now = state->deps.clock.mono();
        if (job->progress && now - job->last_progress >= kNotice) {
          const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
          job->last_progress = now;
          job->progress(seconds(now - job->held_since), seconds(job->waits_until - job->held_since),
                        "Waiting for a person to decide");
        }
        again();
      });
  return true;
}

std::size_t Dispatcher::State::running(std::string_view grant) const {
  return static_cast<std::size_t>(
      std::count_if(jobs.begin(), jobs.end(), [&](const JobPtr& job) { return job->caller.grant == grant; }));
}

Status Dispatcher::State::write_decision(Job& job, std::string_view method, std::string_view name,
                                         const Decision& decision) {
  job.id = make_uuid(deps.entropy);
  return deps.audit.append({.id = job.id,
                            .grant = job.caller.grant,
                            .session = job.caller.session,
                            .server = kServer,
                            .method = method,
                            .tool = name,
                            .arguments = &job.arguments,
                            .decision = word_for(decision),
                            .rule = decision.rule,
                            .message = decision.message,
                            .policy_revision = decision.revision,
                            .approval = decision.approval,
                            .approver = decision.approver});
}

void Dispatcher::State::finish(const JobPtr& job, Result<Json> answer, std::string_view status) {
  if (job->finished || closed_) return;
  job->finished = true;
  job->timer.reset();
  jobs.erase(job);
  // Stopped before it began: it provably did nothing. Asked to stop first, so that it cannot begin now.
  if (!job->ran) deps.policy.give_back(job->reserved);
  ByteCount bytes = 0;
  if (answer) {
    if (const Json* content = find_member(*answer, "content"); content && !content->empty()) {
      bytes = (*content)[0]["text"].get_ref<const std::string&>().size();
    }
  }
  deps.audit.append(AuditLog::OutcomeRecord{job->id, status, deps.clock.mono() - job->started, bytes});
  if (job->tool && job->tool->risk != tools::Risk::kRead) {
    changes->mark(Changes::kStatus);
    if (job->tool->risk == tools::Risk::kDestructive) changes->mark(Changes::kTraffic);
  }
  const Done done = std::move(job->done);
  done(std::move(answer));
}

void Dispatcher::State::close() {
  closed_ = true;
  for (const JobPtr& job : jobs) {
    job->call->request_stop();
    job->timer.reset();
  }
  for (const JobPtr& job : held) job->timer.reset();
  pool.join();
  jobs.clear();
  held.clear();
}

Json Dispatcher::State::perform(Job& job, tools::CallContext& context, std::string& status) const {
  job.ran = true;  // before the look at the token: see finish()
  if (context.stop.stop_requested()) {
    job.ran = false;
    status = "cancelled";
    return deps.presenter.plain_failure("The call was cancelled.", job.redactor);
  }
  if (job.resource) return deps.presenter.resource(*job.resource, job.redactor, job.resource->read(deps.services));
  auto result = job.tool->function(job.arguments, context);
  if (result) return deps.presenter.success(*job.tool, job.arguments, job.redactor, *std::move(result));
  status = result.error().code == Code::kCancelled ? "cancelled" : "error";
  return deps.presenter.failure(*job.tool, result.error(), job.redactor);
}

Json Dispatcher::State::tools_for(const Caller& caller) const {
  Json entries = Json::array();
  for (const tools::Tool& tool : deps.registry.tools()) {
    if (deps.policy.may_see(caller, kServer, tool.name, tool.risk)) entries.push_back(deps.registry.tool_entry(tool));
  }
  return entries;
}

void Dispatcher::State::work(const JobPtr& job) {
  tools::CallContext context;
  context.grant = job->caller.grant;
  context.session = job->caller.session;
  context.redactor = job->redactor;
  context.stop = job->call->stop_.get_token();
  context.deadline = job->started + limits.soft_deadline;
  context.services = &deps.services;
  context.list_tools = [this, &job] { return tools_for(job->caller); };
  if (job->progress) {
    context.progress = [this, &job](double progress, double total, std::string_view message) {
      report(job, progress, total, message);
    };
  }
  std::string status = "ok";
  Json answer;
  try {
    answer = perform(*job, context, status);
  } catch (const std::exception& bug) {
    if (deps.on_bug) deps.on_bug(bug.what());
    status = "error";
    answer = deps.presenter.failure("Error: internal error", job->redactor);
  }
  boost::asio::post(deps.control, [weak = weak_from_this(), job, answer = std::move(answer), status]() mutable {
    if (const auto state = weak.lock()) state->finish(job, std::move(answer), status);
  });
}

void Dispatcher::State::report(const JobPtr& job, double progress, double total, std::string_view message) {
  const MonoTime now = deps.clock.mono();
  if (now - job->last_progress < limits.progress_interval) return;
  job->last_progress = now;
  boost::asio::post(deps.control, [weak = weak_from_this(), job, progress, total, text = std::string(message)] {
    const auto state = weak.lock();
    if (state && !state->closed_ && !job->finished) job->progress(progress, total, text);
  });
}

}  // namespace sluice::gateway

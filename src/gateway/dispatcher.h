// The one door to the tools, for agents, UI and command line, with two verbs: `call` runs one operation, `subscribe`
// watches resources (DESIGN 2, engine.md 7). It finds the tool, parses the arguments, asks the policy, writes the audit
// records, keeps the deadline, runs slow tools on a small pool, and has every answer made safe by the presenter.
//
// Control thread only, but for request_stop() and the tools themselves. Completions always come later, from the control
// thread, exactly once for each call whose handle lives or not; after destruction none comes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/limits.h"
#include "base/result.h"
#include "gateway/audit.h"
#include "gateway/call_recorder.h"
#include "gateway/call_stats.h"
#include "gateway/callee.h"
#include "gateway/changes.h"
#include "gateway/policy.h"
#include "gateway/presenter.h"
#include "gateway/registry.h"
#include "mcp/operation.h"

namespace sluice::gateway {

struct DispatcherLimits {
  std::size_t pool_threads = 4;
  std::size_t max_running = 256;           // calls of the whole process, queued ones included
  std::chrono::seconds soft_deadline{30};  // what a tool sees: it may answer in part
  std::chrono::seconds hard_deadline{60};  // the caller gets an error then
  std::chrono::milliseconds progress_interval{100};
};

// All outlive the dispatcher.
struct DispatcherDeps {
  boost::asio::any_io_executor control;
  const Clock& clock;
  Entropy& entropy;
  tools::Services* services;  // of our own tools; null where there are none
  const Registry& registry;
  Policy& policy;
  const Presenter& presenter;
  AuditLog& audit;
  std::function<void(std::string_view)> on_bug;  // an exception that escaped a tool; any thread; may be empty
  std::string_view server = kServer;             // whose methods are refused, for the audit
  CallRecorder* calls = nullptr;                 // null: no call is kept
};

// A call under way. Dropping it changes nothing; request_stop() asks the work to end (any thread).
class RunningCall {
 public:
  void request_stop() { stop_.request_stop(); }

 private:
  friend class Dispatcher;
  std::stop_source stop_;
};

class Dispatcher {
 public:
  // The object that the operation names (mcp/operation.h). kNotFound: no such tool or resource.
  using Done = std::function<void(Result<Json>)>;
  using Progress = std::function<void(double progress, double total, std::string message)>;

  Dispatcher(DispatcherDeps deps, DispatcherLimits limits);
  ~Dispatcher();  // stops what runs and waits for it

  // A request to an upstream server, of any method, through the same gate: what is closed was refused with offers().
  // A tool's denial is a result with isError, every other one an error.
  std::shared_ptr<RunningCall> call(const Caller& caller, CalleePtr callee, const Json& arguments, mcp::Retry retry,
                                    Progress progress, Done done);
  // Lists, tools/call, resources/read, prompts/get, completion. Subscriptions are the other verb: kInvalid.
  std::shared_ptr<RunningCall> call(const Caller& caller, mcp::OperationBody operation, Progress progress, Done done);

  // Which of these URIs this caller may watch; the rest does not exist for it.
  std::vector<std::string> watchable(const Caller& caller, std::span<const std::string> uris) const;
  using Subscription = Changes::Watch;
  // `changed` is called from the control thread with the URI, at most four times a second for each. Ends with the
  // handle.
  Result<Subscription> subscribe(const Caller& caller, std::vector<std::string> uris,
                                 std::function<void(std::string_view uri)> changed);

  // `changed` is called from the control thread when a caller may see other tools than before.
  Subscription watch_tools(std::function<void()> changed);

  // Whether this method may be used by this caller at all; a refusal is written down. What is refused does not exist
  // (-32601). `record`: where it is written that the method passes only because nothing is enforced yet.
  enum class Record { kHere, kByCall };
  bool offers(const Caller& caller, std::string_view method, Record record);
  // A refused name that nothing stands for here, such as a tool of an upstream server that its list does not have.
  Error unknown_tool(std::string_view name) const;

  // A caller that was denied too often (max_denials) gets no answers until then: HTTP 429. Asking counts as a denial.
  std::optional<WallTime> shut_out_until(const Caller& caller);
  // What this caller sent is no request that could be judged: counted in the audit, as denials beyond a rate are.
  void count_malformed(const Caller& caller);
  // The same of a name or a method that there is not.
  void count_unknown(const Caller& caller);
  // Audit: what was counted is written, what was written is signed.
  void each_second();

  // Marks from outside: the ring's on_change.
  const std::shared_ptr<Changes>& changes() const { return changes_; }
  std::size_t running() const;
  std::size_t running(std::string_view grant) const;  // and nobody else's
  // How many calls of a grant run where they count together with these (max_in_flight): at the other servers of an
  // endpoint. Outlived by what it asks.
  void count_with(std::function<std::size_t(std::string_view grant)> running_elsewhere);
  const CallStats& stats() const;
  // Asks every call to end but the owner's.
  void stop_calls();

 private:
  struct State;
  struct Job;
  using JobPtr = std::shared_ptr<Job>;

  Result<Json> list(const Caller& caller, const mcp::OperationBody& operation) const;
  JobPtr make_job(const Caller& caller, Progress progress, Done done) const;
  bool shut_out(const JobPtr& job);  // true: it was answered so
  void call_tool(const JobPtr& job, const mcp::CallTool& call);
  void judge(const JobPtr& job, CalleePtr callee, const Json& arguments, const mcp::Retry& retry);
  // Of parsed arguments: runs it, denies it, or has it wait for a person.
  void decide(const JobPtr& job);
  // `waited`: time has passed since the call was judged by its name.
  void decided(const JobPtr& job, Decision decision, bool waited);
  Json question(const Job& job, const PendingApproval& pending) const;
  Json ask_user(const Job& job, const PendingApproval& pending) const;
  // Within the call: while it is held.
  void ask_within(const JobPtr& job, const PendingApproval& pending);
  void take_answer(const JobPtr& job, const std::string& state, Json result, MonoTime waits_until);
  void hand_in_answer(Job& job);
  void wait_for_person(const JobPtr& job, const Decision& decision);
  void read_resource(const JobPtr& job, const mcp::ReadResource& read);
  void begin_request(const JobPtr& job);  // of no tool
  void list_slowly(const JobPtr& job, CalleePtr listing);
  void complete(const JobPtr& job, const mcp::Complete& complete);
  // Writes the decision; false: it is a denial, or could not be written, and the answer was given.
  bool record(Job& job, const Decision& decision);
  void run(const JobPtr& job);
  void answer_later(Job& job, Result<Json> answer);

  std::shared_ptr<Changes> changes_;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::gateway

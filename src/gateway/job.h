// What the dispatcher keeps of one call and of all of them. Private to the dispatcher.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <unordered_set>

#include "gateway/denials.h"
#include "gateway/dispatcher.h"

namespace sluice::gateway {

struct Dispatcher::Job {
  Caller caller;
  std::string id;                   // of the audit records
  CalleePtr callee;                 // null: only for a denial
  Json arguments = Json::object();  // effective
  policy::Spellings spellings;      // of numbers in them
  bool was_parsed = false;          // `arguments` are the call's
  std::optional<Json> unjudged;     // what they would have been: the call was denied on its name, and calls are kept
  policy::Spellings unjudged_spellings;
  const Redactor* redactor = nullptr;
  std::shared_ptr<const policy::ResultFilter> results;  // null: nothing more happens to the answer
  bool results_observed = false;
  bool handles = false;  // the policy has them
  CallEnd end;
  std::optional<Presenter::View> view;  // while it runs
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  std::shared_ptr<RunningCall> call;
  Progress progress;
  Done done;
  MonoTime started, last_progress;
  std::optional<boost::asio::steady_timer> timer;  // the hard deadline
  bool finished = false;                           // control thread: answered
  policy::Reservation reserved;                    // given back if it never ran
  std::atomic<bool> ran{false};
  std::string waits_for;           // the approval's id
  bool asked = false;              // the caller's user, once in a call
  std::function<void()> withdraw;  // the question, while there is no answer
  // What was asked, and what its user said; until it is handed in.
  std::optional<std::pair<std::string, Json>> users_answer;
  Policy::Withdraw undecide;  // while stores elsewhere are asked
  MonoTime held_since, waits_until;
  MonoTime looked;                        // when it was judged last
  std::optional<std::int64_t> decisions;  // PendingApproval's of then
};

struct Dispatcher::State : std::enable_shared_from_this<State> {
  State(DispatcherDeps given, DispatcherLimits bounds, std::shared_ptr<Changes> changed)
      : deps(std::move(given)), limits(bounds), changes(std::move(changed)), pool(bounds.pool_threads) {}

  // --- control thread ---
  void begin(const JobPtr& job);
  void finish(const JobPtr& job, Result<Json> answer, const CallEnd& end);
  // What runs elsewhere.
  void send(const JobPtr& job);
  // Of a call that ends early: a tool's is a result.
  Result<Json> failure(const Job& job, Code code, std::string_view text) const;
  std::size_t running() const { return jobs.size() + deciding.size(); }
  std::size_t running(std::string_view grant) const;
  Subject subject_of(const Job& job) const;
  bool is_full() const { return running() >= limits.max_running; }
  Json tools_for(const Caller& caller) const;  // entries of tools/list
  static tl::unexpected<Error> full() { return fail(Code::kUnavailable, "too many calls are running; try again"); }
  // Has `again` called once a decision was made, its time is over, or some time has passed; false: too many are held
  // already. A call that is asked to stop meanwhile is answered.
  bool hold(const JobPtr& job, std::function<void()> again);
  // Stores elsewhere are asked about it, until decided(); one that is asked to stop meanwhile is answered.
  void wait_for_stores(const JobPtr& job, Policy::Withdraw undecide);
  bool decided(const JobPtr& job);  // false: it was decided from within
  // Of one that is held: off the list, before its time.
  void let_go(const JobPtr& job) {
    held.erase(job);
    job->timer.reset();
  }
  // Nobody waits for the user's answer any more.
  static void withdraw_question(Job& job) {
    if (const auto withdraw = std::exchange(job.withdraw, nullptr)) withdraw();
  }
  void keep_call(const Job& job, std::string_view method, std::string_view name, const Decision& decision) const;
  // The audit record, and the kept call; gives the job its id.
  Status write_decision(Job& job, std::string_view method, std::string_view name, const Decision& decision);
  bool closed() const { return closed_; }
  void close();

  // --- any thread ---
  void work(const JobPtr& job);  // runs the tool, presents, posts finish()
  void report(const JobPtr& job, double progress, double total, std::string_view message);

  DispatcherDeps deps;
  DispatcherLimits limits;
  std::function<std::size_t(std::string_view grant)> running_elsewhere;  // Dispatcher::count_with(); may be empty
  std::shared_ptr<Changes> changes;
  std::unordered_set<JobPtr> jobs;
  std::unordered_set<JobPtr> deciding;  // while stores elsewhere are asked
  std::unordered_set<JobPtr> held;      // until a person decides
  CallStats stats;
  Denials denials{deps.clock, deps.audit};
  boost::asio::thread_pool pool;

 private:
  Result<Json> perform(Job& job, tools::CallContext& context) const;
  bool is_due(const Job& job, MonoTime now) const;
  bool closed_ = false;
};

}  // namespace sluice::gateway

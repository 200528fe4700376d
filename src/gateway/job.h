// What the dispatcher keeps of one call and of all of them. Private to the dispatcher.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <unordered_set>

#include "gateway/dispatcher.h"

namespace sluice::gateway {

struct Dispatcher::Job {
  Caller caller;
  std::string id;                     // of the audit records
  const tools::Tool* tool = nullptr;  // or
  const Resource* resource = nullptr;
  Json arguments = Json::object();  // effective
  const Redactor* redactor = nullptr;
  std::shared_ptr<RunningCall> call;
  Progress progress;
  Done done;
  MonoTime started, last_progress;
  std::optional<boost::asio::steady_timer> timer;  // the hard deadline
  bool finished = false;                           // control thread: answered
};

struct Dispatcher::State : std::enable_shared_from_this<State> {
  State(DispatcherDeps given, DispatcherLimits bounds, std::shared_ptr<Changes> changed)
      : deps(std::move(given)), limits(bounds), changes(std::move(changed)), pool(bounds.pool_threads) {}

  // --- control thread ---
  void begin(const JobPtr& job);
  void finish(const JobPtr& job, Result<Json> answer, std::string_view status);
  std::size_t running() const { return jobs.size(); }
  bool closed() const { return closed_; }
  void close();

  // --- any thread ---
  void work(const JobPtr& job);  // runs the tool, presents, posts finish()
  void report(const JobPtr& job, double progress, double total, std::string_view message);

  DispatcherDeps deps;
  DispatcherLimits limits;
  std::shared_ptr<Changes> changes;
  std::unordered_set<JobPtr> jobs;
  boost::asio::thread_pool pool;

 private:
  Json perform(Job& job, tools::CallContext& context, std::string& status) const;
  bool closed_ = false;
};

}  // namespace sluice::gateway

// The policy of `serve` and `mcp`: loaded at the start, loaded again when its file changes. An edit that cannot be
// taken keeps the one in force, is told once, and is looked at again when the file changes again. gate.md 2,
// policy.md 1.1. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "app/policy_file.h"
#include "base/log.h"
#include "gateway/policy_gate.h"
#include "gateway/policy_store.h"

namespace sluice::app {

class PolicyWatch {
 public:
  enum class Reload { kYes, kNo };
  // An empty path: the built-in policy, which does not change.
  PolicyWatch(boost::asio::io_context& control, gateway::PolicyGate& gate, gateway::PolicyStore& store, Log& log,
              std::string path, Reload reload)
      : gate_(gate),
        store_(store),
        log_(log),
        path_(std::move(path)),
        reload_(path_.empty() ? Reload::kNo : reload),
        timer_(control) {}

  // kRefused: why it cannot be put in force, all reasons on standard error.
  Status load();
  // Looks at the file four times a second and has counters written through each second.
  void start(std::function<void()> on_change);
  bool may_change() const { return reload_ == Reload::kYes; }

  const std::string& path() const { return path_; }

 private:
  void wait();
  void look();

  gateway::PolicyGate& gate_;
  gateway::PolicyStore& store_;
  Log& log_;
  const std::string path_;
  const Reload reload_;
  boost::asio::steady_timer timer_;
  std::function<void()> on_change_;
  FileMark mark_;
  unsigned ticks_ = 0;
};

}  // namespace sluice::app

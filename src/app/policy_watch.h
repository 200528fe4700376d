// The policies of `serve`, `mcp` and `gateway`, that of `default` and those of grants: loaded at the start or when a
// grant is made, loaded again when their files change. An edit that cannot be taken keeps the one in force, is told
// once, and is looked at again when the file changes again. gate.md 2, policy.md 1.1. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/policy_file.h"
#include "base/log.h"
#include "gateway/egress_book.h"
#include "gateway/grants.h"
#include "gateway/policy_gate.h"
#include "policy/state_store.h"

namespace sluice::app {

class PolicyWatch {
 public:
  enum class Reload { kYes, kNo };
  struct Options {
    std::string path;  // of `default`; empty: the built-in policy, which does not change
    Reload reload = Reload::kYes;
    // Tools read beneath these, so no grant's policy may lie there, unless it is beneath `home`, which is closed.
    std::vector<std::string> tool_roots;
    std::string home;
    ToolsOf tools = ToolsOf::kOurs;
    std::string endpoint = {};    // of several servers: whose grants have policies for all of them
    bool tells_of_grants = true;  // false: another watch of this process says what is wrong with their policies
    gateway::EgressBook* egress = nullptr;  // told of each change; null: nothing is dialled for grants
  };
  PolicyWatch(boost::asio::io_context& control, gateway::PolicyGate& gate, policy::StateStore& store,
              gateway::Grants& grants, Log& log, Options options)
      : gate_(gate), store_(store), grants_(grants), log_(log), options_(std::move(options)), timer_(control) {}

  // That of `default`. kRefused: why it cannot be put in force, all reasons on standard error.
  Status load();
  // Those of grants, now and whenever grants change; looks at all files and at the grants four times a second, and has
  // counters written through each second. A grant's policy that cannot be put in force is told, and denies its calls.
  void start(std::function<void()> on_change, std::function<void()> on_tick);
  // Whether `default` may come to see other tools.
  bool may_change() const { return !options_.path.empty() && options_.reload == Reload::kYes; }

  const std::string& path() const { return options_.path; }

 private:
  struct Watched {
    FileMark mark;
    gateway::PolicyGate::EnginePtr engine;
  };
  void wait();
  void look();
  void look_at_grants();
  void take_grants();
  void put_in_force(gateway::PolicyGate::EnginePtr engine);  // of `default`
  Status check_place(const std::string& path) const;
  // The file's policy, or null: what is wrong was told.
  gateway::PolicyGate::EnginePtr take(const std::string& path, FileMark& mark, bool first);

  gateway::PolicyGate& gate_;
  policy::StateStore& store_;
  gateway::Grants& grants_;
  Log& log_;
  const Options options_;
  boost::asio::steady_timer timer_;
  std::function<void()> on_change_, on_tick_;
  FileMark mark_;
  std::map<std::string, Watched> files_;  // of grants
  unsigned ticks_ = 0;
};

}  // namespace sluice::app

// What the sub-commands that decide about others share: the state they work on, the admin credential that is asked for
// (gate.md 1), and the audit lines that they leave. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/config.h"
#include "app/home.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "gateway/audit.h"
#include "gateway/grant_store.h"

namespace sluice::app {

class AdminSession {
 public:
  // Opens the home; makes no state. Which state it works on: state.db, or that of --state; `gate close` and `gate
  // status` have none. kRefused: `gate open` without --state, where this home keeps its state elsewhere.
  static Result<std::unique_ptr<AdminSession>> open(const Config& config);

  // kRefused: there is none yet, it is not the one, or nobody can be asked. `method` ("grant/create") and `subject` are
  // what the audit says of a wrong one.
  Status require_admin(std::string_view method, std::string_view subject);
  // kRefused: nobody at the terminal has typed `word`.
  Status require_word(std::string_view word, std::string_view question) const;
  // One line in this process's own audit file. `approver`: by whose credential; empty: none was needed.
  Status record(std::string_view method, std::string_view subject, std::string_view decision = "allow",
                std::string_view rule = "", std::string_view approval = "", std::string_view message = "");

  std::int64_t now_ms() const { return unix_ms(clock_.wall()); }
  const Config& config() const { return config_; }
  const Home& home() const { return *home_; }
  Entropy& entropy() { return entropy_; }
  gateway::GateRows& state() { return *state_; }
  gateway::GrantStore& grants() { return *grants_; }

 private:
  explicit AdminSession(const Config& config) : config_(config) {}
  Result<Secret> ask() const;

  const Config& config_;
  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  std::optional<Home> home_;
  std::unique_ptr<gateway::GateRows> state_;
  std::optional<gateway::GrantStore> grants_;
  std::unique_ptr<gateway::AuditLog> audit_;
  bool proven_ = false;
};

// "30s", "15m", "12h", "30d" in seconds, at most ten years; empty: 0. kInvalid, naming the flag.
Result<std::int64_t> parse_span(const std::string& text, std::string_view flag);

}  // namespace sluice::app

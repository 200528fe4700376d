// What every `sluice gateway` has, however its clients come: the gate, its stores, and the way to its server.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <set>
#include <string>

#include "app/approval_service.h"
#include "app/config.h"
#include "app/gateway_run.h"
#include "app/home.h"
#include "app/policy_watch.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/redact.h"
#include "gateway/approval_store.h"
#include "gateway/audit.h"
#include "gateway/backend.h"
#include "gateway/child_upstream.h"
#include "gateway/dispatcher.h"
#include "gateway/grants.h"
#include "gateway/http_upstream.h"
#include "gateway/pin_store.h"
#include "gateway/policy_gate.h"
#include "gateway/relay.h"
#include "gateway/remote_state.h"
#include "gateway/shared_server.h"

namespace sluice::app {

class GatewayCore {
 public:
  // `remote`: of several cores together (state_open.h), which whoever made it closes; null: its own, where --state asks
  // for one. What are references outlives it.
  GatewayCore(const Config& config, Home home, boost::asio::io_context& control,
              std::shared_ptr<gateway::RemoteState> remote = nullptr);
  ~GatewayCore();

  struct Hooks {
    std::function<void()> look_again;  // other tools may be seen by now
    std::function<void()> tick;        // four times a second
    bool tells_of_grants = true;       // of several cores one does, for the person
  };
  Status build(Hooks hooks);
  // What connect() alone needs; build() does it, too.
  Status prepare_upstream();

  boost::asio::io_context& control() { return control_; }
  const Config& config() const { return config_; }
  const Home& home() const { return home_; }
  SystemFileSystem& files() { return files_; }
  const Clock& clock() const { return clock_; }
  SystemEntropy& entropy() { return entropy_; }
  gateway::Grants& grants() { return grants_; }
  gateway::Dispatcher& dispatcher() { return *dispatcher_; }
  const McpLimits& limits() const { return limits_; }
  Log& log() { return log_; }
  static void notice(std::string_view text);  // for the person who runs the gateway
  // The same of its server: with its name where there are several, and kept for `gateway status`.
  std::function<void(std::string_view)> notices();

  // What gives a relay its wires.
  struct Wires {
    std::function<void(gateway::ToClient)> to_client;
    std::function<void(std::string)> to_server;
  };
  enum class Asked { kMayBe, kNever };  // whether the clients' era lets servers ask them
  std::shared_ptr<gateway::Relay> make_relay(gateway::Caller caller, Wires wires, Asked asked = Asked::kMayBe);

  // Whether the server is a program of ours, and not reached over HTTP.
  bool has_child() const { return !config_.server_command.empty(); }
  Result<std::shared_ptr<gateway::ChildUpstream>> start_child(gateway::UpstreamEvents events,
                                                              gateway::ChildUpstream::OnExit on_exit);
  // A program has ended when its output has, or 5 seconds after it where somebody else holds that.
  Result<std::shared_ptr<gateway::Upstream>> connect(gateway::UpstreamEvents events);
  void signal_children(int number);  // those that connect() started
  gateway::RelayFactory relay_factory();
  // How many programs one set of clients has for itself.
  std::size_t programs() const { return has_child() && !is_shared() ? 1 : 0; }

  // What the approvals' service of several cores together is made of (they share their home's stores).
  gateway::PolicyGate& gate() { return gate_; }
  gateway::AdminApi::Deps admin_deps() { return {clock_, entropy_, grant_store_, approvals_, *audit_, remote_.get()}; }
  Result<std::size_t> count_waiting();  // for a person
  GateCounts counts() const { return {*dispatcher_, *audit_, calls_.get()}; }
  const Redactor& redactor() const { return redactor_; }

  void stop();  // before what hangs on the dispatcher goes

 private:
  gateway::GateRows& rows() { return remote_ ? remote_->rows : *local_state_; }
  Status prepare_grants();
  // gate.md 9: whether clients share what is behind a core, of one grant or of several.
  bool is_shared() const { return config_.isolation == "grant" || config_.isolation == "shared"; }
  Result<std::shared_ptr<gateway::Upstream>> join(const gateway::Caller& caller, gateway::ClientEra era,
                                                  gateway::UpstreamEvents events);
  void prepare_bearer(const Url& url, std::shared_ptr<tls::ClientContext> trust);
  void tick();
  // gate.md 3: what a policy names and the server does not have is said once.
  void compare(const gateway::Caller& caller, const std::set<std::string, std::less<>>& tools);
  bool look_at_pins();

  const Config& config_;
  Home home_;
  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  Redactor redactor_;
  Log log_;
  boost::asio::io_context& control_;
  const bool shares_remote_;
  std::shared_ptr<gateway::RemoteState> remote_;    // null: the state is in state.db,
  std::unique_ptr<gateway::GateRows> local_state_;  // which is null otherwise
  gateway::GrantStore grant_store_;
  gateway::ApprovalStore approvals_;
  gateway::PinStore pins_;
  gateway::Grants grants_;
  std::unique_ptr<policy::StateStore> policy_store_;
  gateway::PolicyGate gate_;
  McpLimits limits_;
  gateway::Presenter presenter_;
  mcp::ServerProfile no_profile_;  // the server says what clients are shown
  gateway::Registry no_tools_{tools::Toolset::kAll, {}};
  std::unique_ptr<PolicyWatch> policy_watch_;
  std::unique_ptr<gateway::AuditLog> audit_;
  std::unique_ptr<gateway::CallRecorder> calls_;
  std::unique_ptr<gateway::Dispatcher> dispatcher_;
  std::unique_ptr<ApprovalService> approval_service_;
  std::unique_ptr<gateway::HttpClient> http_;
  std::string http_target_, upstream_;  // what pins are kept under
  std::shared_ptr<const gateway::UpstreamFields> credentials_;
  std::shared_ptr<gateway::Bearer> bearer_;  // null: credentials_ have an Authorization
  std::shared_ptr<GatewayRunFile> run_;
  std::vector<std::weak_ptr<gateway::ChildUpstream>> children_;
  gateway::SharedServers shared_;
  Hooks hooks_;
  std::set<std::string, std::less<>> compared_;  // grants
  std::optional<std::int64_t> pins_revision_;    // absent: it could not be read
  unsigned ticks_ = 0;
  bool was_closed_ = false;
};

// Its program's or its URL's fields from --upstream-header-file and $SLUICE_UPSTREAM_TOKEN. Errors name files and
// fields, never values.
Result<gateway::UpstreamFields> read_upstream_fields(const std::string& path, const Secret* token);
// Why this may not be one of them; empty: it may. Never says the value.
std::string wrong_upstream_field(std::string_view name, std::string_view value);

// What is wrong with how --upstream was asked for; empty: nothing.
std::string wrong_upstream(const Config& config);

// One way for clients to come each; the exit code.
int run_gateway_on_stdio(GatewayCore& core);
int run_gateway_on_http(GatewayCore& core);
// The same with several servers: --config.
int run_gateway_on_stdio(const Config& config, const Home& home);
int run_gateway_on_http(const Config& config, const Home& home);

}  // namespace sluice::app

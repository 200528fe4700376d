// The only place that constructs services: reading wiring.cc shows the whole program. A Program is what `serve` and
// `mcp` share: engine, capture, rules, tools, dispatcher, and the threads they run on.
//
//   accept, workers   proxy::Engine's own; one io_context for each worker
//   capture           Ring::pump every 10 ms
//   disk              writes what capture formed
//   recorder          writes what is being recorded
//   lookups           which local programs the clients are
//   control           whoever runs control(): MCP, the dispatcher, signals
//   pool              the dispatcher's: slow tools
//   state             asks the Redis of --state (gateway/state_lane.h)
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/approval_service.h"
#include "app/config.h"
#include "app/home.h"
#include "app/policy_watch.h"
#include "base/allowed_roots.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/known_secrets.h"
#include "base/log.h"
#include "base/redact.h"
#include "capture/capture.h"
#include "gateway/audit.h"
#include "gateway/dispatcher.h"
#include "gateway/egress_book.h"
#include "gateway/grants.h"
#include "gateway/policy_gate.h"
#include "gateway/presenter.h"
#include "gateway/registry.h"
#include "gateway/remote_state.h"
#include "gateway/session_roots.h"
#include "gateway/state_db.h"
#include "mcp/mcp.h"
#include "net/process_lookup.h"
#include "proxy/engine.h"
#include "proxy/upstream_table.h"
#include "rules/rules.h"
#include "session/session.h"
#include "tools/adoptions.h"
#include "tools/secret_handles.h"
#include "tools/services.h"
#include "tools/traffic_loader.h"

namespace sluice::app {

class Program {
 public:
  static Result<std::unique_ptr<Program>> create(const Config& config, Home home);
  ~Program();  // stops the proxy, then the threads; removes the spool

  boost::asio::io_context& control() { return control_; }
  const Home& home() const { return home_; }
  FileSystem& files() { return files_; }
  const Clock& clock() const { return clock_; }
  Entropy& entropy() { return entropy_; }
  Log& log() { return log_; }
  proxy::Engine& engine() { return *engine_; }
  capture::Ring& ring() { return *ring_; }
  const tls::CertificateAuthority& authority() const { return *authority_; }
  gateway::Dispatcher& dispatcher() { return *dispatcher_; }
  tools::Adoptions& adoptions() { return adoptions_; }
  const McpLimits& mcp_limits() const { return mcp_limits_; }
  // What MCP clients are shown, for a grant; cursors are bound to it.
  const mcp::ServerProfile& agent_profile() const { return agent_profile_; }
  const mcp::ServerProfile& owner_profile() const { return owner_profile_; }
  gateway::Grants& grants() { return grants_; }
  const std::vector<proxy::ListenAddress>& listeners() const { return listeners_; }  // as configured
  const std::vector<proxy::ListenAddress>& transparent_listeners() const { return transparent_listeners_; }
  bool password_is_public() const { return password_is_public_.load(); }  // others may read the file of --proxy-auth
  std::size_t restored_rules() const { return restored_rules_; }          // that were made with persist
  bool encrypts_sessions() const { return sessions_->encrypts(); }
  proxy::UpstreamTablePtr upstreams() const { return upstreams_.table(); }
  const std::string& policy_path() const { return policy_watch_->path(); }  // empty: the built-in one
  std::uint64_t open_files() const { return open_files_; }                  // RLIMIT_NOFILE in force

 private:
  Program(const Config& config, Home home);
  Status build(const Config& config);
  gateway::GateRows& gate_rows() { return remote_ ? remote_->rows : *local_state_; }
  Status check_key_files() const;
  Status make_ring(const Config& config);
  Status restore_rules();
  Status make_engine(const Config& config);
  Status add_password(const Config& config, proxy::EngineOptions& options);
  Status set_upstreams(const Config& config);
  Status load_policy(const Config& config);
  const mcp::ServerProfile* profile_of(const std::string& grant);
  void offer_what_is_open();
  void offer_what_is_open(mcp::ServerProfile& profile) const;
  Status make_sessions(const Config& config);
  Status make_gate(const Config& config);
  void note_refused_egress();
  void end_replays_of_ended_grants();
  void run_capture();
  void run_disk();
  void run_recorder();
  void run_sealer();
  void run_indexer();
  void run_lookups();

  Home home_;
  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  KnownSecrets known_secrets_;
  Redactor redactor_;
  tools::SecretHandles handles_;
  Log log_;
  boost::asio::io_context control_{1};
  std::uint64_t open_files_ = 0;
  std::size_t workers_ = 1;
  std::size_t restored_rules_ = 0;

  std::vector<proxy::ListenAddress> listeners_, transparent_listeners_;
  std::atomic<bool> password_is_public_{false};
  std::shared_ptr<const tls::CertificateAuthority> authority_;
  net::ProcessLookup processes_;
  gateway::StateDb state_;
  rules::RuleStore rules_;
  proxy::UpstreamStore upstreams_;
  gateway::EgressBook egress_{clock_};
  std::unique_ptr<capture::Ring> ring_;
  std::unique_ptr<analysis::RingTextIndex> text_index_;
  gateway::SessionRoots session_roots_;
  std::unique_ptr<const AllowedRoots> tool_roots_;
  std::unique_ptr<tools::TrafficLoader> loader_;
  std::unique_ptr<session::Store> sessions_;
  std::unique_ptr<proxy::Engine> engine_;
  tools::Adoptions adoptions_;
  std::unique_ptr<tools::Services> services_;

  McpLimits mcp_limits_;
  mcp::ServerProfile agent_profile_, owner_profile_;
  std::map<std::string, std::unique_ptr<mcp::ServerProfile>> grant_profiles_;
  std::shared_ptr<gateway::RemoteState> remote_;    // null: the state is in state.db,
  std::unique_ptr<gateway::GateRows> local_state_;  // which is null otherwise
  gateway::GrantStore grant_store_;
  gateway::ApprovalStore approvals_;
  gateway::Grants grants_;
  std::unique_ptr<policy::StateStore> policy_store_;  // counters
  gateway::PolicyGate policy_gate_;
  std::unique_ptr<PolicyWatch> policy_watch_;
  std::unique_ptr<gateway::Registry> registry_;
  std::unique_ptr<gateway::Presenter> presenter_;
  std::unique_ptr<gateway::AuditLog> audit_;
  std::unique_ptr<gateway::CallRecorder> calls_;
  std::unique_ptr<gateway::Dispatcher> dispatcher_;
  std::unique_ptr<ApprovalService> approval_service_;

  bool was_closed_ = false;
  unsigned ticks_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread capture_thread_, disk_thread_, recorder_thread_, sealer_thread_, indexer_thread_, lookup_thread_;
};

// As many open files as the system lets us have; how many that are. Each intercepted pair is two.
std::uint64_t raise_open_files();

// "127.0.0.1:8080", "[::1]:8080"; kInvalid, naming the flag.
Result<proxy::ListenAddress> parse_listen(const std::string& text, std::string_view flag);

}  // namespace sluice::app

// `sluice gateway -- CMD ARGS…`: a client on our standard input and output, the server's program as our child, and the
// relay between them (docs/gateway.md).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "app/approval_service.h"
#include "app/audit_open.h"
#include "app/call_keeping.h"
#include "app/commands.h"
#include "app/home.h"
#include "app/policy_watch.h"
#include "app/state_open.h"
#include "app/trusted_file.h"
#include "base/log.h"
#include "base/redact.h"
#include "gateway/approval_store.h"
#include "gateway/audit.h"
#include "gateway/dispatcher.h"
#include "gateway/grants.h"
#include "gateway/pin_store.h"
#include "gateway/policy_gate.h"
#include "gateway/relay.h"
#include "net/server_process.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kGrace{5};  // for the server's program to end by itself, then by SIGTERM
constexpr std::size_t kMaxServerName = 32;

// gate.md 9; `sluice` is our own tools' name.
bool is_server_name(std::string_view name) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= kMaxServerName && std::all_of(name.begin(), name.end(), good) &&
         name != gateway::kServer;
}

std::string target_of(const std::vector<std::string>& command) {
  // One text for one command: what stands in quotes is quoted.
  std::string text;
  for (const std::string& part : command) text += (text.empty() ? "" : " ") + dump_json(Json(part));
  return text;
}

class GatewayProgram {
 public:
  GatewayProgram(const Config& config, Home home)
      : config_(config),
        home_(std::move(home)),
        redactor_(entropy_),
        log_({.level = parse_log_level(config.engine.log_level).value_or(LogLevel::kWarning)}, clock_, redactor_),
        gate_db_(home_.state_db()),
        grant_store_(gate_db_),
        approvals_(gate_db_),
        pins_(gate_db_),
        grants_(clock_, grant_store_),
        policy_store_(make_state_store(config.engine, home_, clock_, entropy_)),
        gate_(clock_, *policy_store_),
        presenter_(redactor_, limits_) {}

  Status build();
  int run();

 private:
  void prepare_grants();
  Result<gateway::Caller> identify();
  Status start_server();
  Status connect();
  void tick();
  void on_signal(int number);
  void end_server();
  void finish(int code);
  void finish_after(int code);
  void client_drained();

  const Config& config_;
  Home home_;
  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  Redactor redactor_;
  Log log_;
  asio::io_context control_{1};
  gateway::GateDb gate_db_;
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
  gateway::Caller caller_;
  std::shared_ptr<gateway::Relay> relay_;
  std::unique_ptr<gateway::StdioTransport> client_, server_;
  std::unique_ptr<net::ServerProcess> process_;
  asio::signal_set signals_{control_, SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{control_};
  std::int64_t pins_revision_ = 0;
  unsigned ticks_ = 0;
  bool was_closed_ = false, client_left_ = false, server_gone_ = false, finished_ = false, grant_ended_ = false;
  int code_ = 0;
};

void GatewayProgram::prepare_grants() {
  gateway::Grants::Options options;
  options.server = config_.server_name;
  grants_.set_options(std::move(options));
  grants_.set_profiles([this](const std::string&) { return &no_profile_; });
  grants_.on_error([this](std::string_view why) { log_.error("grants", {{"reason", why}}); });
}

Result<gateway::Caller> GatewayProgram::identify() {
  if (config_.grant.empty()) return gateway::Caller{"default", "stdio"};
  SLUICE_TRY(gateway::Identity who,
             grants_.identify_stdio(config_.grant, config_.grant_token ? config_.grant_token->view() : ""));
  who.caller.session = "stdio";
  return who.caller;
}

Status GatewayProgram::build() {
  SLUICE_CHECK(check_trusted(home_.state_db()));
  SLUICE_CHECK(check_state_store(config_.engine, *policy_store_));
  PolicyWatch::Options options;
  if (!config_.engine.policy.empty()) options.path = absolute_path(config_.engine.policy);
  options.reload = config_.engine.no_reload ? PolicyWatch::Reload::kNo : PolicyWatch::Reload::kYes;
  options.home = home_.path();
  options.tools = ToolsOf::kOthers;
  policy_watch_ = std::make_unique<PolicyWatch>(control_, gate_, *policy_store_, grants_, log_, std::move(options));
  SLUICE_CHECK(policy_watch_->load());
  SLUICE_TRY(audit_, open_audit(config_.engine, home_, files_, clock_, entropy_, log_));
  gateway::DispatcherDeps deps{
      control_.get_executor(), clock_, entropy_, nullptr, no_tools_, gate_, presenter_, *audit_, {}};
  deps.on_bug = [this](std::string_view what) { log_.error("tool_bug", {{"what", what}}); };
  deps.server = config_.server_name;
  SLUICE_TRY(calls_, open_call_recorder(config_.engine, home_, files_, clock_, entropy_));
  deps.calls = calls_.get();
  dispatcher_ = std::make_unique<gateway::Dispatcher>(std::move(deps), gateway::DispatcherLimits{});
  gate_.set_identities(grants_);
  gate_.set_approvals(approvals_, entropy_);
  gate_.set_closed([this] { return home_.is_closed(); });
  SLUICE_TRY(
      approval_service_,
      ApprovalService::create(control_, config_.engine,
                              {{clock_, entropy_, grant_store_, approvals_, *audit_}, gate_, redactor_, log_, [this] {
                                 return gate_metrics(*dispatcher_, *audit_, calls_.get(), approvals_, home_.is_closed(),
                                                     unix_ms(clock_.wall()));
                               }}));
  prepare_grants();
  policy_watch_->start(
      [this] {
        if (relay_) relay_->look_again();
      },
      [this] { tick(); });
  SLUICE_TRY(caller_, identify());  // behind the start, which reads grants and their policies
  SLUICE_CHECK(start_server());
  return connect();
}

Status GatewayProgram::start_server() {
  SLUICE_TRY(process_, net::ServerProcess::start(control_.get_executor(), config_.server_command, [this](int code) {
               code_ = code;
               if (client_left_ || server_gone_) return finish(code);
               // What it wrote before its end is still to be read, unless somebody else holds its output.
               finish_after(code);
             }));
  return {};
}

Status GatewayProgram::connect() {
  gateway::Relay::Deps deps{*dispatcher_, gate_,      pins_,
                            clock_,       presenter_, {config_.server_name, target_of(config_.server_command)}};
  deps.first = config_.pins_strict ? gateway::PinStore::First::kQuarantine : gateway::PinStore::First::kAccept;
  deps.caller = caller_;
  deps.notice = [](std::string_view text) { fmt::print(stderr, "sluice: {}\n", text); };
  // Whoever is too slow to read has the other wait.
  constexpr ByteCount kMost = gateway::StdioTransport::kMaxPending;
  deps.to_client = [this](std::string text) {
    if (!client_) return;
    client_->send(std::move(text));
    if (server_ && client_->pending() > kMost) server_->hold_reading(true);
  };
  deps.to_server = [this](std::string text) {
    if (!server_) return;
    server_->send(std::move(text));
    if (client_ && server_->pending() > kMost) client_->hold_reading(true);
  };
  relay_ = gateway::Relay::create(std::move(deps));

  class ServerLines final : public gateway::LineSession {
   public:
    explicit ServerLines(std::shared_ptr<gateway::Relay> relay) : relay_(std::move(relay)) {}
    void take(std::string_view line) override { relay_->from_server(line); }
    void too_long() override { relay_->too_long_from_server(); }
    std::size_t calls() const override { return 0; }
    void close() override {}

   private:
    std::shared_ptr<gateway::Relay> relay_;
  };
  SLUICE_TRY(server_,
             gateway::StdioTransport::create(control_.get_executor(),
                                             {process_->from_it(), process_->to_it(), gateway::Relay::kMaxAnswer,
                                              [this] {
                                                if (client_) client_->hold_reading(false);
                                              }},
                                             std::make_shared<ServerLines>(relay_), [this] {
                                               server_gone_ = true;
                                               relay_->server_ended();
                                               if (process_->has_ended()) {
                                                 finish(code_);
                                               } else {
                                                 end_server();
                                               }
                                             }));
  process_->close_pipes();
  SLUICE_TRY(client_,
             gateway::StdioTransport::create(
                 control_.get_executor(),
                 {STDIN_FILENO, STDOUT_FILENO, limits_.max_message, [this] { client_drained(); }}, relay_, [this] {
                   client_left_ = true;
                   end_server();
                 }));
  return {};
}

// Its input ends; if that does not end it, a signal does, and the last one cannot be caught.
void GatewayProgram::end_server() {
  if (server_) server_->end_output();
  if (process_->has_ended()) return;
  grace_.expires_after(kGrace);
  grace_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    process_->signal(SIGTERM);
    grace_.expires_after(kGrace);
    grace_.async_wait([this](const boost::system::error_code& again) {
      if (!again) finish(client_left_ ? 0 : 128 + SIGKILL);
    });
  });
}

void GatewayProgram::finish_after(int code) {
  grace_.expires_after(kGrace);
  grace_.async_wait([this, code](const boost::system::error_code& error) {
    if (!error) finish(code);
  });
}

void GatewayProgram::client_drained() {
  if (server_) server_->hold_reading(false);
  if (finished_) control_.stop();
}

// Called once the server's program is gone, or is to be gone now. What the client was sent is still written.
void GatewayProgram::finish(int code) {
  code_ = client_left_ && code == 128 + SIGTERM ? 0 : code;
  if (finished_ || client_left_ || !client_ || client_->pending() == 0) return control_.stop();
  finished_ = true;
  finish_after(code);
}

// A server that does not end when it is told to is ended.
void GatewayProgram::on_signal(int number) {
  process_->signal(number);
  if (number == SIGTERM) finish_after(128 + SIGTERM);
  signals_.async_wait([this](const boost::system::error_code& error, int next) {
    if (!error) on_signal(next);
  });
}

void GatewayProgram::tick() {
  if (home_.is_closed() && !was_closed_) dispatcher_->stop_calls();
  was_closed_ = home_.is_closed();
  if (!grants_.is_valid(caller_)) {
    grant_ended_ = true;
    control_.stop();
  }
  if (++ticks_ % 4 != 0) return;
  dispatcher_->each_second();
  const auto revision = pins_.revision();
  if (revision && *revision != pins_revision_ && relay_) {
    pins_revision_ = *revision;
    relay_->look_again();
  }
}

int GatewayProgram::run() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (!error) on_signal(number);
  });
  pins_revision_ = pins_.revision().value_or(0);
  control_.run();
  relay_->close();
  if (client_) client_->stop();
  if (server_) server_->stop();
  process_.reset();
  dispatcher_.reset();
  if (grant_ended_) return report({Code::kRefused, "the grant " + caller_.grant + " has ended"});
  return code_;
}

}  // namespace

int run_gateway(const Config& config) {
  if (config.server_command.empty()) {
    fmt::print(stderr, "sluice: `sluice gateway` needs the server's command behind --: -- CMD ARGS…\n");
    return 2;
  }
  if (config.engine.policy.empty() == config.grant.empty()) {
    fmt::print(stderr,
               "sluice: `sluice gateway` needs --policy FILE, or --grant NAME, which has a policy of its own\n");
    return 2;
  }
  if (!is_server_name(config.server_name)) {
    fmt::print(stderr, "sluice: --name takes a-z, 0-9 and -, at most 32 of them, and not `sluice`\n");
    return 2;
  }
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  GatewayProgram program(config, *std::move(home));
  if (const Status built = program.build(); !built) return report(built.error());
  return program.run();
}

}  // namespace sluice::app

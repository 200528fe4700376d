// `sluice serve` and `sluice mcp`: the two long-running programs.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "app/attach.h"
#include "app/commands.h"
#include "app/traffic_lines.h"
#include "app/wiring.h"
#include "base/text.h"
#include "base/url.h"
#include "gateway/control_server.h"
#include "gateway/stdio_transport.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;

// Ends the control loop at the first SIGTERM or SIGINT; at the second the process ends at once.
class Signals {
 public:
  Signals(asio::io_context& io) : io_(io), set_(io, SIGINT, SIGTERM) { wait(); }
  bool asked() const { return asked_; }

 private:
  void wait() {
    set_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      if (asked_) ::_exit(130);
      asked_ = true;
      io_.stop();
      wait();
    });
  }
  asio::io_context& io_;
  asio::signal_set set_;
  bool asked_ = false;
};

// Drains while a second signal can still end the process.
void shut_down(Program& program) {
  program.control().restart();  // before the thread: a stop that came first would be undone by it
  std::thread signal_loop([&program] { program.control().run(); });
  if (program.engine().status().running) (void)program.engine().stop(Timeouts{}.drain);  // the transparent one too
  if (program.engine().status().transparent.running) (void)program.engine().stop_transparent(Timeouts{}.drain);
  program.control().stop();
  signal_loop.join();
}

Json addresses_json(const std::vector<proxy::ListenAddress>& addresses) {
  Json list = Json::array();
  for (const auto& address : addresses) list.push_back({{"host", address.host}, {"port", address.port}});
  return list;
}

Json describe(const Program& program, const proxy::EngineStatus& status, const gateway::ControlServer& control) {
  Json ready{{"pid", ::getpid()}};
  if (status.running) {
    ready["proxy"] = Json{{"host", status.listeners.front().host}, {"port", status.listeners.front().port}};
  } else {
    ready["proxy"] = nullptr;
  }
  ready["listeners"] = addresses_json(status.listeners);
  ready["transparent"] = addresses_json(status.transparent.listeners);
  const std::string url = "http://" + authority_text("127.0.0.1", control.port(), 0);
  ready["control"] = Json{{"url", url}, {"mcp", url + "/mcp"}};
  ready["ca"] = Json{{"pem", program.home().ca_pem()}, {"spki_sha256", program.authority().spki_sha256_base64()}};
  ready["home"] = program.home().path();
  return ready;
}

std::string addresses_text(const Json& addresses) {
  std::string text;
  for (const Json& address : addresses) {
    if (!text.empty()) text += ", ";
    text += authority_text(address["host"].get<std::string>(), address["port"].get<std::uint16_t>(), 0);
  }
  return text;
}

// The upstream proxies as they may be shown; empty: servers are reached directly.
std::string upstream_text(const proxy::UpstreamTable& table) {
  std::string text;
  if (table.global()) text = table.global()->proxy->shown();
  if (table.plain()) text += (text.empty() ? "" : ", ") + table.plain()->proxy->shown() + " for http://";
  for (const auto& one : table.overrides()) {
    text += (text.empty() ? "" : ", ") + one.entry.proxy->shown() + " for " + one.pattern;
  }
  return text;
}

void greet(const Program& program, const Config& config, const Json& ready, const std::string& token) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string proxy, all = "not open yet (proxy_start opens it)";
  if (ready["proxy"].is_object()) {
    proxy = authority_text(ready["proxy"]["host"].get<std::string>(), ready["proxy"]["port"].get<std::uint16_t>(), 0);
    all = addresses_text(ready["listeners"]);
    if (!config.engine.proxy_auth.empty()) all += "  (with a password: --proxy-auth)";
  }
  if (!ready["transparent"].empty()) all += "\n  redirect " + addresses_text(ready["transparent"]);
  fmt::print("Sluice {}\n  proxy    {}\n  control  {}\n  token    {}{}\n  CA       {}\n", SLUICE_VERSION, all,
             ready["control"]["mcp"].get<std::string>(),
             config.control_auth == ControlAuth::kNone ? std::string("none needed (--control-auth none)")
                                                       : program.home().token_file(),
             terminal && config.control_auth == ControlAuth::kToken ? "  (" + token + ")" : "",
             program.home().ca_pem());
  if (const std::string upstream = upstream_text(*program.upstreams()); !upstream.empty()) {
    fmt::print("  upstream {}\n", upstream);
  }
  fmt::print("  policy   {}\n",
             program.policy_path().empty() ? "built-in: every tool is allowed and audited" : program.policy_path());
  if (program.encrypts_sessions()) fmt::print("  sessions encrypted (what the ring spools meanwhile is not)\n");
  fmt::print("  unseen   HTTP/3 (UDP) and HTTPS DNS records; how to turn HTTP/3 off in clients: docs/modes.md\n");
  if (ready["proxy"].is_object()) {
    fmt::print(
        "Try it:\n  curl --proxy http://{} --cacert {} https://example.com/\n  set up a browser or a phone: "
        "http://{}/\n",
        proxy, program.home().ca_pem(), proxy);
  }
  if (program.restored_rules() > 0) {
    fmt::print("Note: {} saved rules are in force (`sluice call proxy_list_rules`).\n", program.restored_rules());
  }
  if (!config.proxy_variable.empty() && config.engine.upstream.empty()) {
    fmt::print("Note: {} is set; Sluice ignores it and connects to servers directly (--upstream env uses it).\n",
               config.proxy_variable);
  }
  if (program.home().is_closed()) fmt::print("Note: the gate is closed: every call is denied (`sluice gate open`).\n");
  if (program.password_is_public()) fmt::print("Note: others may read the file of --proxy-auth; chmod 600 it.\n");
  if (program.open_files() < 4096) fmt::print("Note: only {} files may be open at once.\n", program.open_files());
  std::fflush(stdout);
}

// What this `serve` leaves in run/ while it lives.
class RunFiles {
 public:
  RunFiles(Program& program, const Json& ready) : files_(program.files()) {
    Json shown = ready;
    shown["started"] = unix_ms(program.clock().wall());
    path_ = program.home().run() + "/" + std::to_string(::getpid()) + ".json";
    saved_ = files_.save_file(path_, dump_json(shown, JsonStyle::kIndented) + "\n");
  }
  ~RunFiles() { (void)files_.remove(path_); }
  const Status& saved() const { return saved_; }

 private:
  FileSystem& files_;
  std::string path_;
  Status saved_;
};

using ControlPtr = std::unique_ptr<gateway::ControlServer>;

gateway::McpHttpDeps http_deps(Program& program, const mcp::ServerProfile& profile) {
  return {program.clock(), program.entropy(), profile, program.dispatcher(),
          [&program](std::string_view session) { program.adoptions().forget_session(session); }};
}

std::function<void(std::string_view)> on_bug(Program& program) {
  return [&program](std::string_view what) { program.log().error("control_bug", {{"what", what}}); };
}

Result<ControlPtr> open_control(Program& program, const Config& config, const std::string& token) {
  gateway::ControlServer::Options options;
  gateway::Grants::Options grants;
  grants.needs_token = config.control_auth == ControlAuth::kToken;
  if (grants.needs_token) grants.default_token = token;
  program.grants().set_options(std::move(grants));
  options.identities = &program.grants();
  options.port = config.control_port;
  options.allow_hosts = config.allow_host;
  options.limits = program.mcp_limits();
  return gateway::ControlServer::create(program.control(), http_deps(program, program.agent_profile()),
                                        std::move(options), on_bug(program));
}

Result<ControlPtr> open_owner_socket(Program& program) {
  return gateway::ControlServer::create_local(program.control(), http_deps(program, program.owner_profile()),
                                              program.home().run() + "/" + std::to_string(::getpid()) + ".sock",
                                              program.mcp_limits(), on_bug(program));
}

}  // namespace

int run_serve(const Config& config) {
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  auto created = Program::create(config, *home);
  if (!created) return report(created.error());
  Program& program = **created;
  const auto token = home->token(files, program.entropy());
  if (!token) return report(token.error());

  auto control = open_control(program, config, *token);
  if (!control) return report(control.error());
  auto owner = open_owner_socket(program);
  if (!owner) return report(owner.error());
  program.engine().add_own_listener({"127.0.0.1", (*control)->port()});
  if (!config.no_proxy) {
    if (const Status started = program.engine().start(program.listeners()); !started) {
      const bool taken = started.error().code == Code::kUnavailable;
      return report({Code::kUnavailable,
                     started.error().message + (taken ? " (--proxy-port chooses another port, 0 any free one)" : "")});
    }
  }
  if (!program.transparent_listeners().empty()) {
    const Status started = program.engine().start_transparent(program.transparent_listeners());
    if (!started) return report({Code::kUnavailable, "--transparent: " + started.error().message});
  }
  Signals signals(program.control());
  const Json ready = describe(program, program.engine().status(), **control);
  const RunFiles run_files(program, ready);
  if (!run_files.saved()) return report(run_files.saved().error());
  if (!config.ready_file.empty()) {
    Json whole = ready;
    whole["token"] = config.control_auth == ControlAuth::kToken ? Json(*token) : Json(nullptr);
    const Status saved = files.save_file(absolute_path(config.ready_file), dump_json(whole) + "\n");
    if (!saved) return report(saved.error());
  }
  greet(program, config, ready, *token);
  std::optional<TrafficLines> lines;
  if (!config.quiet && ::isatty(STDOUT_FILENO) == 1) lines.emplace(program.control(), program.ring());
  program.control().run();
  lines.reset();
  shut_down(program);
  (*owner)->stop();
  (*control)->stop();
  return 0;
}

namespace {

int attach(const Config& config, const Home& home, FileSystem& files) {
  if (!config.engine.policy.empty()) {
    return report(
        {Code::kInvalid, "--policy does nothing with --attach: the policy is that of the `sluice serve` behind it"});
  }
  if (!config.engine.sessions_key_file.empty()) {
    return report(
        {Code::kInvalid,
         "--sessions-key-file does nothing with --attach: the `sluice serve` behind it makes the recordings"});
  }
  const EngineConfig& engine = config.engine;
  const std::pair<bool, std::string_view> not_here[] = {{!engine.record_calls.empty(), "--record-calls"},
                                                        {!engine.approval_webhook.empty(), "--approval-webhook"},
                                                        {engine.admin_api != 0, "--admin-api"},
                                                        {engine.metrics != 0, "--metrics"},
                                                        {!engine.state.empty(), "--state"}};
  for (const auto& [given, flag] : not_here) {
    if (given) return report({Code::kInvalid, fmt::format("{} does nothing with --attach: give it to `serve`", flag)});
  }
  std::string token;
  if (config.grant.empty()) {
    token = home.token(files, *std::make_unique<SystemEntropy>()).value_or("");
  } else if (config.grant_token) {
    token = config.grant_token->view();
  } else {
    return report(
        {Code::kRefused, "--grant with --attach needs the grant's token in the environment: SLUICE_GRANT_TOKEN"});
  }
  std::string url = config.attach_url;
  if (url.empty()) {
    const auto running = find_running(files, home);
    if (running.empty()) return report({Code::kNotFound, "no `sluice serve` runs on " + home.path() + " to attach to"});
    const Json* control_json = find_member(running.front().ready, "control");
    const Json* mcp = control_json ? find_member(*control_json, "mcp") : nullptr;
    if (mcp && mcp->is_string()) url = mcp->get<std::string>();
  }
  const auto endpoint = parse_endpoint(url);
  if (!endpoint) return report(endpoint.error());
  return run_attach(*endpoint, token);
}

// Whose calls standard input carries.
Result<gateway::Identity> stdio_identity(Program& program, const Config& config) {
  if (config.grant.empty()) return gateway::Identity{{"default", "stdio"}, &program.agent_profile()};
  if (!config.engine.policy.empty()) {
    return fail(Code::kInvalid, "--policy is for `default`: the grant " + config.grant + " has a policy of its own");
  }
  SLUICE_TRY(gateway::Identity who,
             program.grants().identify_stdio(config.grant, config.grant_token ? config.grant_token->view() : ""));
  who.caller.session = "stdio";
  return who;
}

// Ends the program when its grant ends.
class GrantGuard {
 public:
  GrantGuard(Program& program, gateway::Caller caller)
      : program_(program), caller_(std::move(caller)), timer_(program.control()) {
    wait();
  }
  bool ended() const { return ended_; }

 private:
  void wait() {
    timer_.expires_after(std::chrono::milliseconds(250));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      if (program_.grants().is_valid(caller_)) return wait();
      ended_ = true;
      program_.control().stop();
    });
  }
  Program& program_;
  gateway::Caller caller_;
  asio::steady_timer timer_;
  bool ended_ = false;
};

}  // namespace

int run_mcp(const Config& config) {
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  if (config.attach) return attach(config, *home, files);
  auto created = Program::create(config, *home);
  if (!created) return report(created.error());
  Program& program = **created;
  const auto who = stdio_identity(program, config);
  if (!who) return report(who.error());
  Signals signals(program.control());
  const GrantGuard guard(program, who->caller);
  auto transport = gateway::StdioTransport::create(
      program.control().get_executor(), *who->profile, program.dispatcher(),
      {STDIN_FILENO, STDOUT_FILENO, program.mcp_limits(), who->caller}, [&program] { program.control().stop(); });
  if (!transport) return report(transport.error());
  program.control().run();
  (*transport)->stop();
  shut_down(program);
  return guard.ended() ? report({Code::kRefused, "the grant " + who->caller.grant + " has ended"}) : 0;
}

}  // namespace sluice::app

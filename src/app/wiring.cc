#include "app/wiring.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "app/approval_service.h"
#include "app/audit_open.h"
#include "app/call_keeping.h"
#include "app/host_options_config.h"
#include "app/session_store.h"
#include "app/state_open.h"
#include "app/timeout_config.h"
#include "app/trusted_file.h"
#include "base/text.h"
#include "base/url.h"
#include "tools/visible_names.h"

namespace sluice::app {
namespace {

constexpr std::size_t kMostWorkers = 8;
constexpr std::chrono::milliseconds kLookupPause{10};  // a short-lived client is gone in fifty

std::size_t count_workers(std::size_t wanted) {
  if (wanted != 0) return std::min<std::size_t>(wanted, 256);
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostWorkers);
}

// What a client reads first. A sentence whose tools it may not see is left out.
constexpr std::string_view kInstructions =
    "Sluice is an HTTPS interception proxy. Start with proxy_start. Point a client at it: proxy_get_ca_cert says how "
    "to "
    "trust it. Then proxy_list_traffic and proxy_get_exchange show what passed. proxy_mock_response, "
    "proxy_inject_headers and proxy_add_rule change traffic at once, without restarts.";

mcp::ServerProfile make_profile(const std::string& grant, Entropy& entropy) {
  mcp::ServerProfile profile;
  profile.server_info = Json{{"name", "sluice"}, {"title", "Sluice"}, {"version", SLUICE_VERSION}};
  profile.instructions = kInstructions;
  profile.grant = grant;
  profile.cursor_key = mcp::CursorKey::create(entropy);
  return profile;
}

Result<Secret> first_line(FileSystem& files, const std::string& path) {
  SLUICE_CHECK(check_trusted(path));
  SLUICE_TRY(std::string content, files.load_file(path, kMiB));
  Secret password(std::string_view(content).substr(0, content.find_first_of("\r\n")));
  ::explicit_bzero(content.data(), content.size());
  if (password.empty()) return fail(Code::kInvalid, path + " holds no password in its first line");
  return password;
}

// Whoever writes the configuration may name any file; tools may name those beneath the allowed roots.
void permit_script(proxy::Engine& engine, const proxy::UpstreamProxy& proxy) {
  if (proxy.pac_url().starts_with("file:")) engine.permit_script("pac+" + proxy.pac_url());
}

}  // namespace

std::uint64_t raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

Result<proxy::ListenAddress> parse_listen(const std::string& text, std::string_view flag) {
  const auto parsed = parse_authority(text, 0);
  const bool any_port = text.ends_with(":0");
  if (!parsed && !any_port) {
    return fail(Code::kInvalid,
                fmt::format("{} takes ADDR:PORT such as 127.0.0.1:8080 or [::1]:8080, not '{}'", flag, text));
  }
  proxy::ListenAddress address;
  if (parsed) {
    address = {parsed->host, parsed->port};
  } else {
    std::string host = text.substr(0, text.size() - 2);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    address = {host, 0};
  }
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (!is_ip_literal(address.host)) {
    return fail(Code::kInvalid, fmt::format("{} takes an IP address, not '{}'", flag, address.host));
  }
  return address;
}

Program::Program(const Config& config, Home home)
    : home_(std::move(home)),
      redactor_(entropy_, &known_secrets_),
      handles_(entropy_),
      log_({.level = parse_log_level(config.engine.log_level).value_or(LogLevel::kWarning)}, clock_, redactor_),
      open_files_(raise_open_files()),
      workers_(count_workers(config.engine.workers)),
      processes_(clock_),
      state_(home_.state_db()),
      rules_(clock_),
      session_roots_(home_.state_db()),
      remote_(make_remote_state(control_.get_executor(), config.engine, home_, clock_, entropy_)),
      local_state_(remote_ ? nullptr : make_gate_state(nullptr, home_)),
      grant_store_(gate_rows()),
      approvals_(gate_rows()),
      grants_(clock_, grant_store_),
      policy_store_(make_counters(remote_ ? remote_->link : nullptr, home_)),
      policy_gate_(clock_, *policy_store_) {
  if (!remote_) return;
  grants_.set_mirror(remote_->mirror);
  policy_gate_.set_remote(*remote_);
}

Result<std::unique_ptr<Program>> Program::create(const Config& config, Home home) {
  std::unique_ptr<Program> program(new Program(config, std::move(home)));
  SLUICE_CHECK(program->build(config));
  return program;
}

Status Program::build(const Config& config) {
  if (config.engine.listen.empty()) listeners_.push_back({"127.0.0.1", config.engine.proxy_port});
  for (const std::string& text : config.engine.listen) {
    SLUICE_TRY(proxy::ListenAddress address, parse_listen(text, "--listen"));
    listeners_.push_back(std::move(address));
  }
  for (const std::string& text : config.engine.transparent) {
    SLUICE_TRY(proxy::ListenAddress address, parse_listen(text, "--transparent"));
    transparent_listeners_.push_back(std::move(address));
  }
  SLUICE_CHECK(check_key_files());
  auto authority = tls::CertificateAuthority::load_or_create(files_, home_.ca(), clock_, entropy_);
  if (!authority) return fail(Code::kIo, authority.error().message);  // a corrupt CA is not wrong usage
  authority_ = *std::move(authority);
  SLUICE_CHECK(check_state_options(config.engine));
  SLUICE_CHECK(check_state(remote_.get(), home_));
  if (remote_) {
    remote_->mirror.prime();
    remote_->mirror.start();
  }
  SLUICE_CHECK(load_policy(config));
  SLUICE_CHECK(make_ring(config));
  SLUICE_CHECK(restore_rules());
  SLUICE_CHECK(make_engine(config));
  SLUICE_CHECK(set_upstreams(config));
  SLUICE_CHECK(make_sessions(config));
  SLUICE_CHECK(make_gate(config));
  ring_->set_pump_thread(true);
  ring_->set_disk_thread(true);
  disk_thread_ = std::thread([this] { run_disk(); });
  capture_thread_ = std::thread([this] { run_capture(); });
  recorder_thread_ = std::thread([this] { run_recorder(); });
  sealer_thread_ = std::thread([this] { run_sealer(); });
  indexer_thread_ = std::thread([this] { run_indexer(); });
  lookup_thread_ = std::thread([this] { run_lookups(); });
  return {};
}

// gate.md 1: what others can write is nobody's key.
Status Program::check_key_files() const {
  for (const std::string& path :
       {home_.ca() + "/ca-key.pem", home_.ca() + "/ca-cert.pem", home_.token_file(), home_.state_db()}) {
    SLUICE_CHECK(check_trusted(path));
  }
  return {};
}

Status Program::make_ring(const Config& config) {
  capture::remove_stale_spools(files_, home_.spool());
  capture::Ring::Options options;
  options.limits.ring_exchanges = config.engine.ring_exchanges;
  options.limits.ring_memory = config.engine.ring_mb * kMiB;
  options.limits.spool_disk = config.engine.spool_mb * kMiB;
  options.spool_directory = home_.spool() + "/" + std::to_string(::getpid()) + "-" + random_token(entropy_, 6);
  options.workers = workers_ + 1;  // the last one's sink is the loader's
  const std::string texts = options.spool_directory + "/text";
  ring_ = std::make_unique<capture::Ring>(std::move(options), files_, clock_, entropy_);
  text_index_ = std::make_unique<analysis::RingTextIndex>(*ring_, files_, clock_, texts);
  return ring_->open();
}

// The password is the first line of its file, read again at each start of the proxy.
Status Program::add_password(const Config& config, proxy::EngineOptions& options) {
  const std::string& given = config.engine.proxy_auth;
  if (given.empty()) return {};
  const std::size_t colon = given.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == given.size()) {
    return fail(Code::kInvalid, "--proxy-auth takes USER:FILE, the password being the file's first line");
  }
  options.proxy_user = given.substr(0, colon);
  options.load_proxy_password = [this, path = absolute_path(given.substr(colon + 1))]() -> Result<Secret> {
    SLUICE_TRY(const auto file, files_.open(path, OpenMode::kRead));
    if (const auto mode = file->permissions()) password_is_public_ = (*mode & 077) != 0;
    return first_line(files_, path);
  };
  SLUICE_CHECK(options.load_proxy_password());  // better said now than at the first start
  return {};
}

// Rules made with `persist`. One that cannot be used any more keeps nobody from starting, but is named.
Status Program::restore_rules() {
  std::vector<std::string> problems;
  SLUICE_TRY(restored_rules_, rules_.restore(state_, problems));
  for (const std::string& problem : problems) log_.error("saved_rule_skipped", {{"reason", problem}});
  return {};
}

Status Program::make_engine(const Config& config) {
  proxy::EngineOptions options;
  SLUICE_CHECK(add_password(config, options));
  options.proxy_protocol_from = config.engine.proxy_protocol;
  options.outgoing_mark = config.engine.mark;
  options.limits.max_connections = config.engine.max_connections;
  SLUICE_TRY(options.limits.timeouts, parse_timeouts(config.engine.timeout));
  options.workers = workers_;
  options.allow_clients = config.engine.allow_client;
  options.upstream_insecure = config.engine.upstream_insecure;
  options.upstream_ca_files = config.engine.upstream_ca;
  options.upstream_client_certs = config.engine.upstream_client_cert;
  options.allow_roots = config.engine.allow_root;
  options.home = home_.path();
  options.sessions = home_.sessions();
  if (!policy_path().empty()) options.policy_folder = std::filesystem::path(policy_path()).parent_path().string();
  for (const std::string& text : config.engine.host_options) {
    SLUICE_TRY(auto entry, parse_host_options(text));
    options.host_options.push_back(std::move(entry));
  }
  options.min_client_tls = config.engine.min_client_tls;
  options.passthrough = config.engine.passthrough;
  options.learn_passthrough = config.engine.learn_passthrough;
  options.key_log_file = config.key_log_file;
  options.strip_alt_svc = !config.engine.keep_alt_svc;
  proxy::EngineDeps deps{
      clock_, entropy_, authority_, rules_, [this](std::size_t worker) -> flow::Sink& { return ring_->sink(worker); },
      {},     {},       {}};
  deps.upstreams = &upstreams_;
  deps.egress = &egress_;
  deps.on_bug = [this](std::string_view what) { log_.error("connection_bug", {{"what", what}}); };
  deps.on_alert = [this](std::string_view text) { log_.info("pac_alert", {{"text", text}}); };
  deps.on_connection = [this](const flow::ConnectionPtr& connection, const auto& client, const auto& dialled) {
    processes_.add(client, dialled, [connection](net::FoundProcess found) {
      connection->process.store({found.pid, std::move(found.name)});
    });
  };
  SLUICE_TRY(engine_, proxy::Engine::create(std::move(options), std::move(deps)));
  return {};
}

// Passwords of files are read whenever an upstream is set. Those that flags name are set before anybody can connect.
Status Program::set_upstreams(const Config& config) {
  proxy::KeptPasswords passwords;
  for (const std::string& given : config.engine.upstream_password) {
    const std::size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == given.size()) {
      return fail(Code::kInvalid, "--upstream-password takes HOST=FILE, the password being the file's first line");
    }
    const auto load = [this, path = absolute_path(given.substr(equals + 1))] { return first_line(files_, path); };
    SLUICE_CHECK(load());  // better said now than when it is needed
    passwords.push_back({given.substr(0, equals), proxy::PasswordSource::kFile, load});
  }
  if (config.upstream_password) {
    const auto load = [kept = config.upstream_password]() -> Result<Secret> { return Secret(kept->view()); };
    passwords.push_back({config.upstream_password_host, proxy::PasswordSource::kEnvironment, load});
  }
  upstreams_.set_passwords(std::move(passwords));
  const auto check = [this](const proxy::UpstreamProxy& proxy) -> Status {
    const bool ours = std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& one) {
      return one.port == proxy.port() && (one.host == proxy.host() || proxy.host() == "localhost");
    });
    return ours ? fail(Code::kInvalid, "an upstream proxy at our own port would go round for ever") : Status();
  };
  std::vector<std::string> direct;
  for (const std::string& list : config.engine.upstream_no_proxy) {
    for (const std::string_view one : split(list, ',')) direct.emplace_back(trim(one));
  }
  if (!direct.empty() && (config.engine.upstream.empty() || config.engine.upstream == "env")) {
    return fail(Code::kInvalid, "--upstream-no-proxy goes with --upstream URL (for --upstream env, set no_proxy)");
  }
  if (config.engine.upstream == "env") {
    SLUICE_CHECK(upstreams_.set_environment(config.proxy_variables));
  } else if (!config.engine.upstream.empty()) {
    proxy::UpstreamStore::Given given{config.engine.upstream, std::nullopt, "--upstream", check};
    if (!direct.empty()) given.no_proxy = std::move(direct);
    SLUICE_CHECK(upstreams_.set_global(given));
  }
  for (const std::string& given : config.engine.host_upstream) {
    const std::size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(Code::kInvalid, "--host-upstream takes HOST=URL");
    }
    SLUICE_CHECK(upstreams_.set_host(given.substr(0, equals),
                                     {given.substr(equals + 1), std::nullopt, "--host-upstream", check}));
  }
  const proxy::UpstreamTablePtr table = upstreams_.table();
  for (const auto& entry : {table->global(), table->plain()}) {
    if (entry) permit_script(*engine_, *entry->proxy);
  }
  for (const auto& one : table->overrides()) permit_script(*engine_, *one.entry.proxy);
  return {};
}

// Before anything else is made: a policy that cannot be put in force keeps the program from starting.
Status Program::load_policy(const Config& config) {
  PolicyWatch::Options options;
  if (!config.engine.policy.empty()) options.path = absolute_path(config.engine.policy);
  options.reload = config.engine.no_reload ? PolicyWatch::Reload::kNo : PolicyWatch::Reload::kYes;
  options.tool_roots = config.engine.allow_root;
  options.home = home_.path();
  options.egress = &egress_;
  policy_watch_ =
      std::make_unique<PolicyWatch>(control_, policy_gate_, *policy_store_, grants_, log_, std::move(options));
  return policy_watch_->load();
}

// What the policy closes as a whole is not offered (gate.md 9). Sessions look at it with each message, on this thread.
void Program::offer_what_is_open() {
  offer_what_is_open(agent_profile_);
  for (const auto& [name, profile] : grant_profiles_) offer_what_is_open(*profile);
}

void Program::offer_what_is_open(mcp::ServerProfile& profile) const {
  const auto open = [&](std::string_view method) { return policy_gate_.is_open(profile.grant, method); };
  mcp::Capabilities& offered = profile.capabilities;
  offered.resources = open("resources/list") || open("resources/read") || open("resources/templates/list");
  offered.resources_subscribe = offered.resources && open("resources/subscribe");
  offered.completions = open("completion/complete");
  profile.instructions = tools::without_unseen(kInstructions, [&](std::string_view word) {
    const tools::Tool* const found = registry_->find_tool(word);
    return found ? !policy_gate_.is_listed(profile.grant, found->name, found->risk) : registry_->is_a_tool(word);
  });
  offered.tools_list_changed = profile.grant != "default" || policy_watch_->may_change();
}

// A grant's own, so that its cursors are nobody else's. None is ever taken away: sessions point to them.
const mcp::ServerProfile* Program::profile_of(const std::string& grant) {
  if (grant == "default") return &agent_profile_;
  auto& profile = grant_profiles_[grant];
  if (!profile) {
    profile = std::make_unique<mcp::ServerProfile>(make_profile(grant, entropy_));
    offer_what_is_open(*profile);
  }
  return profile.get();
}

Status Program::make_sessions(const Config& config) {
  std::string policy_folder;
  if (!policy_path().empty()) policy_folder = std::filesystem::path(policy_path()).parent_path().string();
  tool_roots_ = std::make_unique<const AllowedRoots>(tool_roots(home_, config.engine.allow_root, policy_folder));
  SLUICE_TRY(session::OperatorKeyPtr key, load_sessions_key(config));
  session::StoreDeps deps = session_deps(home_, clock_, entropy_, session_roots_, *tool_roots_, std::move(key));
  deps.ring = ring_.get();
  deps.disk_cap = {config.engine.sessions_max_disk_mb,
                   session::find_on_cap(config.engine.sessions_on_cap).value_or(session::OnCap::kStop)};
  sessions_ = std::make_unique<session::Store>(std::move(deps));
  return {};
}

// What calls sent is in their own outcomes, too; what rules and upstreams caused is nowhere else.
void Program::note_refused_egress() {
  for (const gateway::EgressBook::Refusals& one : egress_.take_refusals()) {
    const Status written = audit_->append_event({{"type", "egress"},
                                                 {"grant", one.grant},
                                                 {"decision", one.observed ? "would_deny" : "deny"},
                                                 {"count", one.count},
                                                 {"since", iso8601_ms(one.since)}});
    if (!written) log_.error("egress_refused", {{"grant", one.grant}, {"reason", written.error().message}});
  }
}

// gate.md 2: within a second, as its streams and calls do.
void Program::end_replays_of_ended_grants() {
  const auto may_go_on = [this](const tools::ReplayBoard::Owner& owner) {
    return grants_.is_valid({.grant = owner.grant, .credential = owner.credential});
  };
  const bool unusable = !grants_.unusable().empty();  // A44
  const std::string why = unusable ? "Grants cannot be read." : "The grant or the token that began it has ended.";
  for (const auto& one : services_->replays->end_unless(may_go_on, why)) {
    const Status written = audit_->append_event({{"type", "replay_ended"},
                                                 {"grant", one.grant},
                                                 {"replay", one.id},
                                                 {"rule", unusable ? "(grants unusable)" : "(grant ended)"},
                                                 {"done", one.done},
                                                 {"total", one.total}});
    if (!written) log_.error("replay_ended", {{"grant", one.grant}, {"reason", written.error().message}});
  }
}

Status Program::make_gate(const Config& config) {
  services_.reset(new tools::Services{clock_, *engine_, *ring_, rules_, authority_, home_.ca_pem()});
  services_->text_index = text_index_.get();
  services_->start_mode = config.command == Command::kServe ? tools::StartMode::kAdopt : tools::StartMode::kOpen;
  services_->default_listen = listeners_.front();
  services_->more_listeners.assign(listeners_.begin() + 1, listeners_.end());
  services_->sessions_directory = home_.sessions();
  services_->sessions = sessions_.get();
  services_->roots = tool_roots_.get();
  loader_ = std::make_unique<tools::TrafficLoader>(*ring_, ring_->sink(workers_));
  services_->loader = loader_.get();
  services_->redactor = &redactor_;
  services_->handles = &handles_;
  services_->known = &known_secrets_;
  services_->transparent_listen = transparent_listeners_;
  services_->outgoing_mark = config.engine.mark;
  services_->adoptions = &adoptions_;
  services_->upstreams = &upstreams_;
  policy_gate_.set_rules(rules_);
  policy_gate_.set_handles(handles_);
  registry_ = std::make_unique<gateway::Registry>(config.engine.toolset);
  agent_profile_ = make_profile("default", entropy_);
  owner_profile_ = make_profile("owner", entropy_);
  offer_what_is_open();
  presenter_ = std::make_unique<gateway::Presenter>(redactor_, mcp_limits_);
  SLUICE_TRY(audit_, open_audit(config.engine, home_, files_, clock_, entropy_, log_));
  gateway::DispatcherDeps deps{
      control_.get_executor(), clock_, entropy_, services_.get(), *registry_, policy_gate_, *presenter_, *audit_, {}};
  deps.on_bug = [this](std::string_view what) { log_.error("tool_bug", {{"what", what}}); };
  SLUICE_TRY(calls_, open_call_recorder(config.engine, home_, files_, clock_, entropy_));
  deps.calls = calls_.get();
  dispatcher_ = std::make_unique<gateway::Dispatcher>(std::move(deps), gateway::DispatcherLimits{});
  grants_.set_profiles([this](const std::string& grant) { return profile_of(grant); });
  grants_.on_error([this](std::string_view why) { log_.error("grants", {{"reason", why}}); });
  policy_gate_.set_identities(grants_);
  policy_gate_.set_approvals(approvals_, entropy_);
  policy_gate_.set_closed([this] { return home_.is_closed(); });
  SLUICE_TRY(approval_service_,
             ApprovalService::create(control_, config.engine,
                                     {{clock_, entropy_, grant_store_, approvals_, *audit_, remote_.get()},
                                      {&policy_gate_},
                                      redactor_,
                                      log_,
                                      [this] {
                                        const std::int64_t now = unix_ms(clock_.wall());
                                        return gate_metrics({{*dispatcher_, *audit_, calls_.get()}},
                                                            remote_ ? remote_->mirror.count_waiting(now)
                                                                    : approvals_.count_waiting(now),
                                                            home_.is_closed());
                                      }}));
  if (config.engine.metrics != 0) engine_->add_own_listener({"127.0.0.1", config.engine.metrics});
  if (config.engine.admin_api != 0) engine_->add_own_listener({"127.0.0.1", config.engine.admin_api});
  const auto changed = [this] {
    offer_what_is_open();
    dispatcher_->changes()->mark(gateway::Changes::kTools);
  };
  policy_watch_->start(changed, [this] {
    // What runs ends, too.
    if (home_.is_closed() && !was_closed_) {
      dispatcher_->stop_calls();
      services_->replays->cancel_all();
    }
    was_closed_ = home_.is_closed();
    end_replays_of_ended_grants();
    if (++ticks_ % 4 != 0) return;
    dispatcher_->each_second();
    note_refused_egress();
  });
  ring_->on_change([changes = dispatcher_->changes()] {
    changes->mark(gateway::Changes::kTraffic);
    changes->mark(gateway::Changes::kStatus);
  });
  return {};
}

void Program::run_capture() {
  ::pthread_setname_np(::pthread_self(), "capture");
  while (!stopping_.load(std::memory_order_relaxed)) {
    ring_->pump();
    ring_->wait(ring_->pause());
  }
}

void Program::run_disk() {
  ::pthread_setname_np(::pthread_self(), "disk");
  ring_->write_until_stopped();
}

void Program::run_recorder() {
  ::pthread_setname_np(::pthread_self(), "recorder");
  sessions_->write_until_stopped();
}

void Program::run_sealer() {
  ::pthread_setname_np(::pthread_self(), "sealer");
  (void)::setpriority(PRIO_PROCESS, 0, 19);  // of this thread alone, on Linux
  sessions_->seal_until_stopped();
}

void Program::run_indexer() {
  ::pthread_setname_np(::pthread_self(), "indexer");
  (void)::setpriority(PRIO_PROCESS, 0, 19);  // of this thread alone, on Linux
  text_index_->work_until_stopped();
}

// Beside the capture thread, not on it: a walk through /proc takes milliseconds, in which a worker fills megabytes.
void Program::run_lookups() {
  ::pthread_setname_np(::pthread_self(), "lookups");
  while (!stopping_.load(std::memory_order_relaxed)) {
    processes_.poll();
    std::this_thread::sleep_for(kLookupPause);
  }
}

Program::~Program() {
  dispatcher_.reset();
  if (remote_) remote_->lane.close();  // it works with what goes next
  if (services_) services_->replays->stop();
  engine_.reset();
  if (audit_) note_refused_egress();
  if (sessions_) {
    if (const auto stopped = sessions_->stop(); !stopped) {
      log_.error("recording_not_closed", {{"reason", stopped.error().message}});
    }
    sessions_->end();
  }
  if (recorder_thread_.joinable()) recorder_thread_.join();
  if (sealer_thread_.joinable()) sealer_thread_.join();
  if (text_index_) text_index_->stop();
  if (indexer_thread_.joinable()) indexer_thread_.join();
  stopping_ = true;
  if (lookup_thread_.joinable()) lookup_thread_.join();
  if (capture_thread_.joinable()) capture_thread_.join();
  if (disk_thread_.joinable()) {
    ring_->set_disk_thread(false);
    disk_thread_.join();
  }
  if (ring_) ring_->set_pump_thread(false);
}

}  // namespace sluice::app

#include "app/gateway_core.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>

#include "app/audit_open.h"
#include "app/call_keeping.h"
#include "app/logins.h"
#include "app/state_open.h"
#include "app/trusted_file.h"
#include "base/text.h"
#include "gateway/era_bridge.h"
#include "gateway/visible_text.h"

namespace sluice::app {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxCalls = 4'096;  // of all clients over HTTP: none of them takes a thread here

std::string target_of(const std::vector<std::string>& command) {
  // One text for one command: what stands in quotes is quoted.
  std::string text;
  for (const std::string& part : command) text += (text.empty() ? "" : " ") + dump_json(Json(part));
  return text;
}

}  // namespace

GatewayCore::GatewayCore(const Config& config, Home home, boost::asio::io_context& control,
                         std::shared_ptr<gateway::RemoteState> remote)
    : config_(config),
      home_(std::move(home)),
      redactor_(entropy_),
      log_({.level = parse_log_level(config.engine.log_level).value_or(LogLevel::kWarning)}, clock_, redactor_),
      control_(control),
      shares_remote_(remote != nullptr),
      remote_(remote ? std::move(remote)
                     : make_remote_state(control.get_executor(), config.engine, home_, clock_, entropy_)),
      local_state_(remote_ ? nullptr : make_gate_state(nullptr, home_)),
      grant_store_(rows()),
      approvals_(rows()),
      pins_(rows()),
      grants_(clock_, grant_store_),
      policy_store_(make_counters(remote_ ? remote_->link : nullptr, home_)),
      gate_(clock_, *policy_store_),
      presenter_(redactor_, limits_) {
  if (!remote_) return;
  grants_.set_mirror(remote_->mirror);
  gate_.set_remote(*remote_);
}

GatewayCore::~GatewayCore() { stop(); }

void GatewayCore::stop() {
  approval_service_.reset();
  dispatcher_.reset();
  if (remote_ && !shares_remote_) remote_->lane.close();  // it works with what goes next
  run_.reset();
}

void GatewayCore::notice(std::string_view text) { fmt::print(stderr, "sluice: {}\n", text); }

std::function<void(std::string_view)> GatewayCore::notices() {
  const std::string before = config_.gateway_config.empty() ? "" : config_.server_name + ": ";
  return [before, weak = std::weak_ptr(run_)](std::string_view text) {
    notice(before + std::string(text));
    if (const auto run = weak.lock()) run->say(text);
  };
}

Status GatewayCore::prepare_grants() {
  gateway::Grants::Options options;
  options.server = config_.server_name;
  if (!config_.gateway_endpoint.empty()) options.also = {config_.gateway_endpoint};
  if (!config_.gateway_listen.empty()) {
    options.needs_token = config_.gateway_auth == ControlAuth::kToken;
    if (options.needs_token) {
      SLUICE_TRY(options.default_token, home_.token(files_, entropy_));
    }
  }
  grants_.set_options(std::move(options));
  grants_.set_profiles([this](const std::string&) { return &no_profile_; });
  grants_.on_error([this](std::string_view why) { log_.error("grants", {{"reason", why}}); });
  return {};
}

Status GatewayCore::build(Hooks hooks) {
  hooks_ = std::move(hooks);
  SLUICE_CHECK(check_trusted(home_.state_db()));
  SLUICE_CHECK(check_state_options(config_.engine));
  if (remote_ && hooks_.tells_of_grants) {
    SLUICE_CHECK(check_state(remote_.get(), home_));
    remote_->mirror.prime();
    remote_->mirror.start();
  }
  SLUICE_CHECK(prepare_upstream());
  PolicyWatch::Options options;
  if (!config_.engine.policy.empty()) options.path = absolute_path(config_.engine.policy);
  options.reload = config_.engine.no_reload ? PolicyWatch::Reload::kNo : PolicyWatch::Reload::kYes;
  options.home = home_.path();
  options.tools = ToolsOf::kOthers;
  options.endpoint = config_.gateway_endpoint;
  options.tells_of_grants = hooks_.tells_of_grants;
  policy_watch_ = std::make_unique<PolicyWatch>(control_, gate_, *policy_store_, grants_, log_, std::move(options));
  SLUICE_CHECK(policy_watch_->load());
  SLUICE_TRY(audit_, open_audit(config_.engine, home_, files_, clock_, entropy_, log_));
  gateway::DispatcherDeps deps{
      control_.get_executor(), clock_, entropy_, nullptr, no_tools_, gate_, presenter_, *audit_, {}};
  deps.on_bug = [this](std::string_view what) { log_.error("tool_bug", {{"what", what}}); };
  deps.server = config_.server_name;
  SLUICE_TRY(calls_, open_call_recorder(config_.engine, home_, files_, clock_, entropy_));
  deps.calls = calls_.get();
  gateway::DispatcherLimits limits;
  if (!config_.gateway_listen.empty()) limits.max_running = kMaxCalls;
  dispatcher_ = std::make_unique<gateway::Dispatcher>(std::move(deps), limits);
  gate_.set_identities(grants_);
  gate_.set_approvals(approvals_, entropy_);
  gate_.set_closed([this] { return home_.is_closed(); });
  SLUICE_TRY(approval_service_,
             ApprovalService::create(control_, config_.engine, {admin_deps(), {&gate_}, redactor_, log_, [this] {
                                                                  return gate_metrics({counts()}, count_waiting(),
                                                                                      home_.is_closed());
                                                                }}));
  SLUICE_CHECK(prepare_grants());
  GatewayRun run{config_.server_name, policy_watch_->path(), config_.grant, ::getpid(), {}, {}, {}};
  run_ = std::make_shared<GatewayRunFile>(home_, files_, clock_, std::move(run));
  look_at_pins();
  policy_watch_->start([this] { hooks_.look_again(); }, [this] { tick(); });
  return {};
}

Status GatewayCore::prepare_upstream() {
  if (has_child()) {
    upstream_ = target_of(config_.server_command);
    return {};
  }
  SLUICE_TRY(Url url, parse_url(config_.engine.upstream));
  upstream_ = to_string(url);
  gateway::HttpClient::Options options;
  if (url.scheme == "https") {
    SLUICE_TRY(options.trust, tls::ClientContext::create({true, config_.engine.upstream_ca}, config_.key_log_file));
    options.trust->prepare();
  } else if (!config_.insecure_upstream) {
    options.only_loopback = true;
  }
  SLUICE_TRY(gateway::UpstreamFields fields,
             read_upstream_fields(config_.upstream_header_file, config_.upstream_token.get()));
  fields.insert(fields.end(), config_.server_fields.begin(), config_.server_fields.end());
  const bool has_own = std::any_of(fields.begin(), fields.end(),
                                   [](const auto& field) { return iequals(field.first, "authorization"); });
  if (!has_own) prepare_bearer(url, options.trust);
  credentials_ = std::make_shared<const gateway::UpstreamFields>(std::move(fields));
  http_target_ = url.target;
  options.server = std::move(url);
  http_ = std::make_unique<gateway::HttpClient>(control_, clock_, std::move(options));
  return {};
}

// The login at it, if there is one by then. A token never goes to another machine in the clear.
void GatewayCore::prepare_bearer(const Url& url, std::shared_ptr<tls::ClientContext> trust) {
  const gateway::Reach reach = gateway::reach_of(url);
  if (url.scheme == "http" && reach != gateway::Reach::kThisMachine) return;
  gateway::LoginBearer::Options options;
  options.server = config_.server_name;
  options.url = upstream_;
  options.notice = [this](std::string_view text) { notices()(text); };
  const auto trusted = [this, trust = std::move(trust)]() -> Result<std::shared_ptr<tls::ClientContext>> {
    if (trust) return trust;
    return tls::ClientContext::create({true, config_.engine.upstream_ca}, config_.key_log_file);
  };
  bearer_ = std::make_shared<gateway::LoginBearer>(gateway::OAuthWay{control_, clock_, trusted, reach},
                                                   open_logins(home_, files_, entropy_), std::move(options));
}

std::shared_ptr<gateway::Relay> GatewayCore::make_relay(gateway::Caller caller, Wires wires, Asked asked) {
  gateway::Relay::Deps deps{*dispatcher_, gate_, pins_, clock_, presenter_, entropy_, {config_.server_name, upstream_}};
  deps.first = config_.pins_strict ? gateway::PinStore::First::kQuarantine : gateway::PinStore::First::kAccept;
  deps.caller = std::move(caller);
  deps.notice = notices();
  if (!config_.pin_mode.empty()) {
    using Pins = gateway::Policy::Pins;
    deps.pin_mode = config_.pin_mode == "off" ? Pins::kOff : config_.pin_mode == "warn" ? Pins::kWarn : Pins::kEnforce;
  }
  deps.listed = [this](const gateway::Caller& caller, const std::set<std::string, std::less<>>& tools) {
    compare(caller, tools);
  };
  deps.over_http = !has_child();
  deps.lane = remote_ ? &remote_->lane : nullptr;
  deps.can_be_asked = asked == Asked::kMayBe;
  deps.to_client = std::move(wires.to_client);
  if (config_.no_bridge) {
    deps.to_server = std::move(wires.to_server);
    return gateway::Relay::create(std::move(deps));
  }
  const auto relay = std::make_shared<std::weak_ptr<gateway::Relay>>();
  deps.to_server = [relay](std::string text) {
    if (const auto from = relay->lock()) from->bridge()->from_relay(std::move(text));
  };
  auto bridged = gateway::Relay::create(std::move(deps));
  *relay = bridged;
  gateway::EraLink::Wires link{clock_, entropy_, SLUICE_VERSION};
  link.many_clients = asked == Asked::kNever;
  link.to_server = std::move(wires.to_server);
  link.notice = notices();
  gateway::put_bridge(bridged, std::move(link));
  return bridged;
}

Result<std::shared_ptr<gateway::ChildUpstream>> GatewayCore::start_child(gateway::UpstreamEvents events,
                                                                         gateway::ChildUpstream::OnExit on_exit) {
  return gateway::ChildUpstream::create(control_, config_.server_command, std::move(events), std::move(on_exit),
                                        config_.server_environment);
}

Result<std::shared_ptr<gateway::Upstream>> GatewayCore::connect(gateway::UpstreamEvents events) {
  if (has_child()) {
    const auto on_exit = [this, ended = events.ended](int, bool killed) {
      if (killed) return;
      const auto grace = std::make_shared<asio::steady_timer>(control_, gateway::ChildUpstream::kGrace);
      grace->async_wait([grace, ended](const boost::system::error_code& error) {
        if (!error) ended();
      });
    };
    SLUICE_TRY(auto child, start_child(std::move(events), on_exit));
    std::erase_if(children_, [](const auto& one) { return one.expired(); });
    children_.push_back(child);
    return child;
  }
  return gateway::HttpUpstream::create(control_, *http_, http_target_, credentials_, std::move(events), {}, bearer_);
}

// The eras have a server each: one that has both is not to be asked for both at once.
Result<std::shared_ptr<gateway::Upstream>> GatewayCore::join(const gateway::Caller& caller, gateway::ClientEra era,
                                                             gateway::UpstreamEvents events) {
  const bool of_grant = config_.isolation == "grant";
  gateway::SharedServer::Options options;
  options.of = of_grant ? gateway::SharedServer::Of::kOneGrant : gateway::SharedServer::Of::kSeveralGrants;
  options.version = SLUICE_VERSION;
  options.notice = notices();
  const std::string name =
      (era == gateway::ClientEra::kModern ? "modern " : "legacy ") + (of_grant ? caller.grant : std::string());
  return shared_.join(
      name, std::move(options), [this](gateway::UpstreamEvents own) { return connect(std::move(own)); },
      std::move(events));
}

void GatewayCore::signal_children(int number) {
  for (const auto& weak : children_) {
    if (const auto child = weak.lock()) child->signal(number);
  }
}

gateway::RelayFactory GatewayCore::relay_factory() {
  gateway::RelayFactory factory;
  factory.make_relay = [this](gateway::Caller caller, gateway::ClientEra era,
                              std::function<void(gateway::ToClient)> to_client,
                              std::function<void(std::string)> to_server) {
    return make_relay(std::move(caller), {std::move(to_client), std::move(to_server)},
                      era == gateway::ClientEra::kModern ? Asked::kNever : Asked::kMayBe);
  };
  // On two pipes there is one client, who shares with nobody.
  const bool shares = is_shared() && !config_.gateway_listen.empty();
  factory.connect = [this, shares](const gateway::Caller& caller, gateway::ClientEra era,
                                   gateway::UpstreamEvents events) {
    return shares ? join(caller, era, std::move(events)) : connect(std::move(events));
  };
  factory.notice = notices();
  return factory;
}

void GatewayCore::compare(const gateway::Caller& caller, const std::set<std::string, std::less<>>& tools) {
  constexpr std::size_t kMostGrants = 1'000, kMostNames = 10;
  if (config_.policy_of_all && caller.grant == "default") return;  // it names the other servers' tools, too
  if (compared_.size() == kMostGrants || !compared_.insert(caller.grant).second) return;
  const auto names = gate_.unknown_names(caller.grant, config_.server_name, tools, kMostNames + 1);
  if (names.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    text += (i == 0 ? "" : ", ") + gateway::visible_text(utf16_prefix(names[i], 128));
  }
  notices()(fmt::format("warning: the policy of {} names tools that {} does not list: {}{}", caller.grant,
                        config_.server_name, text, names.size() > kMostNames ? " and more" : ""));
}

void GatewayCore::tick() {
  if (home_.is_closed() && !was_closed_) dispatcher_->stop_calls();
  was_closed_ = home_.is_closed();
  hooks_.tick();
  if (++ticks_ % 4 != 0) return;
  dispatcher_->each_second();
  run_->write();
  if (look_at_pins()) hooks_.look_again();
}

Result<std::size_t> GatewayCore::count_waiting() {
  const std::int64_t now = unix_ms(clock_.wall());
  return remote_ ? remote_->mirror.count_waiting(now) : approvals_.count_waiting(now);
}

// Whether what is agreed to may be other than it was, or may be read again.
bool GatewayCore::look_at_pins() {
  const auto revision = remote_ ? remote_->mirror.revision(gateway::GateRows::Part::kPins) : pins_.revision();
  const std::optional<std::int64_t> now = revision ? std::optional(*revision) : std::nullopt;
  return std::exchange(pins_revision_, now) != now && now;
}

}  // namespace sluice::app

#include "app/gateway_many.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/state_open.h"

namespace sluice::app {

ManyServers::~ManyServers() {
  approval_service_.reset();
  for (const auto& server : servers_) {
    if (server->core) server->core->stop();
  }
  if (remote_) remote_->lane.close();
}

Status ManyServers::build(const Config& config, const Home& home, GatewayCore::Hooks hooks) {
  config_ = &config;
  home_ = &home;
  remote_ = make_remote_state(control_.get_executor(), config.engine, home, clock_, entropy_);
  SLUICE_TRY(auto servers, read_gateway_servers(config.gateway_config));
  for (GatewayServer& server : servers) {
    if (server.name == config.gateway_endpoint) {
      return fail(Code::kInvalid,
                  fmt::format("{} is one of the servers: --name is what all of them together are called", server.name));
    }
    SLUICE_CHECK(add(std::move(server), hooks));
  }
  SLUICE_CHECK(prepare_grants());
  count_together();
  GatewayCore& first = *servers_.front()->core;
  std::vector<gateway::PolicyGate*> gates;
  for (const auto& server : servers_) gates.push_back(&server->core->gate());
  SLUICE_TRY(approval_service_,
             ApprovalService::create(control_, config.engine,
                                     {first.admin_deps(), gates, first.redactor(), first.log(), [this, &first] {
                                        std::vector<GateCounts> counts;
                                        for (const auto& server : servers_) counts.push_back(server->core->counts());
                                        return gate_metrics(counts, first.count_waiting(), home_->is_closed());
                                      }}));
  return {};
}

// Its policy is what the person meant to be in force: one that cannot be ends the start.
Status ManyServers::add(GatewayServer server, const GatewayCore::Hooks& hooks) {
  const bool first = servers_.empty();
  const bool of_all = server.policy.empty();
  if (of_all) server.policy = config_->engine.policy;
  if (server.policy.empty() && config_->grant.empty()) {
    return fail(Code::kInvalid, server.name + " has no `policy`, and there is no --policy for all");
  }
  auto own = std::make_unique<Server>();
  Config& its = own->config;
  its = *config_;
  its.server_name = server.name;
  its.server_command = std::move(server.command);
  its.server_environment = std::move(server.environment);
  its.engine.upstream = std::move(server.url);
  its.server_fields = std::move(server.fields);
  its.engine.policy = std::move(server.policy);
  its.policy_of_all = of_all;
  its.pin_mode = std::move(server.pins);
  if (!server.isolation.empty()) its.isolation = std::move(server.isolation);
  its.upstream_token.reset();  // it would go to all of them
  its.engine.approval_webhook.clear();
  its.engine.approval_webhook_key.clear();
  its.engine.admin_api = its.engine.metrics = 0;  // of all together
  own->core = std::make_unique<GatewayCore>(its, *home_, control_, remote_);
  const Status built = own->core->build({hooks.look_again, first ? hooks.tick : [] {}, first});
  if (!built) return fail(built.error().code, fmt::format("{}: {}", server.name, built.error().message));
  GatewayCore& core = *own->core;
  lanes_.push_back({server.name, core.relay_factory(),
                    [&core](const gateway::Caller& caller) { return core.grants().is_valid(caller); }});
  servers_.push_back(std::move(own));
  return {};
}

// One policy for all servers has one max_in_flight; policies of each server alone have their own.
void ManyServers::count_together() {
  for (const auto& server : servers_) {
    server->core->dispatcher().count_with([this, here = server->core.get()](std::string_view grant) {
      std::size_t running = 0;
      if (!here->gate().is_of_endpoint(grant)) return running;
      for (const auto& other : servers_) {
        if (other->core.get() != here) running += other->core->dispatcher().running(grant);
      }
      return running;
    });
  }
}

// Of all servers' grants, and of the endpoint's.
Status ManyServers::prepare_grants() {
  GatewayCore& first = *servers_.front()->core;
  if (!remote_) local_state_ = make_gate_state(nullptr, *home_);
  gateway::GateRows& rows = remote_ ? remote_->rows : *local_state_;
  grant_store_ = std::make_unique<gateway::GrantStore>(rows);
  grants_ = std::make_unique<gateway::Grants>(first.clock(), *grant_store_);
  if (remote_) grants_->set_mirror(remote_->mirror);
  gateway::Grants::Options options;
  options.server = config_->gateway_endpoint;
  for (const auto& server : servers_) options.also.push_back(server->config.server_name);
  options.needs_token = config_->gateway_listen.empty() || config_->gateway_auth == ControlAuth::kToken;
  if (!config_->gateway_listen.empty() && options.needs_token) {
    SLUICE_TRY(options.default_token, home_->token(first.files(), first.entropy()));
  }
  grants_->set_options(std::move(options));
  grants_->set_profiles([this](const std::string&) { return &no_profile_; });
  return {};
}

Result<gateway::Caller> ManyServers::identify() {
  if (config_->grant.empty()) return gateway::Caller{"default", "stdio"};
  SLUICE_TRY(gateway::Identity who,
             grants_->identify_stdio(config_->grant, config_->grant_token ? config_->grant_token->view() : ""));
  who.caller.session = "stdio";
  return who.caller;
}

Result<std::shared_ptr<gateway::ManyBackend>> ManyServers::connect(const gateway::Caller& caller,
                                                                   gateway::ClientEra era,
                                                                   gateway::Backend::Events events,
                                                                   std::function<void()> full,
                                                                   std::function<void()> drained) {
  gateway::ManyBackend::Options options{control_.get_executor(), servers_.front()->core->clock(), SLUICE_VERSION,
                                        std::move(full), std::move(drained)};
  return gateway::ManyBackend::create(std::move(options), lanes_, caller, era, std::move(events));
}

GatewayFront ManyServers::front() {
  GatewayCore& first = *servers_.front()->core;
  GatewayFront front{control_,      *config_,        *home_,
                     first.clock(), first.entropy(), first.log(),
                     *grants_,      first.limits(),  config_->gateway_endpoint};
  front.factory = [this](const gateway::Caller& caller, gateway::ClientEra era,
                         gateway::Backend::Events events) -> Result<std::shared_ptr<gateway::Backend>> {
    SLUICE_TRY(auto made, connect(caller, era, std::move(events)));
    return std::shared_ptr<gateway::Backend>(std::move(made));
  };
  // Of one server its relay says so; here all of them have to.
  front.shut_out_until = [this](const gateway::Caller& caller) -> std::optional<WallTime> {
    std::optional<WallTime> earliest;
    for (const auto& server : servers_) {
      const auto until = server->core->dispatcher().shut_out_until(caller);
      if (!until) return std::nullopt;
      earliest = std::min(earliest.value_or(*until), *until);
    }
    return earliest;
  };
  front.malformed = [&first](const gateway::Caller& caller) { first.dispatcher().count_malformed(caller); };
  front.programs = static_cast<std::size_t>(
      std::count_if(servers_.begin(), servers_.end(), [](const auto& one) { return one->core->programs() > 0; }));
  front.starts_programs =
      std::any_of(servers_.begin(), servers_.end(), [](const auto& one) { return one->core->has_child(); });
  return front;
}

void ManyServers::signal(int number) {
  for (const auto& server : servers_) server->core->signal_children(number);
}

}  // namespace sluice::app

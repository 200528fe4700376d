// `sluice gateway`: the policy gate in front of another MCP server (docs/gateway.md). What its parts are:
// gateway_core.h.
#include <fmt/format.h>

#include "app/commands.h"
#include "app/gateway_core.h"
#include "app/gateway_servers.h"
#include "app/wiring.h"
#include "base/url.h"

namespace sluice::app {
namespace {

std::string wrong_listen(const Config& config) {
  const bool without_auth = config.gateway_auth == ControlAuth::kNone;
  if (config.gateway_listen.empty()) {
    return without_auth || !config.allow_host.empty() ? "--auth, --no-auth and --allow-host go with --listen" : "";
  }
  if (!config.grant.empty())
    return "--grant is for standard input and output: over HTTP a token says whose calls these are";
  const auto address = parse_listen(config.gateway_listen, "--listen");
  if (!address) return address.error().message;
  if (without_auth && !gateway::is_loopback_name(address->host)) {
    return "without a token the gateway listens on loopback alone: leave --no-auth out, or the address";
  }
  return "";
}

// What goes with one server alone.
std::string wrong_several(const Config& config) {
  const bool one = !config.server_command.empty() || !config.engine.upstream.empty() || !config.grant.empty() ||
                   !config.upstream_header_file.empty() || config.insecure_upstream ||
                   config.server_name != Config().server_name;
  if (one) {
    return "--config names the servers and their policies: no --upstream…, --name, --grant or command goes with it";
  }
  const EngineConfig& engine = config.engine;
  if (engine.admin_api || engine.metrics || !engine.approval_webhook.empty()) {
    return "--admin-api, --approval-webhook and --metrics are of one server's gate: they do not go with --config";
  }
  const bool http = !config.gateway_listen.empty() || config.gateway_auth == ControlAuth::kNone;
  return http || !config.allow_host.empty() ? "--config serves standard input and output alone, not --listen" : "";
}

// What is wrong with how it was asked for; empty: nothing.
std::string wrong_usage(const Config& config) {
  if (!config.gateway_config.empty()) return wrong_several(config);
  const std::string& upstream = config.engine.upstream;
  if (config.server_command.empty() == upstream.empty()) {
    return "`sluice gateway` needs its server: its command behind -- (-- CMD ARGS…), --upstream URL, or --config FILE";
  }
  if (config.engine.policy.empty() == config.grant.empty()) {
    return "`sluice gateway` needs --policy FILE, or --grant NAME, which has a policy of its own";
  }
  if (const std::string wrong = wrong_listen(config); !wrong.empty()) return wrong;
  if (!is_server_name(config.server_name)) {
    return "--name takes a-z, 0-9 and -, at most 32 of them, and not `sluice`";
  }
  const bool has_options =
      !config.upstream_header_file.empty() || !config.engine.upstream_ca.empty() || config.insecure_upstream;
  if (upstream.empty()) {
    return has_options ? "--upstream-header-file, --upstream-ca and --insecure-upstream go with --upstream" : "";
  }
  const auto url = parse_url(upstream);
  if (!url || (url->scheme != "http" && url->scheme != "https")) return "--upstream takes an http or https URL";
  if (url->scheme == "http" && !config.insecure_upstream && !gateway::is_loopback_name(url->host)) {
    return "http to another machine can be read and changed on its way: use https, or say --insecure-upstream";
  }
  return "";
}

}  // namespace

int run_gateway(const Config& config) {
  if (const std::string wrong = wrong_usage(config); !wrong.empty()) {
    fmt::print(stderr, "sluice: {}\n", wrong);
    return 2;
  }
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  if (!config.gateway_config.empty()) return run_gateway_on_many(config, *home);
  boost::asio::io_context control{1};
  GatewayCore core(config, *std::move(home), control);
  return config.gateway_listen.empty() ? run_gateway_on_stdio(core) : run_gateway_on_http(core);
}

}  // namespace sluice::app

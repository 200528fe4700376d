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

constexpr const char* kWrongName = "--name takes a-z, 0-9 and -, at most 32 of them, and not `sluice`";

// What several servers together are called.
std::string endpoint_of(const Config& config) {
  return config.server_name == Config().server_name ? "gateway" : config.server_name;
}

std::string wrong_listen(const Config& config) {
  const bool without_auth = config.gateway_auth == ControlAuth::kNone;
  if (config.gateway_listen.empty()) {
    const bool any = without_auth || !config.allow_host.empty() || !config.isolation.empty();
    return any ? "--auth, --no-auth, --allow-host and --isolation go with --listen" : "";
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
  const bool one = !config.server_command.empty() || !config.engine.upstream.empty() ||
                   !config.upstream_header_file.empty() || config.insecure_upstream;
  if (one) return "--config names the servers and where they are: no --upstream… or command goes with it";
  if (!config.grant.empty() && !config.engine.policy.empty()) {
    return "--grant NAME has a policy of its own: no --policy goes with it";
  }
  if (!is_server_name(endpoint_of(config))) return kWrongName;
  return wrong_listen(config);
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
    return kWrongName;
  }
  return wrong_upstream(config);
}

}  // namespace

std::string wrong_upstream(const Config& config) {
  const std::string& upstream = config.engine.upstream;
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

int run_gateway(const Config& config) {
  if (const std::string wrong = wrong_usage(config); !wrong.empty()) {
    fmt::print(stderr, "sluice: {}\n", wrong);
    return 2;
  }
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  if (!config.gateway_config.empty()) {
    Config several = config;
    several.gateway_endpoint = endpoint_of(config);
    return several.gateway_listen.empty() ? run_gateway_on_stdio(several, *home) : run_gateway_on_http(several, *home);
  }
  boost::asio::io_context control{1};
  GatewayCore core(config, *std::move(home), control);
  return config.gateway_listen.empty() ? run_gateway_on_stdio(core) : run_gateway_on_http(core);
}

}  // namespace sluice::app

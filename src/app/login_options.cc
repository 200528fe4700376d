#include "app/login_options.h"

namespace sluice::app {
namespace {

void add_place(CLI::App& sub, Config& config) {
  sub.add_option("--home", config.home, "State directory (default $SLUICE_HOME, else ~/.sluice)");
  sub.add_option("name", config.server_name, "The server's name, as --name or --config has it")->required();
  sub.add_option("--upstream", config.engine.upstream, "The server's URL")->option_text("URL");
  sub.add_option("--config", config.gateway_config, "The servers' file, which has its URL")->option_text("FILE");
}

}  // namespace

LoginCommands add_login_commands(CLI::App& gateway, Config& config) {
  auto* login = gateway.add_subcommand("login", "OAuth at a server over HTTP, for its gateway (docs/gateway.md)");
  add_place(*login, config);
  login->add_option("--client-id", config.client_id, "What its authorization server knows us as; else it is asked")
      ->option_text("ID");
  login->add_option("--client-secret-file", config.client_secret_file, "The client's secret: FILE's first line (0600)")
      ->option_text("FILE");
  login->add_option("--scope", config.login_scope, "What is asked for, in place of what the server says")
      ->option_text("NAMES");
  login->add_option("--issuer", config.login_issuer, "Which authorization server, if the server names several, or none")
      ->option_text("URL");
  login->add_option("--redirect-port", config.redirect_port, "Where the browser comes back to on 127.0.0.1; 0: any")
      ->capture_default_str();
  login->add_option("--wait", config.login_wait, "Seconds for the person in front of the browser")
      ->check(CLI::Range(1u, 3'600u).description(""))
      ->capture_default_str();
  login->add_option("--upstream-ca", config.engine.upstream_ca, "Trust the CAs in this PEM file, too; repeats");
  auto* logout = gateway.add_subcommand("logout", "Forget a login; without --upstream or --config all of this name");
  add_place(*logout, config);
  return {login, logout};
}

}  // namespace sluice::app

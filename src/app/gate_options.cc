#include "app/gate_options.h"

#include <map>

namespace sluice::app {

void add_calls_key_option(CLI::App& app, EngineConfig& engine) {
  app.add_option("--calls-key", engine.calls_key, "The key of kept calls (0600; openssl rand -hex 32)")
      ->option_text("FILE");
}

void add_state_options(CLI::App& app, EngineConfig& engine, const std::string& text) {
  app.add_option("--state", engine.state, text + ": redis://[USER@]HOST[:PORT][/DATABASE] (docs/state.md)")
      ->option_text("URL");
  app.add_option("--state-password-file", engine.state_password_file, "Redis's password: FILE's first line")
      ->option_text("FILE");
}

// What every program with a gate in it has.
void add_gate_options(CLI::App& app, EngineConfig& engine, const char* policy) {
  app.add_option("--policy", engine.policy, policy)->option_text("FILE");
  app.add_flag("--no-reload", engine.no_reload, "Keep the policy of the start, whatever becomes of its file");
  app.add_option("--audit-failure", engine.audit_optional, "When the audit log cannot be written: deny calls, or allow")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, bool>{{"deny", false}, {"allow", true}}).description(""))
      ->option_text("deny|allow");
  app.add_option("--audit-max-mb", engine.audit_max_mb,
                 "Audit files together, in MiB; then calls are denied; 0: no bound")
      ->capture_default_str();
  app.add_option("--audit-head", engine.audit_head,
                 "Keep the signed heads of the audit elsewhere, too: a file or syslog")
      ->option_text("FILE|syslog");
  add_state_options(app, engine, "Counters, grants, approvals and pins in Redis, with other gateways");
  app.add_option("--approval-webhook", engine.approval_webhook,
                 "POST each call that begins to wait for a person there (https, or http on 127.0.0.1)")
      ->option_text("URL");
  app.add_option("--approval-webhook-key", engine.approval_webhook_key, "The secret that signs them: FILE's first line")
      ->option_text("FILE");
  app.add_option("--admin-api", engine.admin_api,
                 "Approvals over HTTP on 127.0.0.1:PORT, for whoever has the admin credential")
      ->option_text("PORT");
  app.add_option("--metrics", engine.metrics, "Counts for Prometheus at http://127.0.0.1:PORT/metrics")
      ->option_text("PORT");
  app.add_option("--record-calls", engine.record_calls,
                 "Keep agents' calls with their values, sealed, for `policy simulate` and `policy learn`")
      ->option_text("DIR");
  app.add_option("--record-calls-max-mb", engine.record_calls_max_mb, "Of kept calls; then the oldest files go")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}).description(""))
      ->capture_default_str();
  app.add_option("--record-calls-days", engine.record_calls_days, "Older files of kept calls go")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{3'650}).description(""))
      ->capture_default_str();
  add_calls_key_option(app, engine);
  app.add_option("--log-level", engine.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->capture_default_str();
}

void add_upstream_options(CLI::App& app, Config& config) {
  app.add_option("--upstream", config.engine.upstream, "The server's URL, where it is no command of ours")
      ->option_text("URL");
  app.add_option("--upstream-header-file", config.upstream_header_file,
                 "Lines `Name: value` that the server at --upstream wants (0600); or $SLUICE_UPSTREAM_TOKEN")
      ->option_text("FILE");
  app.add_option("--upstream-ca", config.engine.upstream_ca,
                 "Trust the CAs in this PEM file towards --upstream, too; repeats");
  app.add_flag("--insecure-upstream", config.insecure_upstream, "Plain HTTP to a server on another machine");
}

void add_policy_options(CLI::App& policy, Config& config) {
  policy.add_option("action", config.action, "check, explain, test, simulate, learn, convert or scan")
      ->required()
      ->check(CLI::IsMember({"check", "explain", "test", "simulate", "learn", "convert", "scan"}).description(""));
  policy.add_option("file", config.arguments, "The policy; check takes several");
  policy.add_option("--tool", config.policy_tool, "test: which tool is called");
  policy.add_option("--audit", config.policy_audit, "simulate, learn: audit files, or one of them: what was called");
  policy.add_option("--calls", config.policy_calls, "simulate, learn: what --record-calls kept, values too");
  add_calls_key_option(policy, config.engine);
  policy.add_option(
      "--server", config.policy_server,
      "check, test: which server's tools, as the gateway has seen them; simulate, learn: of which server's "
      "calls, if there are several");
  policy.add_option("--schema", config.policy_schema, "test: the tool's input schema, or its entry of tools/list")
      ->option_text("FILE");
  policy.add_option("--grant", config.policy_grant, "simulate, learn: of which grant's calls alone");
  policy.add_option("--endpoint", config.policy_endpoint,
                    "simulate, learn: one policy for all servers behind this one, whose tools it calls SERVER__TOOL");
  policy.add_option("--args", config.policy_args, "test: its arguments, one JSON object");
  policy
      .add_option("--to", config.policy_to,
                  "convert: json, or yaml as Intercept reads it; without it the one that the file is not")
      ->check(CLI::IsMember({"json", "yaml"}).description(""));
  policy.add_option("--wait", config.policy_wait, "scan: seconds for a server's answers")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{3'600}).description(""))
      ->capture_default_str();
  add_upstream_options(policy, config);
  policy.footer("scan asks a server for its tools where it is named: sluice policy scan -- CMD ARGS…");
}

void add_gateway_options(CLI::App& gateway, Config& config) {
  const std::map<std::string, ControlAuth> auths{{"token", ControlAuth::kToken}, {"none", ControlAuth::kNone}};
  gateway.remove_option(gateway.get_option("--config"));
  gateway
      .add_option("--config", config.gateway_config,
                  "Several servers: {\"mcpServers\": {NAME: {…}}} as clients have it, with a `policy` each")
      ->option_text("FILE");
  gateway.add_option("--grant", config.grant, "Whose calls these are: a grant (its token in SLUICE_GRANT_TOKEN)")
      ->option_text("NAME");
  gateway
      .add_option(
          "--name", config.server_name,
          "What the server is called in grants, counters, pins and audit; with --config (`gateway`): all together")
      ->capture_default_str();
  gateway.add_flag("--pins-strict", config.pins_strict, "Quarantine the tools of the first list, too");
  gateway
      .add_option("--isolation", config.isolation,
                  "With --listen, who has a server for himself: each session of legacy clients, each grant, or nobody")
      ->check(CLI::IsMember({"session", "grant", "shared"}).description(""))
      ->option_text("session|grant|shared");
  gateway.add_flag("--no-bridge", config.no_bridge, "Do not translate between the eras of MCP");
  gateway
      .add_option("--listen", config.gateway_listen,
                  "Clients over HTTP at this address and port, such as 127.0.0.1:8791; port 0: any free one")
      ->option_text("HOST:PORT");
  gateway.add_option("--auth", config.gateway_auth, "With --listen: token, or none (on loopback alone)")
      ->transform(CLI::CheckedTransformer(auths).description(""));
  gateway.add_flag_callback(
      "--no-auth", [&config] { config.gateway_auth = ControlAuth::kNone; }, "The same as --auth none");
  gateway.add_option("--allow-host", config.allow_host, "Host names that --listen answers to; repeats");
  add_upstream_options(gateway, config);
  gateway.footer("The server's command stands behind `--`: sluice gateway --policy FILE -- CMD ARGS…");
}

}  // namespace sluice::app

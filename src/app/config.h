// The only reader of the command line, `config.yaml` and the environment. Every key of a section of the file is also a
// flag of that sub-command; flags win; unknown keys and flags are refused with the nearest name (DESIGN 3).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/secret.h"
#include "proxy/engine.h"
#include "proxy/upstream_table.h"
#include "tools/tool.h"

namespace sluice::app {

enum class Command {
  kServe,
  kMcp,
  kTraffic,
  kCall,
  kRules,
  kCa,
  kTools,
  kDoctor,
  kPolicy,
  kGrant,
  kApprovals,
  kGate,
  kSessions,
  kAudit,
  kGateway,
  kGatewayImport,
  kGatewayStatus,
  kGatewayLogin,
  kGatewayLogout,
  kPins
};
enum class ControlAuth { kToken, kNone };

// What `serve` and `mcp` share.
struct EngineConfig {
  std::vector<std::string> listen;       // --listen ADDR:PORT, instead of --proxy-port
  std::vector<std::string> transparent;  // --transparent ADDR:PORT
  std::uint16_t proxy_port = 8080;
  std::vector<std::string> allow_client, proxy_protocol, upstream_ca, allow_root;
  std::string proxy_auth;  // USER:FILE
  std::uint32_t mark = 0;  // SO_MARK of connections to servers
  bool upstream_insecure = false;
  std::vector<std::string> upstream_client_cert, passthrough;  // HOST=CERT:KEY; hosts
  std::vector<std::string> host_options;                       // HOST={…} (host_options_config.h)
  bool learn_passthrough = false;
  std::string upstream;                                                          // --upstream URL|env
  std::vector<std::string> upstream_no_proxy, host_upstream, upstream_password;  // lists; HOST=URL; HOST=FILE
  tls::Version min_client_tls = tls::Version::k1_2;
  std::size_t workers = 0;  // 0: one for each core, at most 8
  std::size_t max_connections = 10'000;
  std::vector<std::string> timeout;  // NAME=SECONDS (timeout_config.h)
  std::uint64_t spool_mb = 2048, ring_mb = 32, ring_exchanges = 10'000;
  bool keep_alt_svc = false;
  tools::Toolset toolset = tools::Toolset::kProxy;
  std::string log_level = "warning";
  std::string policy;           // --policy FILE; empty: the built-in one that allows everything
  bool no_reload = false;       // the policy stays as it was at the start
  bool audit_optional = false;  // --audit-failure allow: calls run though they cannot be written down
  std::uint64_t audit_max_mb = 10'240;
  std::uint64_t sessions_max_disk_mb = 0;  // 0: no cap over all
  std::string sessions_on_cap = "stop";
  std::string sessions_key_file;                       // --sessions-key-file, of `sessions`, too
  std::string audit_head;                              // --audit-head FILE|syslog
  std::string state, state_password_file;              // --state redis://…; empty: counters are in state.db
  std::string approval_webhook, approval_webhook_key;  // --approval-webhook URL, with the key in FILE
  std::uint16_t metrics = 0;                           // --metrics PORT; 0: there are none
  std::uint16_t admin_api = 0;                         // --admin-api PORT; 0: there is none
  std::string record_calls;                            // --record-calls DIR; empty: none is kept
  std::string calls_key;                               // --calls-key FILE; empty: calls.key of the home
  std::uint64_t record_calls_max_mb = 256, record_calls_days = 30;
};

struct Config {
  Command command = Command::kServe;
  std::optional<std::string> home;  // --home
  std::string config_file;          // --config
  bool json = false;                // --json

  EngineConfig engine;
  // serve
  std::uint16_t control_port = 8790;
  ControlAuth control_auth = ControlAuth::kToken;
  std::vector<std::string> allow_host;
  std::string ready_file;
  bool no_proxy = false, quiet = false;
  // mcp
  bool attach = false;
  std::string attach_url;                     // empty: the newest running serve of this home
  std::string grant;                          // --grant NAME; empty: `default`
  std::shared_ptr<const Secret> grant_token;  // SLUICE_GRANT_TOKEN, gone from the environment once read
  // traffic, call, ca, tools
  std::string action;                  // list|show|body|tail|export; show|export|rotate
  std::string subject;                 // an exchange id, a tool's name, a file
  std::vector<std::string> arguments;  // k=v … or one JSON object
  int pid = 0;                         // --pid: which running serve
  std::size_t limit = 50;
  std::string filter;                    // traffic: an expression (docs/filters.md); empty: none
  std::string format = "har", exchange;  // traffic export; sessions export
  std::string file;                      // sessions export
  bool redact = false, strict = false;   // sessions export, import
  std::string session_name;              // sessions import
  std::uint64_t max_disk_mb = 1024;      // sessions import
  bool markdown = false, response = true;
  bool replace = false;                  // rules import: in place of those that are there
  std::string policy_tool, policy_args;  // policy test; its files are `arguments`
  std::string policy_audit;              // policy simulate, learn
  std::string policy_calls;              // policy simulate, learn
  // policy check, test, simulate, learn: of which server's tools or calls, and whose; under which name several servers
  // have one policy
  std::string policy_server, policy_grant, policy_endpoint;
  std::string policy_to;           // policy convert: "json" or "yaml"
  std::string policy_schema;       // policy test: a file with the tool's input schema
  std::uint64_t policy_wait = 60;  // policy scan: seconds
  // grant: its name is `subject`, its policy `engine.policy`
  std::string admin_token_file;   // --admin-token-file; empty: the terminal is asked
  std::string server = "sluice";  // create: whose tools
  std::string expires, grace;     // "30d", "12h"
  bool reset = false;             // admin: of a lost credential
  bool stdio = false;

  // gateway
  std::vector<std::string> server_command;  // behind --
  std::string server_name = "upstream";     // --name
  std::string gateway_endpoint;             // of several servers together: --name with --config; empty: it is one
  std::string gateway_config;               // --config: several servers (app/gateway_servers.h), each with a Config
  // Of one of them, beside its name, command, URL and policy. Secrets.
  std::vector<std::string> server_environment;
  std::vector<std::pair<std::string, std::string>> server_fields;
  bool policy_of_all = false;  // --policy of several servers, since it has none of its own
  std::string pin_mode;        // off, warn, enforce; empty: as its policy says
  std::string isolation;       // session, grant, shared; empty: a session each in the legacy era, a grant in the modern
  bool pins_strict = false;
  bool no_bridge = false;            // an era that the server does not have is its own affair
  std::string upstream_header_file;  // its URL is engine.upstream, more CAs engine.upstream_ca
  std::string gateway_listen;        // --listen HOST:PORT; empty: standard input and output
  ControlAuth gateway_auth = ControlAuth::kToken;
  bool insecure_upstream = false;                // plain HTTP to another machine
  std::shared_ptr<const Secret> upstream_token;  // SLUICE_UPSTREAM_TOKEN, gone from the environment once read
  std::vector<std::string> pinned_tools;         // gateway pins
  bool undo = false;                             // gateway import
  // gateway login: of server_name at engine.upstream, or as gateway_config has it
  std::string login_issuer, client_id, client_secret_file, login_scope;
  std::uint16_t redirect_port = 0;
  std::uint32_t login_wait = 300;  // seconds

  // audit
  std::string audit_directory, audit_key, audit_head;  // verify: kept heads
  std::uint64_t audit_from = 1;
  std::string audit_format = "jsonl";
  bool follow = false;

  // SLUICE_SESSIONS_KEY, gone from the environment once read; null: it is not set.
  std::shared_ptr<const Secret> sessions_key;

  std::string key_log_file;  // $SSLKEYLOGFILE
  // The proxy variables, for `--upstream env` and, where they are ignored, for a notice that names the first.
  std::string proxy_variable;
  proxy::UpstreamStore::Variables proxy_variables;
  // PROXY_MCP_UPSTREAM_PASSWORD for PROXY_MCP_UPSTREAM_HOST (also SLUICE_UPSTREAM_…): proxy.md (g). Gone from the
  // environment once read, so that no child gets it.
  std::string upstream_password_host;
  std::shared_ptr<const Secret> upstream_password;
};

struct ConfigOutcome {
  std::optional<Config> config;
  int exit_code = 0;  // when there is no config: help was asked for (0), or wrong usage (2)
};

// Prints help to standard output and errors to standard error.
ConfigOutcome read_config(int argc, char** argv, FileSystem& files);

}  // namespace sluice::app

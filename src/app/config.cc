#include "app/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "app/gate_options.h"
#include "app/home.h"
#include "app/login_options.h"
#include "app/trusted_file.h"
#include "base/text.h"

namespace sluice::app {
namespace {

const std::map<std::string, tools::Toolset> kToolsets{{"proxy", tools::Toolset::kProxy},
                                                      {"core", tools::Toolset::kCore},
                                                      {"mitmproxy", tools::Toolset::kMitmproxy},
                                                      {"all", tools::Toolset::kAll}};
const std::map<std::string, tls::Version> kTlsVersions{
    {"1.0", tls::Version::k1_0}, {"1.1", tls::Version::k1_1}, {"1.2", tls::Version::k1_2}, {"1.3", tls::Version::k1_3}};
constexpr std::uint16_t kServeProxyPort = 8080;
constexpr std::uint16_t kMcpProxyPort =
    0;  // any number of `mcp` run at once: proxy_start without a port takes a free one
const std::map<std::string, ControlAuth> kAuths{{"token", ControlAuth::kToken}, {"none", ControlAuth::kNone}};

void add_key_option(CLI::App& app, EngineConfig& engine) {
  app.add_option("--sessions-key-file", engine.sessions_key_file,
                 "Encrypt recordings with the key in FILE (0600; openssl rand -hex 32), or $SLUICE_SESSIONS_KEY")
      ->option_text("FILE");
}

void add_engine_options(CLI::App& app, EngineConfig& engine, std::uint16_t proxy_port) {
  app.add_option("--proxy-port", engine.proxy_port, "Port of the proxy on 127.0.0.1; 0: any free one")
      ->default_str(std::to_string(proxy_port));
  app.add_option("--listen", engine.listen, "Listen on ADDR:PORT instead of --proxy-port; repeats");
  app.add_option("--transparent", engine.transparent,
                 "Listen on ADDR:PORT for connections that the kernel redirects here; repeats");
  app.add_option("--allow-client", engine.allow_client,
                 "Clients beyond this machine that may use the proxy (CIDR); repeats");
  app.add_option("--proxy-auth", engine.proxy_auth,
                 "USER:FILE: clients must give this name and the password in FILE's first line");
  app.add_option("--proxy-protocol", engine.proxy_protocol,
                 "Load balancers (CIDR) whose connections begin with a PROXY protocol header; repeats");
  app.add_option("--mark", engine.mark,
                 "Mark (SO_MARK) Sluice's own connections, for rules that redirect; needs CAP_NET_ADMIN");
  app.add_option("--upstream-ca", engine.upstream_ca, "Trust the CAs in this PEM file towards servers, too; repeats");
  app.add_flag("--upstream-insecure", engine.upstream_insecure, "Record servers' certificates, but accept any");
  app.add_option("--upstream-client-cert", engine.upstream_client_cert,
                 "HOST=CERT:KEY: our certificate (PEM) for servers that ask; HOST: a name, *.suffix or *; repeats");
  app.add_option("--min-client-tls", engine.min_client_tls, "What clients must speak at least: 1.0, 1.1, 1.2 or 1.3")
      ->transform(CLI::CheckedTransformer(kTlsVersions).description(""))
      ->default_str("1.2");
  app.add_option("--passthrough", engine.passthrough,
                 "Do not intercept TLS to this host (a name, or *.suffix); repeats");
  app.add_flag("--learn-passthrough", engine.learn_passthrough,
               "Stop intercepting, for an hour, where a client accepts the server's own certificate only");
  app.add_option(
      "--upstream", engine.upstream,
      "Reach servers through this proxy: http, https, socks4, socks4a, socks5, socks5h or pac+… URL; or env");
  app.add_option("--upstream-no-proxy", engine.upstream_no_proxy,
                 "Not these (names and what lies below, addresses, CIDR; commas between them); repeats");
  app.add_option("--host-upstream", engine.host_upstream,
                 "HOST=URL: a proxy for one host (a name, *.suffix or *); repeats");
  app.add_option("--upstream-password", engine.upstream_password,
                 "HOST=FILE: the password, FILE's first line, for that proxy where its URL has a user alone; repeats");
  app.add_option("--host-options", engine.host_options,
                 "HOST={option: value, …}: as proxy_set_host_options takes them (docs/tls.md); repeats");
  app.add_option("--allow-root", engine.allow_root, "Where paths given by tools may read or write; repeats");
  app.add_option("--toolset", engine.toolset, "Which tools agents see: proxy, core, mitmproxy or all")
      ->transform(CLI::CheckedTransformer(kToolsets).description(""));
  add_gate_options(app, engine, "What agents may call (docs/policy.md); without it everything");
  app.add_option("--workers", engine.workers, "Threads that move traffic; 0: one for each core, at most 8");
  app.add_option("--sessions-max-disk-mb", engine.sessions_max_disk_mb,
                 "What all recordings of a folder may take together, in MiB; 0: no cap")
      ->capture_default_str();
  app.add_option("--sessions-on-cap", engine.sessions_on_cap,
                 "There: stop (nothing new is recorded) or drop_oldest (whole recordings, the oldest first)")
      ->check(CLI::IsMember({"stop", "drop_oldest"}).description(""))
      ->capture_default_str();
  add_key_option(app, engine);
  app.add_option("--max-connections", engine.max_connections, "Client connections at once")->capture_default_str();
  app.add_option("--timeout", engine.timeout,
                 "NAME=SECONDS: connect, tls, client-head, first-byte, idle, … (docs/security.md); repeats");
  app.add_option("--ring-exchanges", engine.ring_exchanges, "Exchanges kept")->capture_default_str();
  app.add_option("--ring-mb", engine.ring_mb, "Memory for their heads and index, in MiB")->capture_default_str();
  app.add_option("--spool-mb", engine.spool_mb, "Disk for their bodies, in MiB")->capture_default_str();
  app.add_flag("--keep-alt-svc", engine.keep_alt_svc, "Pass Alt-Svc fields on (clients may then leave for HTTP/3)");
}

struct Parser {
  explicit Parser(Config& target) : config(target) { build(); }

  void common(CLI::App* sub) {
    sub->add_option("--home", config.home, "State directory (default $SLUICE_HOME, else ~/.sluice)");
    sub->add_option("--config", config.config_file, "Configuration (default <home>/config.yaml)");
    sub->add_flag("--json", config.json, "Print JSON");
  }

  void build() {
    app.description("Sluice: an HTTPS interception proxy that AI agents drive and people supervise.");
    app.set_version_flag("--version", std::string("sluice ") + SLUICE_VERSION);
    app.require_subcommand(1);
    app.footer("`sluice COMMAND --help` explains each. Start with `sluice serve`.");

    auto* serve = add("serve", Command::kServe, "Run the proxy and the MCP server over HTTP");
    add_engine_options(*serve, config.engine, kServeProxyPort);
    serve->add_option("--control-port", config.control_port, "Port of the MCP endpoint on 127.0.0.1; 0: any free one")
        ->capture_default_str();
    serve->add_option("--control-auth", config.control_auth, "token, or none")
        ->transform(CLI::CheckedTransformer(kAuths).description(""));
    serve->add_option("--allow-host", config.allow_host, "Host names that the control port answers to; repeats");
    serve->add_option("--ready-file", config.ready_file, "Written (JSON, 0600) once everything listens");
    serve->add_flag("--no-proxy", config.no_proxy, "Do not open the proxy until proxy_start is called");
    serve->add_flag("--quiet", config.quiet, "Do not print a line for each exchange");

    auto* mcp = add("mcp", Command::kMcp, "The MCP server on standard input and output, for clients that spawn it");
    add_engine_options(*mcp, config.engine, kMcpProxyPort);
    mcp->add_option("--attach", config.attach_url, "Bridge to a running `sluice serve` (URL; default: the newest here)")
        ->expected(0, 1);

    mcp->add_option("--grant", config.grant, "Whose calls these are: a grant (its token in SLUICE_GRANT_TOKEN)")
        ->option_text("NAME");

    auto* traffic = add("traffic", Command::kTraffic, "Look at the traffic of the running `sluice serve`");
    client(traffic);
    traffic->add_option("action", config.action, "list, show, body, tail or export")
        ->check(CLI::IsMember({"list", "show", "body", "tail", "export"}).description(""))
        ->default_str("list");
    traffic->add_option("id", config.subject,
                        "show, body: the exchange; export: the file (- or absent: standard output)");
    traffic->add_option("--limit", config.limit, "Exchanges to list")->capture_default_str();
    traffic->add_option("--filter", config.filter,
                        "list, tail, export: only these, as '~d example.com ~c 5..' (docs/filters.md)");
    traffic->add_option("--format", config.format, "export: har, curl, raw or jsonl")
        ->check(CLI::IsMember({"har", "curl", "raw", "jsonl"}).description(""))
        ->capture_default_str();
    traffic->add_option("--id", config.exchange, "export: this exchange alone");
    traffic->add_flag("--response,!--request", config.response, "Which body (default: the response's)");

    auto* call = add("call", Command::kCall, "Call any tool of the running `sluice serve`");
    client(call);
    call->add_option("tool", config.subject, "Name, see `sluice tools`")->required();
    call->add_option("arguments", config.arguments, "key=value …, or one JSON object");

    auto* rules = add("rules", Command::kRules, "Save the rules of the running `sluice serve`, or load them");
    client(rules);
    rules->add_option("action", config.action, "export or import")
        ->required()
        ->check(CLI::IsMember({"export", "import"}).description(""));
    rules->add_option("file", config.subject, "JSON; - or absent: standard output, standard input");
    rules->add_flag("--replace", config.replace, "import: in place of the rules that are there");

    auto* sessions = add("sessions", Command::kSessions, "Recordings of this home (docs/sessions.md)");
    sessions->add_option("action", config.action, "list, show, export, import, decrypt, recover or verify")
        ->check(CLI::IsMember({"list", "show", "export", "import", "decrypt", "recover", "verify"}).description(""))
        ->default_val("list");
    sessions->add_option("id", config.subject,
                         "Which one; import: a HAR file; decrypt: a .sealed file; recover, verify: absent, all");
    sessions->add_option("file", config.file, "export, decrypt: a new file (- or absent: standard output)");
    add_key_option(*sessions, config.engine);
    sessions->add_option("--format", config.format, "export: har, jsonl, curl, raw, mitmproxy or pcapng")
        ->check(CLI::IsMember({"har", "jsonl", "curl", "raw", "mitmproxy", "pcapng"}).description(""))
        ->capture_default_str();
    sessions->add_option("--filter", config.filter, "export: only these, as '~d example.com ~c 5..' (docs/filters.md)");
    sessions->add_option("--id", config.exchange, "export: this exchange alone");
    sessions->add_flag("--redact", config.redact, "export: mask secrets");
    sessions->add_option("--name", config.session_name, "import: what the recording is called");
    sessions->add_option("--max-disk-mb", config.max_disk_mb, "import: its budget in MiB")->capture_default_str();
    sessions->add_flag("--strict", config.strict, "import: fail at the first damaged entry");

    auto* ca = add("ca", Command::kCa, "The certificate authority");
    ca->add_option("action", config.action, "show, export or rotate")
        ->check(CLI::IsMember({"show", "export", "rotate"}).description(""))
        ->default_str("show");
    ca->add_option("file", config.subject, "export: where to (.der: DER, else PEM; - or absent: standard output)");

    auto* tools = add("tools", Command::kTools, "List the tools");
    tools->add_flag("--markdown", config.markdown, "The text of docs/tools.md");
    tools->add_option("--toolset", config.engine.toolset, "proxy, core, mitmproxy or all")
        ->transform(CLI::CheckedTransformer(kToolsets).description(""));

    auto* policy = add("policy", Command::kPolicy, "Work on policies without running them (docs/policy.md)");
    add_policy_options(*policy, config);
    policy
        ->add_option("--toolset", config.engine.toolset, "scan: which of Sluice's tools: proxy, core, mitmproxy or all")
        ->transform(CLI::CheckedTransformer(kToolsets).description(""));
    state(policy);

    auto* grant = add("grant", Command::kGrant, "Who may call: tokens, each with a policy of its own (docs/grants.md)");
    grant->add_option("action", config.action, "admin, create, list, rotate or revoke")
        ->required()
        ->check(CLI::IsMember({"admin", "create", "list", "rotate", "revoke"}).description(""));
    grant->add_option("name", config.subject, "The grant's name");
    grant->add_flag("--reset", config.reset, "admin: make a new credential for a lost one; ends every grant");
    grant->add_option("--policy", config.engine.policy, "create: its policy; without one every call is denied")
        ->option_text("FILE");
    grant->add_option("--server", config.server, "create: whose tools; sluice is our own")->capture_default_str();
    grant->add_option("--expires", config.expires, "create: ends after this time, such as 12h or 30d")
        ->option_text("TIME");
    grant->add_flag("--stdio", config.stdio, "create: without a token, for `sluice mcp --grant NAME` on this account");
    grant->add_option("--grace", config.grace, "rotate: how long the old token still counts (default 0s)")
        ->option_text("TIME");
    admin(grant);
    state(grant);

    auto* approvals = add("approvals", Command::kApprovals, "Calls that wait for a person to decide");
    approvals->add_option("action", config.action, "list, show, approve or deny")
        ->check(CLI::IsMember({"list", "show", "approve", "deny"}).description(""))
        ->default_str("list");
    approvals->add_option("id", config.subject, "Which one");
    admin(approvals);
    state(approvals);

    auto* gate = add("gate", Command::kGate, "Deny every call at once, and end that");
    gate->add_option("action", config.action, "close, open or status; adopt: use a Redis that was emptied or put back")
        ->required()
        ->check(CLI::IsMember({"close", "open", "status", "adopt"}).description(""));
    admin(gate);
    state(gate);

    build_gateway();

    auto* audit = add("audit", Command::kAudit, "Verify, follow or export the log of who called what (docs/audit.md)");
    audit->add_option("action", config.action, "verify, tail or export")
        ->required()
        ->check(CLI::IsMember({"verify", "tail", "export"}).description(""));
    audit->add_option("directory", config.audit_directory, "The files (default <home>/audit)");
    audit->add_option("--key", config.audit_key,
                      "verify: the signer's key, private or public (default <home>/audit.key)");
    audit->add_option("--head", config.audit_head, "verify: heads that --audit-head kept elsewhere");
    audit->add_option("--from", config.audit_from, "verify: the number of the first file; those before were moved away")
        ->capture_default_str();
    audit->add_flag("-f,--follow", config.follow, "tail: go on with what is written");
    audit->add_option("--limit", config.limit, "tail: lines")->capture_default_str();
    audit->add_option("--format", config.audit_format, "export: jsonl, csv, ocsf or ecs")
        ->check(CLI::IsMember({"jsonl", "csv", "ocsf", "ecs"}).description(""))
        ->capture_default_str();

    add("doctor", Command::kDoctor, "Check this machine and the set-up, and say what to do");
  }

  void build_gateway() {
    auto* gateway = add("gateway", Command::kGateway, "The policy gate in front of another MCP server");
    add_gate_options(*gateway, config.engine, "What agents may call (docs/policy.md); this, or --grant, is needed");
    add_gateway_options(*gateway, config);
    auto* pins = gateway->add_subcommand("pins", "Tools of servers that are new or have changed (docs/gateway.md)");
    common(pins);
    // The outer one is called last.
    auto* import = gateway->add_subcommand("import", "Have a client's servers go through the gate (docs/gateway.md)");
    import->add_option("--home", config.home, "State directory (default $SLUICE_HOME, else ~/.sluice)");
    import->add_option("file", config.file, "The client's configuration, with `mcpServers`")->required();
    import->add_option("--policy", config.engine.policy, "The policy of all of them")->option_text("FILE");
    import->add_flag("--undo", config.undo, "What the import has changed is taken back");
    auto* status = gateway->add_subcommand("status", "The servers that the gate knows, and what their last runs said");
    status->add_option("--home", config.home, "State directory (default $SLUICE_HOME, else ~/.sluice)");
    status->add_flag("--json", config.json, "Print JSON");
    state(status);
    auto [login, logout] = add_login_commands(*gateway, config);
    gateway->callback([this, pins, import, status, login = login, logout = logout] {
      config.command = Command::kGateway;
      if (pins->parsed()) config.command = Command::kPins;
      if (import->parsed()) config.command = Command::kGatewayImport;
      if (status->parsed()) config.command = Command::kGatewayStatus;
      if (login->parsed()) config.command = Command::kGatewayLogin;
      if (logout->parsed()) config.command = Command::kGatewayLogout;
    });
    pins->add_option("action", config.action, "list, diff, accept or reject")
        ->check(CLI::IsMember({"list", "diff", "accept", "reject"}).description(""))
        ->default_str("list");
    pins->add_option("tool", config.pinned_tools, "Which; absent: all that are in quarantine");
    pins->add_option("--name", config.server_name, "Of which server")->capture_default_str();
    admin(pins);
    state(pins);
  }

  CLI::App* add(const std::string& name, Command command, const std::string& text) {
    CLI::App* sub = app.add_subcommand(name, text);
    common(sub);
    sub->callback([this, command] { config.command = command; });
    return sub;
  }

  void admin(CLI::App* sub) {
    sub->add_option("--admin-token-file", config.admin_token_file,
                    "The admin credential in the first line of a file (0600); else the terminal is asked")
        ->option_text("FILE");
  }
  void state(CLI::App* sub) {
    add_state_options(*sub, config.engine, "Work on the state in Redis, as gateways with this flag do");
  }
  void client(CLI::App* sub) { sub->add_option("--pid", config.pid, "Which running `sluice serve`"); }

  Config& config;
  CLI::App app{"", "sluice"};
};

std::vector<std::string> option_names(const CLI::App& sub) {
  std::vector<std::string> names;
  for (const CLI::Option* option : sub.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

std::vector<std::string> command_names(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::string suggestion(const std::string& wrong, const std::vector<std::string>& names, std::string_view prefix) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto near = nearest(wrong, views);
  return near ? fmt::format("; did you mean {}{}?", prefix, *near) : "";
}

// A map in config.yaml as a flag that repeats has it: NAME={…} for each.
void add_map(CLI::Option& option, const YAML::Node& map) {
  for (const auto& entry : map) {
    YAML::Node value = entry.second;
    value.SetStyle(YAML::EmitterStyle::Flow);
    option.add_result(entry.first.Scalar() + "=" + YAML::Dump(value));
  }
}

// A section of config.yaml as options that the command line did not give.
Status apply_file(CLI::App& sub, const std::string& path, const std::string& text) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& problem) {
    return fail(Code::kInvalid, fmt::format("{}:{}: not valid YAML", path, problem.mark.line + 1));
  }
  if (root.IsNull()) return {};
  if (!root.IsMap()) return fail(Code::kInvalid, path + ": expected sections such as `serve:`");
  const std::vector<std::string> sections{"serve", "mcp", "gateway"};
  for (const auto& section : root) {
    const std::string name = section.first.Scalar();
    if (std::find(sections.begin(), sections.end(), name) == sections.end()) {
      return fail(Code::kInvalid, fmt::format("{}:{}: unknown section '{}'{}", path, section.first.Mark().line + 1,
                                              name, suggestion(name, sections, "")));
    }
  }
  const YAML::Node section = root[sub.get_name()];
  if (!section || section.IsNull()) return {};
  if (!section.IsMap()) return fail(Code::kInvalid, path + ": the section '" + sub.get_name() + "' is not a map");
  for (const auto& entry : section) {
    std::string key = entry.first.Scalar();
    if (key == "host_options") key = "host-options";  // as its options are spelled
    CLI::Option* option = sub.get_option_no_throw("--" + key);
    const auto where = fmt::format("{}:{}", path, entry.first.Mark().line + 1);
    if (!option || key == "home" || key == "config" || key == "help") {
      return fail(Code::kInvalid,
                  fmt::format("{}: unknown key '{}'{}", where, key, suggestion(key, option_names(sub), "")));
    }
    if (option->count() > 0) continue;  // flags win
    try {
      if (entry.second.IsSequence()) {
        for (const auto& value : entry.second) option->add_result(value.Scalar());
      } else if (entry.second.IsScalar()) {
        option->add_result(entry.second.Scalar());
      } else if (entry.second.IsMap() && key == "host-options") {
        add_map(*option, entry.second);
      } else {
        return fail(Code::kInvalid, fmt::format("{}: '{}' takes a value or a list", where, key));
      }
      option->run_callback();
    } catch (const CLI::Error& problem) {
      return fail(Code::kInvalid, fmt::format("{}: {}: {}", where, key, problem.what()));
    }
  }
  return {};
}

int usage_error(std::string_view message) {
  fmt::print(stderr, "sluice: {}\n", message);
  return 2;
}

// Lower case first, as curl and others do.
std::string variable(const char* lower, const char* upper) {
  for (const char* name : {lower, upper}) {
    if (const char* value = std::getenv(name); value && *value) return value;
  }
  return "";
}

// Gone from the environment, and from the memory that /proc/PID/environ shows. Null: it is not set.
std::shared_ptr<const Secret> take_variable(const std::string& name) {
  char* const value = std::getenv(name.c_str());
  if (!value) return nullptr;
  auto taken = std::make_shared<const Secret>(Bytes(value));
  ::explicit_bzero(value, std::strlen(value));
  ::unsetenv(name.c_str());
  return taken;
}

void read_environment(Config& config) {
  if (const char* file = std::getenv("SSLKEYLOGFILE")) config.key_log_file = file;
  config.proxy_variables = {variable("http_proxy", "HTTP_PROXY"), variable("https_proxy", "HTTPS_PROXY"),
                            variable("all_proxy", "ALL_PROXY"), variable("no_proxy", "NO_PROXY")};
  for (const std::string prefix : {"PROXY_MCP_UPSTREAM_", "SLUICE_UPSTREAM_"}) {
    auto password = take_variable(prefix + "PASSWORD");
    const char* host = std::getenv((prefix + "HOST").c_str());
    if (password && !password->empty() && host && !trim(host).empty()) {
      config.upstream_password_host = trim(host);
      config.upstream_password = std::move(password);
    }
  }
  if (auto token = take_variable("SLUICE_GRANT_TOKEN"); token && !token->empty()) config.grant_token = std::move(token);
  config.sessions_key = take_variable("SLUICE_SESSIONS_KEY");
  config.upstream_token = take_variable("SLUICE_UPSTREAM_TOKEN");
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}) {
    if (const char* value = std::getenv(name); value && *value) {
      config.proxy_variable = name;
      return;
    }
  }
}

}  // namespace

ConfigOutcome read_config(int argc, char** argv, FileSystem& files) {
  Config config;
  Parser parser(config);
  // What stands behind `--` is the server's command, whatever it looks like.
  char** const end = argv + argc;
  char** const mark = std::find(argv, end, std::string_view("--"));
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "gateway" || (first == "policy" && std::find(argv, mark, std::string_view("scan")) != mark)) {
    if (mark != end) config.server_command.assign(mark + 1, end);
    argc = static_cast<int>(mark - argv);
  }
  try {
    parser.app.parse(argc, argv);
  } catch (const CLI::ExtrasError& extra) {
    const CLI::App* sub = parser.app.get_subcommands().empty() ? &parser.app : parser.app.get_subcommands().front();
    std::vector<std::string> left = sub->remaining();
    if (left.empty()) left = parser.app.remaining(true);
    std::string wrong = left.empty() ? std::string(extra.what()) : left.front();
    if (!wrong.starts_with("--")) {
      return {std::nullopt,
              usage_error(fmt::format("unexpected '{}'{}", wrong, suggestion(wrong, command_names(parser.app), "")))};
    }
    wrong = wrong.substr(2, wrong.find('=') == std::string::npos ? std::string::npos : wrong.find('=') - 2);
    return {std::nullopt,
            usage_error(fmt::format("unknown flag --{}{}", wrong, suggestion(wrong, option_names(*sub), "--")))};
  } catch (const CLI::RequiredError& missing) {
    const std::vector<std::string> left = parser.app.remaining();
    if (left.empty()) return {std::nullopt, usage_error(fmt::format("{} (see `sluice --help`)", missing.what()))};
    return {std::nullopt, usage_error(fmt::format("unknown command '{}'{}", left.front(),
                                                  suggestion(left.front(), command_names(parser.app), "")))};
  } catch (const CLI::CallForHelp& help) {
    return {std::nullopt, parser.app.exit(help)};
  } catch (const CLI::CallForVersion& version) {
    return {std::nullopt, parser.app.exit(version)};
  } catch (const CLI::Error& problem) {
    return {std::nullopt, usage_error(fmt::format("{} (see `sluice --help`)", problem.what()))};
  }
  CLI::App* sub = parser.app.get_subcommands().front();
  config.attach = sub->get_name() == "mcp" && sub->count("--attach") > 0;
  if (config.action.empty()) config.action = config.command == Command::kCa ? "show" : "list";

  if (config.command == Command::kServe || config.command == Command::kMcp || config.command == Command::kGateway) {
    std::string path = config.config_file;
    if (path.empty()) {
      const auto home = Home::open(files, config.home);
      if (!home) {
        fmt::print(stderr, "sluice: {}\n", home.error().message);
        return {std::nullopt, 1};
      }
      path = home->config();
    }
    if (!config.config_file.empty() || files.exists(path)) {
      const auto text = load_trusted(absolute_path(path), kMiB);
      if (!text) {
        fmt::print(stderr, "sluice: {}\n", text.error().message);
        return {std::nullopt, 1};
      }
      if (const Status applied = apply_file(*sub, path, *text); !applied) {
        return {std::nullopt, usage_error(applied.error().message)};
      }
    }
  }
  if (config.command == Command::kMcp && sub->count("--proxy-port") == 0) config.engine.proxy_port = kMcpProxyPort;
  read_environment(config);
  return {std::move(config), 0};
}

}  // namespace sluice::app

// `sluice gateway login NAME` and `logout NAME`: OAuth at a server over HTTP, by the person who runs the gateway.
#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <thread>

#include "app/admin.h"
#include "app/commands.h"
#include "app/gateway_servers.h"
#include "app/logins.h"
#include "app/trusted_file.h"
#include "base/text.h"
#include "gateway/http_client.h"
#include "gateway/oauth_login.h"
#include "net/spawn.h"

namespace sluice::app {
namespace {

constexpr std::string_view kLogin = "gateway/login", kLogout = "gateway/logout";  // in the audit
constexpr ByteCount kMaxSecretFile = 8 * kKiB;
constexpr std::chrono::seconds kLockPatience{30};  // a gateway refreshes
constexpr std::chrono::milliseconds kLockRetry{50};

int usage(std::string_view text) {
  fmt::print(stderr, "sluice: {}\n", text);
  return 2;
}

// Its URL as the gateway has it: the login is for this one, word for word.
Result<std::string> url_of(const Config& config) {
  std::string given = config.engine.upstream;
  if (!config.gateway_config.empty()) {
    SLUICE_TRY(const auto servers, read_gateway_servers(config.gateway_config));
    for (const GatewayServer& one : servers) {
      if (one.name == config.server_name) given = one.url;
    }
    if (given.empty()) {
      return fail(Code::kNotFound,
                  fmt::format("{} has no server {} at a URL", config.gateway_config, config.server_name));
    }
  }
  SLUICE_TRY(const Url url, parse_url(given));
  return to_string(url);
}

std::string wrong_login(const Config& config) {
  if (!is_server_name(config.server_name)) return "NAME takes a-z, 0-9 and -, at most 32 of them, and not `sluice`";
  if (config.engine.upstream.empty() == config.gateway_config.empty()) {
    return "where the server is: --upstream URL, or --config FILE that has it";
  }
  if (!config.client_secret_file.empty() && config.client_id.empty())
    return "--client-secret-file goes with --client-id";
  if (!gateway::is_scope(config.login_scope)) return "--scope takes names with a blank between two of them";
  return "";
}

Result<Secret> read_secret(const std::string& file) {
  if (file.empty()) return Secret();
  SLUICE_TRY(std::string text, load_trusted(absolute_path(file), kMaxSecretFile, Readers::kSelf));
  Secret secret(trim(std::string_view(text).substr(0, text.find('\n'))));
  ::explicit_bzero(text.data(), text.size());
  if (secret.empty()) return fail(Code::kInvalid, file + " has nothing in its first line");
  return secret;
}

template <class Try>
auto with_patience(const Try& attempt) {
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    auto done = attempt();
    if (done || done.error().code != Code::kConflict || std::chrono::steady_clock::now() > until) return done;
    std::this_thread::sleep_for(kLockRetry);
  }
}

Result<gateway::Login> ask(const Config& config, const std::string& url, Entropy& entropy) {
  SLUICE_TRY(const Url server, parse_url(url));
  boost::asio::io_context control{1};
  SystemClock clock;
  const auto trust = [made = std::shared_ptr<tls::ClientContext>(),
                      &config]() mutable -> Result<std::shared_ptr<tls::ClientContext>> {
    if (!made) {
      SLUICE_TRY(made, tls::ClientContext::create({true, config.engine.upstream_ca}, config.key_log_file));
    }
    return made;
  };
  gateway::OAuthWay way{control, clock, trust, gateway::reach_of(server)};
  gateway::OAuthLoginOptions options;
  options.server = config.server_name;
  options.url = url;
  options.issuer = config.login_issuer;
  options.client_id = config.client_id;
  SLUICE_TRY(options.client_secret, read_secret(config.client_secret_file));
  options.scope = config.login_scope;
  options.redirect_port = config.redirect_port;
  options.patience = std::chrono::seconds(config.login_wait);
  options.show = [&](const std::string& where) {
    fmt::print("Open this in a browser, within {} seconds:\n\n{}\n\n", config.login_wait, where);
    std::fflush(stdout);
  };
  Result<gateway::Login> result = fail(Code::kCancelled, "the login was ended");
  const auto flow = [&]() -> net::Task<void> {
    result = co_await gateway::log_in(way, entropy, std::move(options));
    control.stop();
  };
  net::spawn(control.get_executor(), flow(), [&](std::string_view bug) {
    result = fail(Code::kInternal, std::string(bug));
    control.stop();
  });
  control.run();
  return result;
}

// No log, no login: the line is written before the tokens are.
Result<gateway::Login> log_in(const Config& config, AdminSession& session, FileSystem& files) {
  SLUICE_TRY(const std::string url, url_of(config));
  SLUICE_TRY(gateway::Login login, ask(config, url, session.entropy()));
  SLUICE_CHECK(session.record(kLogin, login.server));
  gateway::LoginStore store = open_logins(session.home(), files, session.entropy());
  SLUICE_TRY(const auto held, with_patience([&] { return store.lock(login.server, login.url); }));
  SLUICE_CHECK(store.save(login));
  return login;
}

}  // namespace

int run_gateway_login(const Config& config) {
  if (const std::string wrong = wrong_login(config); !wrong.empty()) return usage(wrong);
  SystemFileSystem files;
  const auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  const auto login = log_in(config, **session, files);
  if (!login) return report(login.error());
  const std::string ends =
      login->expires_ms == 0
          ? ""
          : fmt::format(", with a token until {}", iso8601_ms(WallTime(std::chrono::milliseconds(login->expires_ms))));
  fmt::print("{} is logged in at {}{}{}\n", login->server, login->issuer, ends,
             login->refresh_token.empty() ? "; then it is to be logged in again" : "");
  return 0;
}

int run_gateway_logout(const Config& config) {
  if (!is_server_name(config.server_name))
    return usage("NAME takes a-z, 0-9 and -, at most 32 of them, and not `sluice`");
  SystemFileSystem files;
  const auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  std::string url;
  if (!config.engine.upstream.empty() || !config.gateway_config.empty()) {
    auto given = url_of(config);
    if (!given) return report(given.error());
    url = *std::move(given);
  }
  gateway::LoginStore store = open_logins((*session)->home(), files, (*session)->entropy());
  const auto count = with_patience([&] { return store.remove(config.server_name, url); });
  if (!count) return report(count.error());
  if (*count == 0) return report({Code::kNotFound, "nobody is logged in at " + config.server_name});
  // Behind it: a log that cannot be written keeps nobody logged in.
  const Status logged = (*session)->record(kLogout, config.server_name);
  fmt::print("{} is logged out; its authorization server is not told\n", config.server_name);
  return logged ? 0 : report(Error(logged.error()).with_context("it is logged out, and the audit log does not say so"));
}

}  // namespace sluice::app

// `sluice grant admin|create|list|rotate|revoke`: who may call. A running `serve` sees each change at once,
// where both keep their state.
#include <fmt/format.h>

#include <algorithm>

#include "app/admin.h"
#include "app/commands.h"
#include "app/policy_file.h"
#include "gateway/credential.h"

namespace sluice::app {
namespace {

using gateway::Grant;

Json time_json(std::int64_t ms) {
  return ms == 0 ? Json(nullptr) : Json(iso8601_ms(WallTime(std::chrono::milliseconds(ms))));
}

std::string_view state_of(const Grant& grant, std::int64_t now_ms) {
  if (grant.revoked_ms != 0) return "revoked";
  return grant.is_live(now_ms) ? "live" : "expired";
}

Json to_json(const Grant& grant, std::int64_t now_ms) {
  return Json{{"name", grant.name},
              {"state", state_of(grant, now_ms)},
              {"server", grant.server},
              {"policy", grant.policy.empty() ? Json(nullptr) : Json(grant.policy)},
              {"stdio", grant.stdio},
              {"created", time_json(grant.created_ms)},
              {"expires", time_json(grant.expires_ms)},
              {"revoked", time_json(grant.revoked_ms)},
              {"old_token_until", time_json(now_ms < grant.old_until_ms ? grant.old_until_ms : 0)}};
}

int print_admin(const AdminSession& session, const std::string& credential) {
  if (session.config().json) {
    fmt::print("{}\n", dump_json(Json{{"admin", credential}}));
    return 0;
  }
  fmt::print("{}\n", credential);
  fmt::print(stderr,
             "This is the admin credential. It is shown once and kept only as a hash: keep it where no agent "
             "reads.\n");
  return 0;
}

// Who has lost the credential has lost what it guards: grants and approvals end, so that whoever resets it gets nothing
// that others gave. For whoever owns the account, at a terminal, while nothing runs (docs/grants.md).
int reset_admin(AdminSession& session) {
  SystemFileSystem files;
  const auto before = session.grants().admin_hash();
  if (!before) return report(before.error());
  if (before->empty()) return report({Code::kNotFound, "there is no admin credential to reset: `sluice grant admin`"});
  if (!find_running(files, session.home()).empty()) {
    return report({Code::kConflict, "`sluice serve` runs on this home: stop it first"});
  }
  const Status sure =
      session.require_word("reset", "This revokes every grant and voids every approval. Type reset to go on: ");
  if (!sure) return report(sure.error());
  if (const Status logged = session.record("grant/reset-admin", ""); !logged) return report(logged.error());
  const std::string credential = gateway::make_credential(gateway::kAdminPrefix, session.entropy());
  const Status done = session.grants().reset_admin(gateway::credential_hash(credential), session.now_ms());
  return done ? print_admin(session, credential) : report(done.error());
}

int make_admin(AdminSession& session) {
  if (session.config().reset) return reset_admin(session);
  const auto before = session.grants().admin_hash();
  if (!before) return report(before.error());
  if (!before->empty()) {
    if (const Status proven = session.require_admin("grant/admin", ""); !proven) return report(proven.error());
  }
  if (const Status logged = session.record("grant/admin", ""); !logged) return report(logged.error());
  const std::string credential = gateway::make_credential(gateway::kAdminPrefix, session.entropy());
  const Status set = session.grants().set_admin_hash(*before, gateway::credential_hash(credential));
  return set ? print_admin(session, credential) : report(set.error());
}

// What is wrong with a policy is said here, not when the grant is first used.
Status check_policy(const std::string& path, const std::string& server) {
  const LoadedPolicy loaded = load_policy(path, nullptr, server == "sluice" ? ToolsOf::kOurs : ToolsOf::kOthers);
  for (const std::string& warning : loaded.warnings) fmt::print(stderr, "sluice: warning: {}\n", warning);
  if (loaded.engine) return {};
  for (std::size_t i = 1; i < loaded.errors.size(); ++i) fmt::print(stderr, "sluice: {}\n", loaded.errors[i]);
  return fail(Code::kRefused, "the policy cannot be put in force: " + loaded.errors.front());
}

int print_token(const AdminSession& session, const Grant& grant, const std::string& token) {
  if (session.config().json) {
    Json out = to_json(grant, session.now_ms());
    out["token"] = token.empty() ? Json(nullptr) : Json(token);
    fmt::print("{}\n", dump_json(out));
    return 0;
  }
  if (token.empty()) {
    fmt::print("{}: for `sluice mcp --grant {}`, without a token\n", grant.name, grant.name);
  } else {
    fmt::print("{}\n", token);
    fmt::print(stderr, "This is the token of the grant {}. It is shown once and kept only as a hash.\n", grant.name);
  }
  if (grant.policy.empty()) fmt::print(stderr, "It has no policy (--policy FILE), so every call of it is denied.\n");
  return 0;
}

int create(AdminSession& session) {
  const Config& config = session.config();
  Grant grant;
  grant.name = config.subject;
  if (const Status named = gateway::check_grant_name(grant.name); !named) return report(named.error());
  const auto expires = parse_span(config.expires, "--expires");
  if (!expires) return report(expires.error());
  if (!config.expires.empty() && *expires == 0) return report({Code::kInvalid, "--expires 0s would end it at once"});
  grant.server = config.server;
  grant.stdio = config.stdio;
  if (!config.engine.policy.empty()) {
    grant.policy = absolute_path(config.engine.policy);
    if (const Status good = check_policy(grant.policy, grant.server); !good) return report(good.error());
  }
  if (const Status proven = session.require_admin("grant/create", grant.name); !proven) return report(proven.error());
  const std::string token = grant.stdio ? "" : gateway::make_credential(gateway::kGrantPrefix, session.entropy());
  if (!token.empty()) grant.hash = gateway::credential_hash(token);
  grant.created_ms = session.now_ms();
  if (*expires != 0) grant.expires_ms = grant.created_ms + *expires * 1'000;
  if (const Status logged = session.record("grant/create", grant.name); !logged) return report(logged.error());
  if (const Status made = session.grants().create(grant); !made) return report({Code::kRefused, made.error().message});
  return print_token(session, grant, token);
}

int list(AdminSession& session) {
  const auto all = session.grants().load();
  if (!all) return report(all.error());
  const std::int64_t now = session.now_ms();
  if (session.config().json) {
    Json rows = Json::array();
    for (const Grant& grant : *all) rows.push_back(to_json(grant, now));
    fmt::print("{}\n", dump_json(rows, JsonStyle::kIndented));
    return 0;
  }
  for (const Grant& grant : *all) {
    fmt::print("{:<8} {:<24} {:<10} {}{}\n", state_of(grant, now), grant.name, grant.server,
               grant.policy.empty() ? "(no policy)" : policy::printable(grant.policy),
               grant.expires_ms == 0 ? "" : fmt::format("  until {}", time_json(grant.expires_ms).get<std::string>()));
  }
  return 0;
}

Result<Grant> find(AdminSession& session, const std::string& name) {
  SLUICE_TRY(const std::vector<Grant> all, session.grants().load());
  const auto found = std::find_if(all.begin(), all.end(), [&](const Grant& grant) { return grant.name == name; });
  if (found == all.end()) {
    return fail(Code::kNotFound, fmt::format("there is no grant '{}' (`sluice grant list` has them)", name));
  }
  return *found;
}

int rotate(AdminSession& session) {
  const auto grace = parse_span(session.config().grace, "--grace");
  if (!grace) return report(grace.error());
  const std::string& name = session.config().subject;
  if (const auto present = find(session, name); !present) return report(present.error());
  if (const Status proven = session.require_admin("grant/rotate", name); !proven) return report(proven.error());
  if (const Status logged = session.record("grant/rotate", name); !logged) return report(logged.error());
  const std::string token = gateway::make_credential(gateway::kGrantPrefix, session.entropy());
  const std::int64_t now = session.now_ms();
  const Status done =
      session.grants().rotate(name, gateway::credential_hash(token), now, *grace == 0 ? 0 : now + *grace * 1'000);
  if (!done) return report(done.error());
  const auto grant = find(session, name);
  return grant ? print_token(session, *grant, token) : report(grant.error());
}

int revoke(AdminSession& session) {
  const std::string& name = session.config().subject;
  if (const auto present = find(session, name); !present) return report(present.error());
  if (const Status proven = session.require_admin("grant/revoke", name); !proven) return report(proven.error());
  if (const Status logged = session.record("grant/revoke", name); !logged) return report(logged.error());
  if (const Status done = session.grants().revoke(name, session.now_ms()); !done) return report(done.error());
  if (session.config().json) {
    const auto grant = find(session, name);
    if (!grant) return report(grant.error());
    fmt::print("{}\n", dump_json(to_json(*grant, session.now_ms())));
  } else {
    fmt::print("{} is revoked\n", name);
  }
  return 0;
}

}  // namespace

int run_grant(const Config& config) {
  const bool named = config.action == "create" || config.action == "rotate" || config.action == "revoke";
  if (named && config.subject.empty()) {
    return report({Code::kInvalid, "`sluice grant " + config.action + "` needs the grant's name"});
  }
  auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  if (config.action == "admin") return make_admin(**session);
  if (config.action == "create") return create(**session);
  if (config.action == "list") return list(**session);
  return config.action == "rotate" ? rotate(**session) : revoke(**session);
}

}  // namespace sluice::app

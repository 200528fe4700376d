// `sluice gateway status`: the servers that the gate of this home knows, from their pins, their grants and their last
// runs.
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include "app/admin.h"
#include "app/commands.h"
#include "app/gateway_run.h"
#include "gateway/callee.h"
#include "gateway/pin_store.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

using gateway::visible_text;

struct Known {
  std::set<std::string> targets;  // its commands and URLs, as pins have them
  std::size_t pinned = 0;
  std::vector<std::string> quarantined;
  std::vector<gateway::Grant> grants;
  std::optional<GatewayRun> run;
};

bool is_there(int pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

std::string_view state_of(const Known& known) {
  if (!known.run) return "never run";
  if (!known.run->ended.empty()) return "ended";
  return is_there(known.run->pid) ? "running" : "killed";
}

Result<std::map<std::string, Known>> collect(AdminSession& session, FileSystem& files) {
  std::map<std::string, Known> servers;
  gateway::PinStore store(session.state());
  SLUICE_TRY(const auto pins, store.load());
  for (const gateway::Pin& pin : pins) {
    Known& known = servers[pin.server];
    known.targets.insert(pin.target);
    ++known.pinned;
    if (pin.is_quarantined()) known.quarantined.push_back(pin.tool);
  }
  SLUICE_TRY(const auto grants, session.grants().load());
  for (const gateway::Grant& grant : grants) {
    if (grant.server != gateway::kServer) servers[grant.server].grants.push_back(grant);
  }
  for (GatewayRun& run : load_gateway_runs(session.home(), files)) {
    const std::string server = run.server;
    servers[server].run = std::move(run);
  }
  return servers;
}

Json to_json(const std::string& name, const Known& known, std::int64_t now_ms) {
  Json grants = Json::array();
  for (const gateway::Grant& grant : known.grants) {
    grants.push_back(Json{{"name", grant.name}, {"live", grant.is_live(now_ms)}, {"policy", grant.policy}});
  }
  Json row{{"server", name},        {"state", state_of(known)},         {"targets", known.targets},
           {"tools", known.pinned}, {"quarantined", known.quarantined}, {"grants", std::move(grants)}};
  if (!known.run) return row;
  row["policy"] = known.run->policy;
  row["grant"] = known.run->grant;
  row["pid"] = known.run->pid;
  row["started"] = known.run->started;
  row["ended"] = known.run->ended;
  row["said"] = known.run->said;
  return row;
}

void print(const std::string& name, const Known& known, std::int64_t now_ms) {
  const std::optional<GatewayRun>& run = known.run;
  std::string state(state_of(known));
  if (run && state == "running") state += fmt::format(" (pid {}) since {}", run->pid, visible_text(run->started));
  if (run && state == "ended") state += " at " + visible_text(run->ended);
  fmt::print("{}: {}\n", name, state);
  for (const std::string& target : known.targets) fmt::print("  server       {}\n", visible_text(target));
  if (run && !run->policy.empty()) fmt::print("  policy       {}\n", visible_text(run->policy));
  if (run && !run->grant.empty()) fmt::print("  as grant     {}\n", visible_text(run->grant));
  fmt::print("  tools        {} pinned, {} in quarantine\n", known.pinned, known.quarantined.size());
  for (const std::string& tool : known.quarantined) fmt::print("  quarantined  {}\n", visible_text(tool));
  for (const gateway::Grant& grant : known.grants) {
    fmt::print("  grant        {} ({}){}\n", grant.name, grant.is_live(now_ms) ? "live" : "has ended",
               grant.policy.empty() ? ", no policy: denied everything" : ", " + visible_text(grant.policy));
  }
  if (!run) return;
  for (const std::string& one : run->said) fmt::print("  said         {}\n", visible_text(one));
}

}  // namespace

int run_gateway_status(const Config& config) {
  auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  SystemFileSystem files;
  const auto servers = collect(**session, files);
  if (!servers) return report(servers.error());
  Json rows = Json::array();
  for (const auto& [name, known] : *servers) {
    if (config.json) {
      rows.push_back(to_json(name, known, (*session)->now_ms()));
    } else {
      print(name, known, (*session)->now_ms());
    }
  }
  if (config.json) {
    fmt::print("{}\n", dump_json(rows, JsonStyle::kIndented));
  } else if (servers->empty()) {
    fmt::print("The gate of {} knows no server yet.\n", (*session)->home().path());
  }
  return 0;
}

}  // namespace sluice::app

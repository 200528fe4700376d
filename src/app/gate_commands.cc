// `sluice gate close|open|status|adopt`: the brake. A file in the home, so that no damaged database holds the gate
// open: from the next call on every grant is denied everything, and what runs is asked to end.
#include <fmt/format.h>

#include "app/admin.h"
#include "app/commands.h"
#include "gateway/redis_link.h"
#include "gateway/state_memory.h"

namespace sluice::app {
namespace {

int print_state(const AdminSession& session) {
  const std::string_view state = session.home().is_closed() ? "closed" : "open";
  if (session.config().json) {
    fmt::print("{}\n", dump_json(Json{{"gate", state}}));
  } else {
    fmt::print("the gate is {}\n", state);
  }
  return 0;
}

// Of a Redis that was emptied, put back or replaced: this home forgets what it knew there. For whoever owns the
// account, at a terminal: what was revoked since may be back, and tools are accepted anew.
int adopt(AdminSession& session) {
  const auto address = gateway::parse_redis_address(session.config().engine.state);
  if (!address) return report(address.error());
  const std::string place = gateway::to_string(*address);
  const Status sure = session.require_word(
      "adopt", fmt::format("Grants, approvals and pins will be what {} has now, and servers whose pins it has not are "
                           "accepted as they are.\nType adopt to go on: ",
                           place));
  if (!sure) return report(sure.error());
  if (const Status logged = session.record("gate/adopt", place); !logged) return report(logged.error());
  const auto forgotten = gateway::StateMemory(session.home().state_db()).forget(place);
  if (!forgotten) return report(forgotten.error());
  if (session.config().json) {
    fmt::print("{}\n", dump_json(Json{{"state", place}, {"was_known", *forgotten}}));
  } else {
    fmt::print("{} is used as it is{}; programs that run use it once they are started anew\n", place,
               *forgotten ? "" : ", as this home knew nothing of it");
  }
  return 0;
}

}  // namespace

int run_gate(const Config& config) {
  auto opened = AdminSession::open(config);
  if (!opened) return report(opened.error());
  AdminSession& session = **opened;
  if (config.action == "adopt") return adopt(session);
  const std::string path = session.home().closed_file();
  SystemFileSystem files;
  if (config.action == "close") {
    // First the brake: nobody is asked for anything, and a log that cannot be written does not keep it open.
    const Json text{{"closed_at", iso8601_ms(WallTime(std::chrono::milliseconds(session.now_ms())))}};
    if (const Status closed = files.save_file(path, dump_json(text) + "\n"); !closed) return report(closed.error());
    if (const Status logged = session.record("gate/close", ""); !logged) return report(logged.error());
  } else if (config.action == "open" && session.home().is_closed()) {
    if (const Status proven = session.require_admin("gate/open", ""); !proven) return report(proven.error());
    if (const Status logged = session.record("gate/open", ""); !logged) return report(logged.error());
    if (const Status removed = files.remove(path); !removed) return report(removed.error());
  }
  return print_state(session);
}

}  // namespace sluice::app

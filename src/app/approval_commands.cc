// `sluice approvals list|show|approve|deny`: calls that wait for a person (gate.md 5). A running `serve` or `mcp` sees
// the decision where both keep their state.
#include <fmt/format.h>

#include <algorithm>

#include "app/admin.h"
#include "app/commands.h"
#include "gateway/admin_api.h"
#include "gateway/approval_json.h"
#include "gateway/approval_store.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

using gateway::Approval;
using gateway::visible_json;
using gateway::visible_text;

constexpr std::size_t kMostShown = 2'000;  // characters of one argument on a terminal

std::string time_text(std::int64_t ms) { return iso8601_ms(WallTime(std::chrono::milliseconds(ms))); }

void print_whole(const Approval& approval, std::int64_t now_ms) {
  fmt::print("id       {}\nstatus   {}{}\ngrant    {}\ntool     {} of {}\nrule     {}\nexpires  {}\n", approval.id,
             gateway::status_of(approval, now_ms), approval.approver.empty() ? "" : ", by " + approval.approver,
             approval.grant, visible_text(approval.tool), visible_text(approval.server), visible_text(approval.rule),
             time_text(approval.expires_ms));
  if (!approval.message.empty()) fmt::print("message  {}\n", visible_json(Json(approval.message), kMostShown));
  const auto arguments = parse_json(approval.arguments);
  if (!arguments) {
    fmt::print("arguments are not kept any more\n");
  } else if (arguments->empty()) {
    fmt::print("without arguments\n");
  } else {
    fmt::print("arguments\n");
    for (const auto& [name, value] : arguments->items()) {
      fmt::print("  {}: {}\n", visible_json(Json(name), kMostShown), visible_json(value, kMostShown));
    }
  }
}

int list(AdminSession& session, gateway::ApprovalStore& store) {
  const std::int64_t now = session.now_ms();
  const auto all = store.waiting(now);
  if (!all) return report(all.error());
  Json rows = Json::array();
  for (const Approval& one : *all) {
    if (session.config().json) {
      rows.push_back(gateway::approval_json(one, now));
    } else {
      fmt::print("{}  {:<16} {:<32} {}\n", one.id, one.grant, visible_text(one.tool),
                 visible_json(parse_json(one.arguments).value_or(Json()), 80));
    }
  }
  if (session.config().json) fmt::print("{}\n", dump_json(rows, JsonStyle::kIndented));
  return 0;
}

int show(AdminSession& session, gateway::ApprovalStore& store) {
  const auto approval = store.find(session.config().subject);
  if (!approval) return report(approval.error());
  if (session.config().json) {
    fmt::print("{}\n", dump_json(gateway::approval_json(*approval, session.now_ms()), JsonStyle::kIndented));
  } else {
    print_whole(*approval, session.now_ms());
  }
  return 0;
}

int decide(AdminSession& session, gateway::ApprovalStore& store, bool approve) {
  const std::string& id = session.config().subject;
  const auto waiting = store.find(id);
  if (!waiting) return report(waiting.error());
  if (const Status live = gateway::grant_holds(session.grants(), waiting->grant, session.now_ms()); !live)
    return report(live.error());
  const std::string method = approve ? "approvals/approve" : "approvals/deny";
  if (const Status proven = session.require_admin(method, waiting->tool); !proven) return report(proven.error());
  const auto refuse = [&](const Error& why) {
    (void)session.record(method, waiting->tool, "deny", waiting->rule, id, why.message);
    return report(why);
  };
  if (const Status open = gateway::ApprovalStore::may_decide(*waiting, session.now_ms()); !open) {
    return refuse(open.error());
  }
  if (const Status logged = session.record(method, waiting->tool, "allow", waiting->rule, id); !logged) {
    return report(logged.error());
  }
  const auto decided = store.decide(id, approve, "admin", session.now_ms());
  if (!decided) return refuse(decided.error());  // somebody else was faster
  if (session.config().json) {
    fmt::print("{}\n", dump_json(gateway::approval_json(*decided, session.now_ms())));
  } else {
    fmt::print("{} is {}: {} of the grant {}\n", id, decided->status, visible_text(decided->tool), decided->grant);
  }
  return 0;
}

}  // namespace

int run_approvals(const Config& config) {
  if (config.action != "list" && config.subject.empty()) {
    return report({Code::kInvalid, "`sluice approvals " + config.action + "` needs an ID (`sluice approvals list`)"});
  }
  auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  gateway::ApprovalStore store((*session)->state());
  if (config.action == "list") return list(**session, store);
  if (config.action == "show") return show(**session, store);
  return decide(**session, store, config.action == "approve");
}

}  // namespace sluice::app

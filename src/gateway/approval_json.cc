#include "gateway/approval_json.h"

#include "base/clock.h"

namespace sluice::gateway {
namespace {

std::string time_text(std::int64_t ms) { return iso8601_ms(WallTime(std::chrono::milliseconds(ms))); }

}  // namespace

std::string_view status_of(const Approval& approval, std::int64_t now_ms) {
  const bool undecided = approval.status == "pending" || approval.status == "approved";
  return undecided && now_ms >= approval.expires_ms ? std::string_view("expired") : approval.status;
}

Json approval_json(const Approval& approval, std::int64_t now_ms) {
  const auto arguments = parse_json(approval.arguments);
  return Json{{"id", approval.id},
              {"status", status_of(approval, now_ms)},
              {"grant", approval.grant},
              {"server", approval.server},
              {"tool", approval.tool},
              {"arguments", arguments ? *arguments : Json(nullptr)},
              {"rule", approval.rule},
              {"message", approval.message},
              {"created_at", time_text(approval.created_ms)},
              {"expires_at", time_text(approval.expires_ms)},
              {"approver", approval.approver.empty() ? Json(nullptr) : Json(approval.approver)},
              {"decided_at", approval.decided_ms == 0 ? Json(nullptr) : Json(time_text(approval.decided_ms))}};
}

}  // namespace sluice::gateway

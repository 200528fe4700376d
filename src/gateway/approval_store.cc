#include "gateway/approval_store.h"

#include <fmt/format.h>

#include "gateway/credential.h"

namespace sluice::gateway {
namespace {

constexpr std::int64_t kKeptMs = 7 * 86'400'000LL;  // behind its time, for whoever asks what became of it

ApprovalStore::State state_of(const Approval& approval) {
  if (approval.status == "approved") return ApprovalStore::State::kApproved;
  return approval.status == "denied" ? ApprovalStore::State::kDenied : ApprovalStore::State::kPending;
}

}  // namespace

std::string approval_digest(std::string_view server, std::string_view tool, std::string_view arguments,
                            std::string_view grant, std::string_view rules) {
  std::string all;
  for (const std::string_view part : {server, tool, arguments, grant, rules}) {
    all += fmt::format("{}:", part.size());
    all += part;
  }
  return credential_hash(all);
}

Result<std::optional<ApprovalStore::Asked>> ApprovalStore::look(const Approval& wanted, std::int64_t now_ms) {
  SLUICE_TRY(auto standing, state_.standing_approval(wanted.grant, wanted.digest, now_ms));
  if (standing) return Asked{state_of(*standing), *std::move(standing), false};
  SLUICE_TRY(const GateRows::Waiting waiting, state_.count_waiting(wanted.grant, now_ms));
  if (waiting.of_grant < kMostOfGrant && waiting.of_all < kMost) return std::nullopt;
  return Asked{State::kFull, {}, false};
}

Result<ApprovalStore::Asked> ApprovalStore::ask(const Approval& wanted, std::int64_t now_ms) {
  // First without a change: an agent may ask as often as it likes.
  SLUICE_TRY(auto known, look(wanted, now_ms));
  if (known) return *std::move(known);
  return state_.change(GateRows::Part::kApprovals, [&]() -> Result<Asked> {
    SLUICE_TRY(auto meanwhile, look(wanted, now_ms));
    if (meanwhile) return *std::move(meanwhile);
    SLUICE_CHECK(state_.retire_approvals(now_ms, kKeptMs));
    SLUICE_CHECK(state_.put(wanted));
    return Asked{State::kPending, wanted, true};
  });
}

Result<bool> ApprovalStore::use(const std::string& id, std::int64_t now_ms) {
  return state_.change(GateRows::Part::kApprovals, [&]() -> Result<bool> {
    SLUICE_TRY(auto approval, state_.approval(id));
    if (!approval || approval->status != "approved" || now_ms >= approval->expires_ms) return false;
    approval->status = "used";
    approval->arguments.clear();
    SLUICE_CHECK(state_.put(*approval));
    return true;
  });
}

Status ApprovalStore::may_decide(const Approval& approval, std::int64_t now_ms) {
  if (approval.status != "pending" && approval.status != "expired") {
    return fail(Code::kConflict, fmt::format("{} is {} already", approval.id, approval.status));
  }
  const bool over = approval.status == "expired" || now_ms >= approval.expires_ms;
  return over ? fail(Code::kTimeout, fmt::format("{} has expired", approval.id)) : Status();
}

Result<Approval> ApprovalStore::decide(const std::string& id, bool approve, const std::string& approver,
                                       std::int64_t now_ms) {
  return state_.change(GateRows::Part::kApprovals, [&]() -> Result<Approval> {
    SLUICE_TRY(Approval approval, find(id));
    SLUICE_CHECK(may_decide(approval, now_ms));
    approval.status = approve ? "approved" : "denied";
    approval.approver = approver;
    approval.decided_ms = now_ms;
    SLUICE_CHECK(state_.put(approval));
    return approval;
  });
}

Result<std::vector<Approval>> ApprovalStore::waiting(std::int64_t now_ms) {
  SLUICE_TRY(std::vector<Approval> live, state_.live_approvals(now_ms, GateRows::Arguments::kWith));
  std::erase_if(live, [&](const Approval& one) { return !one.is_open(now_ms); });
  return live;
}

Result<std::size_t> ApprovalStore::count_waiting(std::int64_t now_ms) {
  SLUICE_TRY(const GateRows::Waiting waiting, state_.count_waiting("", now_ms));
  return waiting.of_all;
}

Result<Approval> ApprovalStore::find(const std::string& id) {
  SLUICE_TRY(auto found, state_.approval(id));
  if (found) return *std::move(found);
  return fail(Code::kNotFound, fmt::format("there is no approval '{}' (`sluice approvals list` has them)", id));
}

}  // namespace sluice::gateway

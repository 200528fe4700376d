#include "gateway/approval_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "gateway/credential.h"

namespace sluice::gateway {
namespace {

constexpr std::int64_t kKeptMs = 7 * 86'400'000LL;  // behind its time, for whoever asks what became of it

Approval read_row(Statement& row) {
  Approval approval;
  approval.id = row.text(0);
  approval.grant = row.text(1);
  approval.server = row.text(2);
  approval.tool = row.text(3);
  approval.digest = row.text(4);
  approval.rule = row.text(5);
  approval.message = row.text(6);
  approval.arguments = row.text(7);
  approval.created_ms = row.integer(8);
  approval.expires_ms = row.integer(9);
  approval.status = row.text(10);
  approval.approver = row.text(11);
  approval.decided_ms = row.integer(12);
  return approval;
}

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

Result<std::vector<Approval>> ApprovalStore::select(const std::string& where, const std::string& text) {
  std::vector<Approval> found;
  SLUICE_TRY(const bool present, db_.open_if_present());
  if (!present) return found;
  Statement rows(db_.file(), ("SELECT * FROM gate_approvals WHERE " + where + " ORDER BY created_ms, id").c_str());
  rows.bind_text(1, text);
  auto step = rows.step();
  for (; step == Statement::Step::kRow; step = rows.step()) found.push_back(read_row(rows));
  if (step != Statement::Step::kDone) return fail(db_.file().error("read"));
  return found;
}

Result<std::size_t> ApprovalStore::count(const std::string& where, const std::string& text, std::int64_t now_ms) {
  Statement asked(
      db_.file(),
      ("SELECT count(*) FROM gate_approvals WHERE status = 'pending' AND expires_ms > ?2 AND " + where).c_str());
  asked.bind_text(1, text);
  asked.bind(2, now_ms);
  if (asked.step() != Statement::Step::kRow) return fail(db_.file().error("read"));
  return static_cast<std::size_t>(asked.integer(0));
}

Result<ApprovalStore::Asked> ApprovalStore::ask(const Approval& wanted, std::int64_t now_ms) {
  const auto look = [&]() -> Result<std::optional<Asked>> {
    SLUICE_TRY(const auto same, select("digest = ?1 AND status IN ('pending', 'approved', 'denied')", wanted.digest));
    for (const Approval& one : same) {
      if (one.grant == wanted.grant && now_ms < one.expires_ms) return Asked{state_of(one), one, false};
    }
    return std::nullopt;
  };
  SLUICE_TRY(const auto known, look());
  if (known) return *known;
  return db_.change(GateDb::Part::kApprovals, [&]() -> Result<Asked> {
    SLUICE_TRY(const auto again, look());
    if (again) return *again;
    SLUICE_CHECK(make_room(now_ms));
    SLUICE_TRY(const std::size_t own, count("grant_name = ?1", wanted.grant, now_ms));
    SLUICE_TRY(const std::size_t all, count("grant_name != ?1", "", now_ms));
    if (own >= kMostOfGrant || all >= kMost) return Asked{State::kFull, {}, false};
    SLUICE_CHECK(insert(wanted));
    return Asked{State::kPending, wanted, true};
  });
}

Status ApprovalStore::make_room(std::int64_t now_ms) {
  Statement forget(db_.file(), "DELETE FROM gate_approvals WHERE expires_ms < ?1");
  forget.bind(1, now_ms - kKeptMs);
  Statement blank(db_.file(), "UPDATE gate_approvals SET arguments = '' WHERE expires_ms <= ?1 AND arguments != ''");
  blank.bind(1, now_ms);
  return forget.run() && blank.run() ? Status() : fail(db_.file().error("written"));
}

Status ApprovalStore::insert(const Approval& approval) {
  Statement insert(db_.file(),
                   "INSERT INTO gate_approvals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'pending', '', 0)");
  insert.bind_text(1, approval.id);
  insert.bind_text(2, approval.grant);
  insert.bind_text(3, approval.server);
  insert.bind_text(4, approval.tool);
  insert.bind_text(5, approval.digest);
  insert.bind_text(6, approval.rule);
  insert.bind_text(7, approval.message);
  insert.bind_text(8, approval.arguments);
  insert.bind(9, approval.created_ms);
  insert.bind(10, approval.expires_ms);
  return insert.run() ? Status() : fail(db_.file().error("written"));
}

Result<bool> ApprovalStore::use(const std::string& id, std::int64_t now_ms) {
  return db_.change(GateDb::Part::kApprovals, [&]() -> Result<bool> {
    Statement update(db_.file(),
                     "UPDATE gate_approvals SET status = 'used', arguments = '' WHERE id = ?1 AND status = 'approved'"
                     " AND expires_ms > ?2");
    update.bind_text(1, id);
    update.bind(2, now_ms);
    if (!update.run()) return fail(db_.file().error("written"));
    return sqlite3_changes(db_.file().handle()) == 1;
  });
}

Result<Approval> ApprovalStore::decide(const std::string& id, bool approve, const std::string& approver,
                                       std::int64_t now_ms) {
  return db_.change(GateDb::Part::kApprovals, [&]() -> Result<Approval> {
    SLUICE_TRY(Approval approval, find(id));
    if (approval.status != "pending") {
      return fail(Code::kConflict, fmt::format("{} is {} already", id, approval.status));
    }
    if (now_ms >= approval.expires_ms) return fail(Code::kTimeout, fmt::format("{} has expired", id));
    approval.status = approve ? "approved" : "denied";
    approval.approver = approver;
    approval.decided_ms = now_ms;
    Statement update(db_.file(), "UPDATE gate_approvals SET status = ?2, approver = ?3, decided_ms = ?4 WHERE id = ?1");
    update.bind_text(1, id);
    update.bind_text(2, approval.status);
    update.bind_text(3, approval.approver);
    update.bind(4, now_ms);
    if (!update.run()) return fail(db_.file().error("written"));
    return approval;
  });
}

Result<std::vector<Approval>> ApprovalStore::load() { return select("?1 = ''", ""); }

Result<Approval> ApprovalStore::find(const std::string& id) {
  SLUICE_TRY(auto found, select("id = ?1", id));
  if (found.empty()) {
    return fail(Code::kNotFound, fmt::format("there is no approval '{}' (`sluice approvals list` has them)", id));
  }
  return std::move(found.front());
}

}  // namespace sluice::gateway

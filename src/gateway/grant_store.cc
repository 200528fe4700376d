#include "gateway/grant_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr const char* kColumns =
    "SELECT name, server, policy, hash, old_hash, old_until_ms, created_ms, expires_ms, revoked_ms, stdio"
    " FROM gate_grants ";

Grant read_row(Statement& row) {
  Grant grant;
  grant.name = row.text(0);
  grant.server = row.text(1);
  grant.policy = row.text(2);
  grant.hash = row.text(3);
  grant.old_hash = row.text(4);
  grant.old_until_ms = row.integer(5);
  grant.created_ms = row.integer(6);
  grant.expires_ms = row.integer(7);
  grant.revoked_ms = row.integer(8);
  grant.stdio = row.integer(9) != 0;
  return grant;
}

}  // namespace

Status check_grant_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good =
      !name.empty() && name.size() <= kMaxName && plain(name.front()) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
  if (!good) {
    return fail(Code::kInvalid, "a grant's name is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit");
  }
  if (name == "default" || name == "owner") {
    return fail(Code::kInvalid, fmt::format("'{}' is built in: choose another name", name));
  }
  return {};
}

Result<std::vector<Grant>> GrantStore::load() {
  std::vector<Grant> all;
  SLUICE_TRY(const bool present, db_.open_if_present());
  if (!present) return all;
  Statement rows(db_.file(), (std::string(kColumns) + "ORDER BY name").c_str());
  auto step = rows.step();
  for (; step == Statement::Step::kRow; step = rows.step()) all.push_back(read_row(rows));
  if (step != Statement::Step::kDone) return fail(db_.file().error("read"));
  return all;
}

Result<Grant> GrantStore::find(const std::string& name) {
  Statement row(db_.file(), (std::string(kColumns) + "WHERE name = ?1").c_str());
  row.bind_text(1, name);
  switch (row.step()) {
    case Statement::Step::kRow:
      return read_row(row);
    case Statement::Step::kDone:
      return fail(Code::kNotFound, fmt::format("there is no grant '{}' (`sluice grant list` has them)", name));
    case Statement::Step::kFailed:
      break;
  }
  return fail(db_.file().error("read"));
}

Status GrantStore::create(const Grant& grant) {
  SLUICE_CHECK(check_grant_name(grant.name));
  return db_.change(GateDb::Part::kGrants, [&]() -> Status {
    if (const auto present = find(grant.name)) {
      return fail(Code::kConflict,
                  present->revoked_ms == 0
                      ? fmt::format("there is a grant '{}' already", grant.name)
                      : fmt::format("there was a grant '{}', which the audit names: choose another name", grant.name));
    }
    Statement insert(db_.file(), "INSERT INTO gate_grants VALUES (?1, ?2, ?3, ?4, '', 0, ?5, ?6, 0, ?7)");
    insert.bind_text(1, grant.name);
    insert.bind_text(2, grant.server);
    insert.bind_text(3, grant.policy);
    insert.bind_text(4, grant.hash);
    insert.bind(5, grant.created_ms);
    insert.bind(6, grant.expires_ms);
    insert.bind(7, grant.stdio ? 1 : 0);
    return insert.run() ? Status() : fail(db_.file().error("written"));
  });
}

Status GrantStore::rotate(const std::string& name, const std::string& hash, std::int64_t now_ms,
                          std::int64_t old_until_ms) {
  return db_.change(GateDb::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(const Grant grant, find(name));
    if (!grant.is_live(now_ms)) return fail(Code::kRefused, fmt::format("the grant '{}' has ended", name));
    if (grant.hash.empty()) return fail(Code::kRefused, fmt::format("the grant '{}' has no token (--stdio)", name));
    Statement update(db_.file(), "UPDATE gate_grants SET old_hash = ?2, old_until_ms = ?3, hash = ?4 WHERE name = ?1");
    update.bind_text(1, name);
    update.bind_text(2, grant.hash);
    update.bind(3, old_until_ms);
    update.bind_text(4, hash);
    return update.run() ? Status() : fail(db_.file().error("written"));
  });
}

Status GrantStore::revoke(const std::string& name, std::int64_t now_ms) {
  return db_.change(GateDb::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(const Grant grant, find(name));
    if (grant.revoked_ms != 0) return {};
    Statement update(db_.file(), "UPDATE gate_grants SET revoked_ms = ?2, hash = '', old_hash = '' WHERE name = ?1");
    update.bind_text(1, name);
    update.bind(2, now_ms);
    Statement voided(db_.file(),
                     "UPDATE gate_approvals SET status = 'void', arguments = '' WHERE grant_name = ?1"
                     " AND status IN ('pending', 'approved')");
    voided.bind_text(1, name);
    return update.run() && voided.run() ? Status() : fail(db_.file().error("written"));
  });
}

Result<std::string> GrantStore::admin_hash() {
  SLUICE_TRY(const bool present, db_.open_if_present());
  if (!present) return std::string();
  Statement row(db_.file(), "SELECT hash FROM gate_admin");
  switch (row.step()) {
    case Statement::Step::kRow:
      return row.text(0);
    case Statement::Step::kDone:
      return std::string();
    case Statement::Step::kFailed:
      break;
  }
  return fail(db_.file().error("read"));
}

Status GrantStore::set_admin_hash(const std::string& old_hash, const std::string& new_hash) {
  return db_.change(GateDb::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(const std::string present, admin_hash());
    if (present != old_hash)
      return fail(Code::kConflict, "the admin credential was changed by somebody else meanwhile");
    Statement write(db_.file(), "INSERT OR REPLACE INTO gate_admin VALUES (1, ?1)");
    write.bind_text(1, new_hash);
    return write.run() ? Status() : fail(db_.file().error("written"));
  });
}

Status GrantStore::reset_admin(const std::string& new_hash, std::int64_t now_ms) {
  return db_.change(GateDb::Part::kGrants, [&]() -> Status {
    Statement revoked(db_.file(),
                      "UPDATE gate_grants SET revoked_ms = ?1, hash = '', old_hash = '' WHERE revoked_ms = 0");
    revoked.bind(1, now_ms);
    Statement voided(
        db_.file(),
        "UPDATE gate_approvals SET status = 'void', arguments = '' WHERE status IN ('pending', 'approved')");
    Statement write(db_.file(), "INSERT OR REPLACE INTO gate_admin VALUES (1, ?1)");
    write.bind_text(1, new_hash);
    return revoked.run() && voided.run() && write.run() ? Status() : fail(db_.file().error("written"));
  });
}

}  // namespace sluice::gateway

// Grants, as state.db keeps them: who may come in with which token, to which server, under which policy (gate.md 2).
// One thread at a time. Errors: kIo, kConflict (another version's file) and those named below; one sentence each.
#pragma once

#include <string>
#include <vector>

#include "gateway/gate_db.h"

namespace sluice::gateway {

struct Grant {
  std::string name;
  std::string server = "sluice";
  std::string policy;             // an absolute path; empty: none, so every call is denied
  std::string hash;               // of its token (credential.h); empty: made for stdio, without one
  std::string old_hash;           // of the token before a rotation, which is good until
  std::int64_t old_until_ms = 0;  // then
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0, revoked_ms = 0;  // 0: not
  bool stdio = false;

  bool is_live(std::int64_t now_ms) const { return revoked_ms == 0 && (expires_ms == 0 || now_ms < expires_ms); }
};

// 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit, and neither `default` nor `owner`: kInvalid.
Status check_grant_name(std::string_view name);

class GrantStore {
 public:
  explicit GrantStore(GateDb& db) : db_(db) {}

  Result<std::int64_t> revision() { return db_.revision(GateDb::Part::kGrants); }
  Result<std::vector<Grant>> load();  // all, revoked ones too, by name
  // kConflict: there is one of that name, or there was: names in the audit stay of one.
  Status create(const Grant& grant);
  // kNotFound; kRefused: it has ended, or never had a token.
  Status rotate(const std::string& name, const std::string& hash, std::int64_t now_ms, std::int64_t old_until_ms);
  // With its approvals. kNotFound; of a revoked one: nothing happens.
  Status revoke(const std::string& name, std::int64_t now_ms);

  // The admin credential's hash; empty: none was made.
  Result<std::string> admin_hash();
  // kConflict: it is not `old_hash` any more.
  // Of a lost one: whatever the old one gave ends with it. Every grant is revoked and every approval void.
  Status reset_admin(const std::string& new_hash, std::int64_t now_ms);
  Status set_admin_hash(const std::string& old_hash, const std::string& new_hash);

 private:
  Result<Grant> find(const std::string& name);
  GateDb& db_;
};

}  // namespace sluice::gateway

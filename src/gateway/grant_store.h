// Grants: who may come in with which token, to which server, under which policy (gate.md 2). What changes mean, over
// rows wherever they lie (gate_rows.h, whose errors these are, and those named below). One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "gateway/gate_rows.h"

namespace sluice::gateway {

// 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit, and neither `default` nor `owner`: kInvalid.
Status check_grant_name(std::string_view name);

class GrantStore {
 public:
  explicit GrantStore(GateRows& state) : state_(state) {}

  Result<std::int64_t> revision() { return state_.revision(GateRows::Part::kGrants); }
  Result<std::vector<Grant>> load() { return state_.grants(); }  // all, revoked ones too, by name
  // kConflict: there is one of that name, or there was: names in the audit stay of one.
  Status create(const Grant& grant);
  // kNotFound; kRefused: it has ended, or never had a token.
  Status rotate(const std::string& name, const std::string& hash, std::int64_t now_ms, std::int64_t old_until_ms);
  // With its approvals. kNotFound; of a revoked one: nothing happens.
  Status revoke(const std::string& name, std::int64_t now_ms);

  // The admin credential's hash; empty: none was made.
  Result<std::string> admin_hash() { return state_.admin_hash(); }
  // kConflict: it is not `old_hash` any more.
  Status set_admin_hash(const std::string& old_hash, const std::string& new_hash);
  // Of a lost one: whatever the old one gave ends with it. Every grant is revoked and every approval void.
  Status reset_admin(const std::string& new_hash, std::int64_t now_ms);

 private:
  Result<Grant> find(const std::string& name);
  Status end(Grant grant, std::int64_t now_ms);
  Status void_approvals(const std::string* grant);  // null: of all
  GateRows& state_;
};

}  // namespace sluice::gateway

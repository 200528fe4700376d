#include "gateway/grant_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxName = 64;

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

Result<Grant> GrantStore::find(const std::string& name) {
  SLUICE_TRY(std::vector<Grant> all, state_.grants());
  const auto found = std::find_if(all.begin(), all.end(), [&](const Grant& one) { return one.name == name; });
  if (found != all.end()) return std::move(*found);
  return fail(Code::kNotFound, fmt::format("there is no grant '{}' (`sluice grant list` has them)", name));
}

Status GrantStore::create(const Grant& grant) {
  SLUICE_CHECK(check_grant_name(grant.name));
  return state_.change(GateRows::Part::kGrants, [&]() -> Status {
    const auto present = find(grant.name);
    if (!present && present.error().code == Code::kNotFound) return state_.put(grant);
    if (!present) return fail(present.error());
    return fail(Code::kConflict,
                present->revoked_ms == 0
                    ? fmt::format("there is a grant '{}' already", grant.name)
                    : fmt::format("there was a grant '{}', which the audit names: choose another name", grant.name));
  });
}

Status GrantStore::rotate(const std::string& name, const std::string& hash, std::int64_t now_ms,
                          std::int64_t old_until_ms) {
  return state_.change(GateRows::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(Grant grant, find(name));
    if (!grant.is_live(now_ms)) return fail(Code::kRefused, fmt::format("the grant '{}' has ended", name));
    if (grant.hash.empty()) return fail(Code::kRefused, fmt::format("the grant '{}' has no token (--stdio)", name));
    grant.old_hash = std::exchange(grant.hash, hash);
    grant.old_until_ms = old_until_ms;
    return state_.put(grant);
  });
}

Status GrantStore::end(Grant grant, std::int64_t now_ms) {
  grant.revoked_ms = now_ms;
  grant.hash.clear();
  grant.old_hash.clear();
  return state_.put(grant);
}

// Those whose time seems over, too: others' clocks may say otherwise.
Status GrantStore::void_approvals(const std::string* grant) {
  SLUICE_TRY(const std::vector<Approval> live, state_.live_approvals(0, GateRows::Arguments::kWithout));
  for (Approval approval : live) {
    if (approval.status == "denied" || (grant && approval.grant != *grant)) continue;
    approval.status = "void";
    SLUICE_CHECK(state_.put(approval));
  }
  return {};
}

Status GrantStore::revoke(const std::string& name, std::int64_t now_ms) {
  return state_.change(GateRows::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(Grant grant, find(name));
    if (grant.revoked_ms != 0) return {};
    SLUICE_CHECK(end(std::move(grant), now_ms));
    return void_approvals(&name);
  });
}

Status GrantStore::set_admin_hash(const std::string& old_hash, const std::string& new_hash) {
  return state_.change(GateRows::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(const std::string present, admin_hash());
    if (present == old_hash) return state_.put_admin_hash(new_hash);
    return fail(Code::kConflict, "the admin credential was changed by somebody else meanwhile");
  });
}

Status GrantStore::reset_admin(const std::string& new_hash, std::int64_t now_ms) {
  return state_.change(GateRows::Part::kGrants, [&]() -> Status {
    SLUICE_TRY(const std::vector<Grant> all, state_.grants());
    for (const Grant& grant : all) {
      if (grant.revoked_ms == 0) SLUICE_CHECK(end(grant, now_ms));
    }
    SLUICE_CHECK(void_approvals(nullptr));
    return state_.put_admin_hash(new_hash);
  });
}

}  // namespace sluice::gateway

// An approval as JSON: what `sluice approvals --json`, the admin API and the webhook say of it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "gateway/approval_store.h"

namespace sluice::gateway {

// "pending", "approved", "denied", "used", "void"; or "expired", written down or not yet.
std::string_view status_of(const Approval& approval, std::int64_t now_ms);
// Every argument, as long as they are kept.
Json approval_json(const Approval& approval, std::int64_t now_ms);

}  // namespace sluice::gateway

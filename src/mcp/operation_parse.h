// From a method and its params to a typed operation: private to this folder. Pure; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "mcp/operation.h"
#include "mcp/server_session.h"

namespace sluice::mcp {

// -32601 if this era and these capabilities have no such method; -32602 if its params are not what it takes.
// Takes what it needs out of `params`.
tl::expected<OperationBody, RpcError> parse_operation(std::string_view method, Json& params, Era era,
                                                      const ServerProfile& profile);

// The `notifications` member of an acknowledgement.
Json write_filter(const SubscriptionFilter& filter);

// What is in both.
SubscriptionFilter intersect(const SubscriptionFilter& a, const SubscriptionFilter& b);

}  // namespace sluice::mcp

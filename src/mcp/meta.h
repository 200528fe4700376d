// The keys of `_meta` that this protocol gives a meaning: private to this folder. MCP 2026-07-28 "Overview: _meta".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mcp/jsonrpc.h"
#include "mcp/operation.h"

namespace sluice::mcp {

namespace meta {
inline constexpr std::string_view kProtocolVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kClientCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kSubscriptionId = "io.modelcontextprotocol/subscriptionId";
inline constexpr std::string_view kServerInfo = "io.modelcontextprotocol/serverInfo";
}  // namespace meta

// The value of `params._meta[key]`, null included; nullptr if `_meta` is absent, no object, or has no such key.
const Json* find_meta(const Json& params, std::string_view key);

// What a request says about its version.
enum class Claim {
  kNone,       // nothing, or a legacy version: the session decides
  kModern,     // a version that is modern, or unknown
  kMalformed,  // the key is there but is no string, or `_meta` is no object
};
Claim read_claim(const Json& params);
// The version that is named; empty if none.
std::string_view claimed_version(const Json& params);

// The fields of a modern request into `context`; an error for one that is missing or of the wrong type (-32602).
std::optional<RpcError> read_modern_meta(const Json& params, RequestContext& context);
// What both eras have: progressToken (a string or an integer) and traceparent.
std::optional<RpcError> read_common_meta(const Json& params, RequestContext& context);

bool is_log_level(std::string_view level);  // RFC 5424's eight

// What is kept of a client's self-description: name, version, title, each cut to 256 UTF-16 units; null if it is no
// object.
Json keep_client_info(const Json& info);
// What may be kept of a session's capabilities: nullopt if they take more than 16 KiB.
std::optional<Json> keep_capabilities(const Json& capabilities);

}  // namespace sluice::mcp

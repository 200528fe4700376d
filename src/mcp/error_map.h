// The one place where Sluice's errors become JSON-RPC errors (DESIGN 2). Failures of tools are not errors of the
// protocol: they are results with isError and never come here. Pure; thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"
#include "mcp/jsonrpc.h"
#include "mcp/revision.h"

namespace sluice::mcp {

// What kind of thing was asked for: a resource that is not there has a code of its own before 2026-07-28.
enum class Subject { kResource, kOther };

// kNotFound, kRefused, kInvalid and kTooLarge are the caller's: -32602 (a thing that may not be seen is answered as one
// that does not exist, gate.md 9); the rest are ours: -32603.
RpcError map_error(const Error& error, Era era, Subject subject = Subject::kOther);

// For methods unknown, not of this era, or closed by a policy (gate.md 9): all alike.
RpcError method_not_found(std::string_view method);
// -32022 with the versions spoken here.
RpcError unsupported_version(std::string_view asked);

// Where an error arose: before its operation began (the protocol's own refusals), or as the operation's outcome.
enum class Origin { kProtocol, kOutcome };
// The status of an HTTP answer whose whole body is this error. Legacy: 200, refusals that http_rules.h makes aside.
// Modern: 404 for -32601, 400 for -32700, -32600, -32020, -32021, -32022 and for the protocol's own -32602, else 200.
int http_status(int code, Era era, Origin origin);

}  // namespace sluice::mcp

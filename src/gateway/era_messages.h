// What of a message is said otherwise in the other era: capabilities, results, errors, schemas. Legacy is 2025-11-25
// and before, modern is 2026-07-28. Pure. Private to the bridge between eras (gate.md 9).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mcp/jsonrpc.h"

namespace sluice::gateway {

namespace era {
inline constexpr std::string_view kModern = "2026-07-28", kLegacy = "2025-11-25";
inline constexpr std::string_view kVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr int kUrlElicitationRequired = -32042;  // 2025-11-25; never sent in the modern era
}  // namespace era

Json* member_of(Json& object, std::string_view key);  // of an object that has it; else nullptr
// `params._meta[key]` where it is there and not null; else nullptr.
const Json* meta_member(const Json& params, std::string_view key);
// Without what is the protocol's own in `_meta`, and without `_meta` if nothing else is in it.
void drop_protocol_meta(Json& object);

// How much a log level lets through: 0 (`debug`) lets everything, 7 (`emergency`) the least; nullopt: it is none.
std::optional<int> rank_of_level(const Json& level);

// Only in these may a server ask for something (MCP 2026-07-28 "Multi Round-Trip Requests").
bool may_need_input(std::string_view method);
// Whether the result must say how long it may be kept (MCP 2026-07-28 "Caching").
bool is_cacheable(std::string_view method);
bool is_task_method(std::string_view method);
// Whether the modern era has this method of the legacy one no longer: -32601 there (gate.md 10).
bool is_removed(std::string_view method);
// A server may speak of a part of what was subscribed to (MCP 2025-11-25 "Resources: Subscriptions").
bool is_part_of_resource(std::string_view uri, std::string_view whole);

// Whether a client that declared these can be asked this; if not, what it would have to declare.
std::optional<Json> missing_capability(const Json& capabilities, std::string_view method, const Json& params);
// Of a client or a server, without tasks, which never cross.
Json without_tasks(Json capabilities);
// A tool as the other era's clients may see it: nullopt: not at all, since it only runs as a task.
std::optional<Json> tool_without_tasks(Json tool);

// --- for modern clients ---

// The answer to `server/discover`, made of that to `initialize`.
Json discover_result(const Json& initialized);
// Completes a legacy server's result.
void make_modern_result(std::string_view method, Json& result);
// -32002 becomes -32602.
void make_modern_error(Json& error);
// The addresses that -32042 asks for as inputs, `mode: url`; empty: it names none.
Json url_inputs(const Json& error);

// --- for legacy clients ---

// The answer to `initialize`, made of that to `server/discover`.
Json initialize_result(const Json& discovered, const Json& asked_version);
// Takes out what legacy clients do not know. `wrap`: its structured content is wrapped even if it is an object.
void make_legacy_result(Json& result, bool wrap);
// Whether legacy clients may be shown this schema of an output; if not it is wrapped, as its results are.
bool is_object_schema(const Json& schema);
Json wrap_schema(Json schema);

}  // namespace sluice::gateway

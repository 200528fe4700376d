// Streamable HTTP's rules as pure checks, for both eras on one endpoint: which requests are refused and how, which era
// a POST belongs to, whether headers and body agree. The transport asks in this order:
//
//   1. read_http_head(method, fields): 405, 406, 415, 400 before any body is read. (Host, Origin, token: the
//   transport's own.)
//   2. GET, DELETE: route_stream(head), then look up head.session_id; unknown: session_not_found().
//      POST: read at most McpLimits::max_message (413), parse_message(), then route_post(head, message):
//        kModern      a fresh ServerSession(profile, Scope::kModernHttp)
//        kInitialize  a fresh ServerSession(profile, Scope::kLegacyHttp) with a new random id, answered in
//        Mcp-Session-Id;
//                     drop it unless revision() is set after feed()
//        kSession     look up head.session_id; unknown, or another grant's: session_not_found()
//        kDropped     a modern notification: 202, nothing to do (closing the stream is what cancels)
//   3. session.feed(message). An answer: its http_status and JSON. An operation: a stream of events if
//      context.wants_progress or it is a Listen, else JSON. Neither: 202 without a body.
//
// Pure; thread-safe. MCP 2025-11-25 "Transports", 2026-07-28 "Streamable HTTP"; engine.md 8; gate.md 10 (A1, A33, A46).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mcp/jsonrpc.h"
#include "mcp/revision.h"

namespace sluice::mcp {

struct HeaderField {
  std::string_view name;
  std::string_view value;
};

// A whole answer: the status, the body (a JSON-RPC error as application/json, or nothing), and Allow for 405.
struct HttpRefusal {
  int status = 400;
  std::string body;
  std::string_view allow;
};

enum class HttpMethod { kPost, kGet, kDelete };

struct HttpHead {
  HttpMethod method = HttpMethod::kPost;
  std::optional<std::string> protocol_version;  // MCP-Protocol-Version
  std::optional<std::string> mcp_method;        // Mcp-Method
  std::optional<std::string> mcp_name;          // Mcp-Name, as it stood
  std::optional<std::string> session_id;        // Mcp-Session-Id
  std::optional<std::string> last_event_id;     // Last-Event-ID; only a legacy GET may use it
};

enum class HttpRoute { kModern, kInitialize, kSession, kDropped };

template <class T>
using HttpResult = tl::expected<T, HttpRefusal>;

// Refuses other methods (405), a POST whose Content-Type is not application/json or that has a Content-Encoding (415),
// or whose Accept does not take both application/json and text/event-stream (406; `*/*` takes both), a GET that does
// not take text/event-stream (406), and any of the headers above given twice or with octets outside 0x20-0x7E (400).
HttpResult<HttpHead> read_http_head(std::string_view method, std::span<const HeaderField> fields);

// GET and DELETE exist only with a session id; without one 405 (engine.md 8).
HttpResult<void> route_stream(const HttpHead& head);

// Which era, and whether the headers say what the body says: -32020 with 400 on any difference, -32602 with 400 for a
// modern request without its `_meta` fields, 400 for a malformed message, a missing session id or an unknown version.
HttpResult<HttpRoute> route_post(const HttpHead& head, const Message& message);

// 404: the client is to initialize again. Says the same for an id that never was and for another grant's (A33).
HttpRefusal session_not_found(const Message* message = nullptr);
// 413 for a body beyond `McpLimits::max_message`.
HttpRefusal message_too_large();

// `=?base64?…?=` decoded; nullopt if it is malformed.
std::optional<std::string> decode_header_value(std::string_view value);

}  // namespace sluice::mcp

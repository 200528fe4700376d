// JSON-RPC 2.0 as MCP restricts it: one message at a time, parsed strictly and once.
// Refused: batches (every revision; a documented deviation from 2025-03-26, engine.md 8), ids that are null,
// fractional, beyond 2^53 or longer than 256 octets, params that are no object, repeated members at any depth, members
// whose name differs from a known one only by case, ill-formed UTF-8, a byte order mark, nesting deeper than 64. Other
// unknown top-level members are ignored, as the TypeScript schema of the specification allows. The caller limits the
// size (McpLimits::max_message). Pure; thread-safe. JSON-RPC 2.0 §4-6; MCP 2026-07-28 "Overview: Messages"; gate.md 10
// (A1, A3, A4, A7, A8, A10, A25, A26).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"

namespace sluice::mcp {

// A string or an integer; 1 and "1" are two ids.
class RequestId {
 public:
  RequestId() = default;
  explicit RequestId(std::int64_t number) : value_(number) {}
  explicit RequestId(std::string text) : value_(std::move(text)) {}
  // nullopt for whatever may not be an id.
  static std::optional<RequestId> from_json(const Json& value);

  Json to_json() const;
  friend auto operator<=>(const RequestId&, const RequestId&) = default;

 private:
  std::variant<std::int64_t, std::string> value_;
};

namespace rpc {  // JSON-RPC 2.0 §5.1 and MCP's own codes
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kResourceNotFound = -32002;         // 2025-11-25 and before; never sent in the modern era
inline constexpr int kHeaderMismatch = -32020;           // modern, HTTP 400
inline constexpr int kMissingClientCapability = -32021;  // modern, HTTP 400
inline constexpr int kUnsupportedVersion = -32022;       // modern, HTTP 400
}  // namespace rpc

struct RpcError {
  int code = rpc::kInternalError;
  std::string message;  // one sentence, without secrets
  Json data = nullptr;  // null: none
};

struct Request {
  RequestId id;
  std::string method;
  Json params;  // always an object; empty if it was absent
};
struct Notification {
  std::string method;
  Json params;  // always an object
};
// An answer to a request of ours. A ServerSession makes none (gateway/session_driver.h does), so it drops it, however
// odd it is: an error is never answered by an error.
struct Response {
  std::optional<RequestId> id;
  bool is_error = false;
  Json body = nullptr;  // `result` or `error`, whatever it is; null where both are there
};
struct Malformed {
  std::optional<RequestId> id;  // if one could be read
  RpcError error;
  bool is_notification = false;  // had a method and no id: gets no answer (JSON-RPC §4.1), but an HTTP status
};
using Message = std::variant<Request, Notification, Response, Malformed>;

Message parse_message(std::string_view text, const JsonLimits& limits = {});
// The same for what is passed on: numbers keep their spelling (base/json_spelling.h).
Message parse_spelled_message(std::string_view text, const JsonLimits& limits = {});

// One line without a line end; strings are escaped so that no newline can stand inside.
std::string write_result(const RequestId& id, Json result);
std::string write_result_text(const RequestId& id, std::string_view result);  // JSON already
// Without an id where none could be read: MCP leaves the member out (JSON-RPC would say null, which strict clients
// refuse).
std::string write_error(const std::optional<RequestId>& id, const RpcError& error);
std::string write_notification(std::string_view method, Json params);
std::string write_request(const RequestId& id, std::string_view method, Json params);
// An error as somebody else made it.
std::string write_raw_error(const RequestId& id, Json error);

}  // namespace sluice::mcp

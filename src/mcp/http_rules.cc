#include "mcp/http_rules.h"

#include <algorithm>

#include "base/text.h"
#include "mcp/error_map.h"
#include "mcp/meta.h"

namespace sluice::mcp {
namespace {

tl::unexpected<HttpRefusal> refuse(int status, RpcError error, const std::optional<RequestId>& id = std::nullopt,
                                   std::string_view allow = {}) {
  return tl::unexpected(HttpRefusal{status, write_error(id, error), allow});
}
tl::unexpected<HttpRefusal> refuse(int status, std::string message, std::string_view allow = {}) {
  return refuse(status, RpcError{rpc::kInvalidRequest, std::move(message)}, std::nullopt, allow);
}
tl::unexpected<HttpRefusal> mismatch(std::string message, const RequestId& id) {
  return refuse(400, RpcError{rpc::kHeaderMismatch, "Header mismatch: " + std::move(message)}, id);
}

// MCP 2026-07-28 "Value Encoding": visible ASCII, space and tab.
bool is_header_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= 0x20 && c <= 0x7E); });
}

std::string_view essence(std::string_view media_type) { return trim(media_type.substr(0, media_type.find(';'))); }

// `q=0` means not acceptable (RFC 9110 §12.4.2).
bool is_refused(std::string_view range) {
  const std::vector<std::string_view> parts = split(range, ';');
  return std::any_of(parts.begin() + 1, parts.end(), [](std::string_view part) {
    part = trim(part);
    if (part.size() < 3 || ascii_lower(part[0]) != 'q' || part[1] != '=') return false;
    return part.substr(2).find_first_not_of("0.") == std::string_view::npos;
  });
}

bool accepts(std::string_view accept, std::string_view type) {
  const std::string any_subtype = std::string(type.substr(0, type.find('/'))) + "/*";
  for (const std::string_view range : split(accept, ',')) {
    const std::string_view name = essence(range);
    if ((iequals(name, type) || iequals(name, any_subtype) || name == "*/*") && !is_refused(range)) return true;
  }
  return false;
}

std::optional<std::string> joined(std::span<const HeaderField> fields, std::string_view name) {
  std::optional<std::string> all;
  for (const HeaderField& field : fields) {
    if (!iequals(field.name, name)) continue;
    all = all ? *all + ", " + std::string(field.value) : std::string(field.value);
  }
  return all;
}

// A header that MCP gives a meaning: once, and of plain octets.
HttpResult<std::optional<std::string>> single(std::span<const HeaderField> fields, std::string_view name) {
  std::optional<std::string> found;
  for (const HeaderField& field : fields) {
    if (!iequals(field.name, name)) continue;
    if (found) {
      return refuse(400, RpcError{rpc::kHeaderMismatch, "Header mismatch: " + std::string(name) + " is repeated"});
    }
    const std::string_view value = trim(field.value);
    if (!is_header_value(value)) {
      return refuse(400, RpcError{rpc::kHeaderMismatch,
                                  "Header mismatch: " + std::string(name) + " has octets that no header may have"});
    }
    found = std::string(value);
  }
  return found;
}

HttpResult<void> check_content(HttpMethod method, std::span<const HeaderField> fields) {
  if (method == HttpMethod::kDelete) return {};
  const std::string accept = joined(fields, "accept").value_or("");
  if (method == HttpMethod::kGet) {
    if (accepts(accept, "text/event-stream")) return {};
    return refuse(406, "Not Acceptable: accept text/event-stream");
  }
  // First what is sent, then what is wanted back: a browser form never gets further than this.
  const auto type = joined(fields, "content-type");
  if (!type || !iequals(essence(*type), "application/json")) {
    return refuse(415, "Unsupported Media Type: send application/json");
  }
  // What is read is the body as it is: whoever stands before us may have read another one.
  if (const auto coding = joined(fields, "content-encoding"); coding && !iequals(trim(*coding), "identity")) {
    return refuse(415, "Unsupported Media Type: send it without a Content-Encoding");
  }
  if (!accepts(accept, "application/json") || !accepts(accept, "text/event-stream")) {
    return refuse(406, "Not Acceptable: accept both application/json and text/event-stream");
  }
  return {};
}

// The member of params that Mcp-Name must repeat; empty for methods without one.
std::string_view name_source(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  return {};
}

HttpResult<void> check_name(const HttpHead& head, const Request& request) {
  const std::string_view source = name_source(request.method);
  if (source.empty()) return {};
  const Json* value = find_member(request.params, source);
  // Without a name in the body there is nothing to compare; the session answers -32602.
  if (!value || !value->is_string()) return {};
  if (!head.mcp_name) return mismatch("Mcp-Name is missing", request.id);
  const auto decoded = decode_header_value(*head.mcp_name);
  if (!decoded) return mismatch("Mcp-Name is badly encoded", request.id);
  if (*decoded != value->get_ref<const std::string&>()) {
    return mismatch("Mcp-Name is not the body's `" + std::string(source) + "`", request.id);
  }
  return {};
}

HttpResult<HttpRoute> route_modern(const HttpHead& head, const Request& request) {
  if (!head.protocol_version) return mismatch("MCP-Protocol-Version is missing", request.id);
  if (*head.protocol_version != claimed_version(request.params)) {
    return mismatch("MCP-Protocol-Version is not the version in the body's `_meta`", request.id);
  }
  // Other rules may hold for a version that is not known here: the session answers -32022.
  if (!find_revision(*head.protocol_version)) return HttpRoute::kModern;
  if (!head.mcp_method) return mismatch("Mcp-Method is missing", request.id);
  if (*head.mcp_method != request.method) return mismatch("Mcp-Method is not the body's `method`", request.id);
  if (auto named = check_name(head, request); !named) return tl::unexpected(named.error());
  return HttpRoute::kModern;
}

HttpResult<HttpRoute> route_request(const HttpHead& head, const Request& request) {
  const Claim claim = read_claim(request.params);
  if (claim == Claim::kMalformed) {
    return refuse(400,
                  RpcError{rpc::kInvalidParams, "_meta must be an object, and the protocol version in it a string"},
                  request.id);
  }
  if (claim == Claim::kModern) return route_modern(head, request);
  const std::string_view version = head.protocol_version ? std::string_view(*head.protocol_version) : "";
  const auto revision = find_revision(version);
  const bool modern = revision && era_of(*revision) == Era::kModern;
  if (request.method == "initialize" && !head.session_id) {
    if (modern) return mismatch("MCP-Protocol-Version names a version without `initialize`", request.id);
    return HttpRoute::kInitialize;
  }
  if (modern) {
    return refuse(400, RpcError{rpc::kInvalidParams, "_meta: " + std::string(meta::kProtocolVersion) + " is missing"},
                  request.id);
  }
  if (head.protocol_version && !revision) return refuse(400, unsupported_version(version), request.id);
  if (!head.session_id) {
    return refuse(400,
                  RpcError{rpc::kInvalidRequest,
                           "Mcp-Session-Id is missing: send `initialize` first, or name a protocol version in `_meta`"},
                  request.id);
  }
  return HttpRoute::kSession;
}

HttpResult<HttpRoute> route_notification(const HttpHead& head, const Notification& notification) {
  const Claim claim = read_claim(notification.params);
  const std::string version =
      claim == Claim::kModern ? std::string(claimed_version(notification.params)) : head.protocol_version.value_or("");
  if (claim == Claim::kMalformed) return refuse(400, "_meta is malformed");
  if (!version.empty() && !find_revision(version)) return refuse(400, unsupported_version(version));
  const bool modern = !version.empty() && era_of(*find_revision(version)) == Era::kModern;
  if (!modern) {
    if (!head.session_id) return refuse(400, "Mcp-Session-Id is missing");
    return HttpRoute::kSession;
  }
  if (head.protocol_version && *head.protocol_version != version) {
    return refuse(400, RpcError{rpc::kHeaderMismatch, "Header mismatch: MCP-Protocol-Version"});
  }
  if (head.mcp_method && *head.mcp_method != notification.method) {
    return refuse(400, RpcError{rpc::kHeaderMismatch, "Header mismatch: Mcp-Method"});
  }
  if (!notification.method.starts_with("notifications/")) return refuse(400, "a request needs an id");
  return HttpRoute::kDropped;
}

}  // namespace

HttpResult<HttpHead> read_http_head(std::string_view method, std::span<const HeaderField> fields) {
  HttpHead head;
  if (method == "POST") {
    head.method = HttpMethod::kPost;
  } else if (method == "GET") {
    head.method = HttpMethod::kGet;
  } else if (method == "DELETE") {
    head.method = HttpMethod::kDelete;
  } else {
    return refuse(405, "Method Not Allowed", "POST, GET, DELETE");
  }
  const std::pair<std::string_view, std::optional<std::string> HttpHead::*> wanted[] = {
      {"MCP-Protocol-Version", &HttpHead::protocol_version},
      {"Mcp-Method", &HttpHead::mcp_method},
      {"Mcp-Name", &HttpHead::mcp_name},
      {"Mcp-Session-Id", &HttpHead::session_id},
      {"Last-Event-ID", &HttpHead::last_event_id},
  };
  for (const auto& [name, place] : wanted) {
    auto value = single(fields, name);
    if (!value) return tl::unexpected(value.error());
    head.*place = *std::move(value);
  }
  // Before Accept: a modern client that tries GET is to hear that there is none.
  if (head.method != HttpMethod::kPost) {
    if (auto route = route_stream(head); !route) return tl::unexpected(route.error());
  }
  if (auto content = check_content(head.method, fields); !content) return tl::unexpected(content.error());
  return head;
}

HttpResult<void> route_stream(const HttpHead& head) {
  if (head.method == HttpMethod::kPost || head.session_id) return {};
  return refuse(405, "Method Not Allowed: GET and DELETE need an Mcp-Session-Id", "POST");
}

HttpResult<HttpRoute> route_post(const HttpHead& head, const Message& message) {
  if (const auto* malformed = std::get_if<Malformed>(&message)) return refuse(400, malformed->error, malformed->id);
  if (const auto* request = std::get_if<Request>(&message)) return route_request(head, *request);
  if (const auto* notification = std::get_if<Notification>(&message)) return route_notification(head, *notification);
  // A response: only a session could have asked for it.
  if (!head.session_id) return refuse(400, "this server asks nothing of clients without a session");
  return HttpRoute::kSession;
}

HttpRefusal session_not_found(const Message* message) {
  const auto* request = message ? std::get_if<Request>(message) : nullptr;
  const auto id = request ? std::optional<RequestId>(request->id) : std::nullopt;
  return HttpRefusal{404, write_error(id, RpcError{rpc::kInvalidRequest, "Session not found: initialize again"}), {}};
}

HttpRefusal message_too_large() {
  return HttpRefusal{413, write_error(std::nullopt, RpcError{rpc::kInvalidRequest, "the message is too large"}), {}};
}

std::optional<std::string> decode_header_value(std::string_view value) {
  constexpr std::string_view kBefore = "=?base64?";
  constexpr std::string_view kAfter = "?=";
  const bool encoded =
      value.size() >= kBefore.size() + kAfter.size() && value.starts_with(kBefore) && value.ends_with(kAfter);
  if (!encoded) return std::string(value);
  value.remove_prefix(kBefore.size());
  value.remove_suffix(kAfter.size());
  auto decoded = base64_decode(value);
  if (!decoded || !is_utf8(*decoded)) return std::nullopt;
  return decoded;
}

}  // namespace sluice::mcp

#include "mcp/server_session.h"

#include <utility>

#include "mcp/meta.h"
#include "mcp/operation_parse.h"
#include "mcp/shape.h"

namespace sluice::mcp {
namespace {

// Only the modern era has these, so a request for one without `_meta` is a modern request that forgot it.
bool is_modern_only(std::string_view method) { return method == "server/discover" || method == "subscriptions/listen"; }

RpcError missing_version() {
  return RpcError{rpc::kInvalidParams, "_meta: " + std::string(meta::kProtocolVersion) + " is missing or not a string"};
}

std::string_view string_member(const Json& object, std::string_view key) {
  const Json* value = find_member(object, key);
  return value && value->is_string() ? std::string_view(value->get_ref<const std::string&>()) : "";
}

}  // namespace

Step ServerSession::feed(Message message) {
  if (auto* request = std::get_if<Request>(&message)) return on_request(std::move(*request));
  if (auto* notification = std::get_if<Notification>(&message)) return on_notification(*notification);
  if (auto* malformed = std::get_if<Malformed>(&message)) {
    if (malformed->is_notification && scope_ == Scope::kStdio) return {};
    Step step = refuse(malformed->id, malformed->error, Era::kModern);
    step.answer->http_status = 400;  // either era: nothing was understood
    return step;
  }
  return {};  // a response: Sluice asked nothing
}

Step ServerSession::on_request(Request request) {
  const Claim claim = read_claim(request.params);
  const bool modern = claim != Claim::kNone || scope_ == Scope::kModernHttp;
  if (by_id_.contains(request.id)) {
    // A10: two answers for one id could be taken for each other.
    return refuse(request.id, RpcError{rpc::kInvalidRequest, "this id is already in flight"},
                  modern ? Era::kModern : Era::kLegacy);
  }
  if (claim == Claim::kMalformed) return refuse(request.id, missing_version(), Era::kModern);
  const std::string version(claimed_version(request.params));
  if (claim == Claim::kModern) return on_modern(std::move(request), version);
  if (scope_ == Scope::kModernHttp || (!revision_ && is_modern_only(request.method))) {
    return refuse(request.id, version.empty() ? missing_version() : unsupported_version(version), Era::kModern);
  }
  if (!version.empty() && !revision_ && request.method != "initialize") {
    // It names a version that begins with `initialize`, and did not begin.
    return refuse(request.id, unsupported_version(version), Era::kModern);
  }
  return on_legacy(std::move(request));
}

Step ServerSession::on_modern(Request request, std::string_view version) {
  if (scope_ == Scope::kLegacyHttp) {
    return refuse(request.id, RpcError{rpc::kInvalidRequest, "a modern request belongs to no session"}, Era::kModern);
  }
  const auto revision = find_revision(version);
  if (!revision) return refuse(request.id, unsupported_version(version), Era::kModern);
  RequestContext context;
  context.revision = *revision;
  if (const auto error = read_modern_meta(request.params, context)) return refuse(request.id, *error, Era::kModern);
  if (request.method == "server/discover") return discover(request);
  return begin(std::move(request), std::move(context));
}

Step ServerSession::on_legacy(Request request) {
  if (request.method == "initialize") return initialize(request);
  if (request.method == "ping") return Step{Answer{write_result(request.id, Json::object())}, {}, {}};
  if (!revision_) {
    return refuse(
        request.id,
        RpcError{rpc::kInvalidRequest, "send `initialize` first, or name a protocol version in the request's `_meta`"},
        Era::kLegacy);
  }
  if (request.method == "logging/setLevel" && profile_->capabilities.logging) return set_level(request);
  RequestContext context;
  context.revision = *revision_;
  context.client_info = client_info_;
  context.client_capabilities = client_capabilities_;
  context.log_level = log_level_;
  if (const auto error = read_common_meta(request.params, context)) return refuse(request.id, *error, Era::kLegacy);
  return begin(std::move(request), std::move(context));
}

Step ServerSession::initialize(const Request& request) {
  if (revision_) {
    return refuse(request.id, RpcError{rpc::kInvalidRequest, "this session is initialized already"}, Era::kLegacy);
  }
  const std::string_view asked = string_member(request.params, "protocolVersion");
  const Json* capabilities = find_member(request.params, "capabilities");
  const Json* info = find_member(request.params, "clientInfo");
  if (asked.empty() || (capabilities && !capabilities->is_object()) || (info && !info->is_object())) {
    return refuse(
        request.id,
        RpcError{rpc::kInvalidParams, "`protocolVersion` must be a string, `capabilities` and `clientInfo` objects"},
        Era::kLegacy);
  }
  const auto kept = capabilities ? keep_capabilities(*capabilities) : Json::object();
  if (!kept) return refuse(request.id, RpcError{rpc::kInvalidParams, "`capabilities` are too large"}, Era::kLegacy);
  client_capabilities_ = *kept;
  client_info_ = info ? keep_client_info(*info) : Json(nullptr);
  revision_ = negotiate(asked);

  Json result = Json::object();
  result["protocolVersion"] = to_string(*revision_);
  result["capabilities"] = write_capabilities(profile_->capabilities);
  result["serverInfo"] = fit_implementation(*revision_, profile_->server_info);
  if (!profile_->instructions.empty()) result["instructions"] = profile_->instructions;
  return Step{Answer{write_result(request.id, std::move(result))}, {}, {}};
}

Step ServerSession::set_level(const Request& request) {
  const std::string_view level = string_member(request.params, "level");
  if (!is_log_level(level)) {
    return refuse(request.id, RpcError{rpc::kInvalidParams, "`level` is not a log level"}, Era::kLegacy);
  }
  log_level_ = level;
  return Step{Answer{write_result(request.id, Json::object())}, {}, {}};
}

Step ServerSession::discover(const Request& request) const {
  Json versions = Json::array();
  // Only those that a request may name: a legacy one begins with `initialize`.
  for (const Revision revision : kRevisions) {
    if (era_of(revision) == Era::kModern) versions.push_back(to_string(revision));
  }
  Json result = Json::object();
  result["supportedVersions"] = std::move(versions);
  result["capabilities"] = write_capabilities(profile_->capabilities);
  if (!profile_->instructions.empty()) result["instructions"] = profile_->instructions;
  return Step{Answer{write_result(request.id, complete_modern(request.method, *profile_, std::move(result)))}, {}, {}};
}

Step ServerSession::begin(Request request, RequestContext context) {
  const Era era = context.era();
  if (operations_.size() >= profile_->max_in_flight) {
    return refuse(request.id,
                  RpcError{rpc::kInternalError,
                           "too many requests in flight: at most " + std::to_string(profile_->max_in_flight)},
                  era, Origin::kOutcome);
  }
  auto body = parse_operation(request.method, request.params, era, *profile_);
  if (!body) return refuse(request.id, body.error(), era, Origin::kOutcome);
  Running running;
  if (const auto error = prepare(request, *body, running)) {
    return refuse(request.id, *error, era, Origin::kOutcome);
  }
  if (context.wants_progress) running.progress_token = *find_meta(request.params, "progressToken");
  running.id = request.id;
  running.revision = context.revision;
  running.method = request.method;
  const OperationKey key{++last_key_};
  by_id_.emplace(request.id, key);
  operations_.emplace(key, std::move(running));
  Step step;
  step.operation =
      Operation{key, std::move(request.id), std::move(request.method), std::move(context), *std::move(body)};
  return step;
}

// What of an operation must be kept to write its answer.
std::optional<RpcError> ServerSession::prepare(const Request& request, const OperationBody& body,
                                               Running& running) const {
  if (const auto* subscribe = std::get_if<Subscribe>(&body)) running.uri = subscribe->uri;
  if (const auto* unsubscribe = std::get_if<Unsubscribe>(&body)) running.uri = unsubscribe->uri;
  if (const auto* listen = std::get_if<Listen>(&body)) running.filter = listen->filter;
  const Json* cursor = find_member(request.params, "cursor");
  if (!cursor || list_array(request.method).empty()) return std::nullopt;
  std::optional<std::uint32_t> offset;
  if (cursor->is_string()) {
    offset = parse_cursor(profile_->cursor_key, request.method, profile_->grant, cursor->get_ref<const std::string&>());
  }
  if (!offset) return RpcError{rpc::kInvalidParams, "`cursor` is not valid"};
  running.offset = *offset;
  return std::nullopt;
}

Step ServerSession::on_notification(const Notification& notification) {
  Step step;
  if (notification.method == "notifications/initialized") {
    initialized_ = revision_.has_value();
  } else if (notification.method == "notifications/cancelled" && scope_ != Scope::kModernHttp) {
    // An unknown or malformed id is ignored (MCP "Cancellation: Error Handling"). What answers at once, `initialize`
    // included, is never in this table.
    const Json* id = find_member(notification.params, "requestId");
    const auto wanted = id ? RequestId::from_json(*id) : std::nullopt;
    const auto found = wanted ? by_id_.find(*wanted) : by_id_.end();
    if (found != by_id_.end()) {
      step.cancelled.push_back(found->second);
      cancel(found->second);
    }
  } else if (!notification.method.starts_with("notifications/") && scope_ != Scope::kStdio) {
    // A25: a call without an id would run unseen. It never does; HTTP has a way to say so.
    step = refuse(std::nullopt, RpcError{rpc::kInvalidRequest, "a request needs an id"}, Era::kModern);
  }
  return step;
}

Step ServerSession::refuse(const std::optional<RequestId>& id, const RpcError& error, Era era, Origin origin) const {
  return Step{Answer{write_error(id, error), http_status(error.code, era, origin)}, {}, {}, error.code};
}

}  // namespace sluice::mcp

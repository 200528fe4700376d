#include "mcp/meta.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "mcp/revision.h"

namespace sluice::mcp {
namespace {

constexpr std::size_t kMaxNameUnits = 256;
constexpr std::size_t kMaxCapabilities = 16 * kKiB;
constexpr std::size_t kMaxTraceparent = 128;

RpcError invalid(std::string_view key, std::string_view problem) {
  return RpcError{rpc::kInvalidParams, "_meta: " + std::string(key) + " " + std::string(problem)};
}

const Json* member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool is_implementation(const Json& info) {
  const Json* name = member(info, "name");
  const Json* version = member(info, "version");
  return name && name->is_string() && version && version->is_string();
}

}  // namespace

const Json* find_meta(const Json& params, std::string_view key) {
  const Json* all = member(params, "_meta");
  return all ? member(*all, key) : nullptr;
}

Claim read_claim(const Json& params) {
  const Json* all = member(params, "_meta");
  if (all && !all->is_object()) return Claim::kMalformed;
  const Json* version = find_meta(params, meta::kProtocolVersion);
  if (!version) return Claim::kNone;
  if (!version->is_string()) return Claim::kMalformed;
  return claims_modern(version->get_ref<const std::string&>()) ? Claim::kModern : Claim::kNone;
}

std::string_view claimed_version(const Json& params) {
  const Json* version = find_meta(params, meta::kProtocolVersion);
  return version && version->is_string() ? std::string_view(version->get_ref<const std::string&>()) : "";
}

std::optional<RpcError> read_modern_meta(const Json& params, RequestContext& context) {
  const Json* capabilities = find_meta(params, meta::kClientCapabilities);
  if (!capabilities) return invalid(meta::kClientCapabilities, "is missing");
  if (!capabilities->is_object()) return invalid(meta::kClientCapabilities, "must be an object");
  context.client_capabilities = *capabilities;
  if (const Json* info = find_meta(params, meta::kClientInfo)) {
    if (!is_implementation(*info)) return invalid(meta::kClientInfo, "must have `name` and `version`, both strings");
    context.client_info = keep_client_info(*info);
  }
  if (const Json* level = find_meta(params, meta::kLogLevel)) {
    if (!level->is_string() || !is_log_level(level->get_ref<const std::string&>())) {
      return invalid(meta::kLogLevel, "is not a log level");
    }
    context.log_level = level->get<std::string>();
  }
  return read_common_meta(params, context);
}

std::optional<RpcError> read_common_meta(const Json& params, RequestContext& context) {
  if (const Json* token = find_meta(params, "progressToken")) {
    // The same shape as an id, and the same bound.
    if (!RequestId::from_json(*token)) return invalid("progressToken", "must be a short string or an integer");
    context.wants_progress = true;
  }
  const Json* trace = find_meta(params, "traceparent");
  if (trace && trace->is_string() && trace->get_ref<const std::string&>().size() <= kMaxTraceparent) {
    context.traceparent = trace->get<std::string>();
  }
  return std::nullopt;
}

bool is_log_level(std::string_view level) {
  static constexpr std::array<std::string_view, 8> kLevels = {"debug", "info",     "notice", "warning",
                                                              "error", "critical", "alert",  "emergency"};
  return std::find(kLevels.begin(), kLevels.end(), level) != kLevels.end();
}

Json keep_client_info(const Json& info) {
  if (!info.is_object()) return nullptr;
  Json kept = Json::object();
  for (const char* key : {"name", "version", "title"}) {
    if (const Json* value = member(info, key); value && value->is_string()) {
      kept[key] = utf16_prefix(value->get_ref<const std::string&>(), kMaxNameUnits);
    }
  }
  return kept;
}

std::optional<Json> keep_capabilities(const Json& capabilities) {
  if (dump_json(capabilities).size() > kMaxCapabilities) return std::nullopt;
  return capabilities;
}

}  // namespace sluice::mcp

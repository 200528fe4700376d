#include "gateway/era_messages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "mcp/revision.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kPrefix = "io.modelcontextprotocol/";
constexpr const char* kTasks = "io.modelcontextprotocol/tasks";
constexpr std::string_view kWrapped = "#/properties/result";

// A pointer into the schema leads into the schema inside its wrapper (RFC 6901 in a fragment).
void move_references(Json& schema) {
  if (Json* reference = member_of(schema, "$ref"); reference && reference->is_string()) {
    const std::string& target = reference->get_ref<const std::string&>();
    if (target == "#" || target.starts_with("#/")) *reference = std::string(kWrapped) + target.substr(1);
  }
  if (!schema.is_structured()) return;
  for (Json& part : schema) move_references(part);
}

}  // namespace

Json* member_of(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

const Json* meta_member(const Json& params, std::string_view key) {
  const Json* meta = find_member(params, "_meta");
  return meta ? find_member(*meta, key) : nullptr;
}

void drop_protocol_meta(Json& object) {
  Json* meta = member_of(object, "_meta");
  if (!meta || !meta->is_object()) return;
  Json kept = Json::object();
  for (auto& [key, value] : meta->get_ref<Json::object_t&>()) {
    if (!key.starts_with(kPrefix)) kept[key] = std::move(value);
  }
  if (kept.empty()) {
    object.erase("_meta");
  } else {
    *meta = std::move(kept);
  }
}

std::optional<int> rank_of_level(const Json& level) {
  static constexpr std::array<std::string_view, 8> kLevels = {"debug", "info",     "notice", "warning",
                                                              "error", "critical", "alert",  "emergency"};
  if (!level.is_string()) return std::nullopt;
  const auto found = std::find(kLevels.begin(), kLevels.end(), level.get_ref<const std::string&>());
  if (found == kLevels.end()) return std::nullopt;
  return static_cast<int>(found - kLevels.begin());
}

bool may_need_input(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

bool is_cacheable(std::string_view method) {
  return method == "tools/list" || method == "prompts/list" || method == "resources/list" ||
         method == "resources/templates/list" || method == "resources/read" || method == "server/discover";
}

bool is_task_method(std::string_view method) {
  return method.starts_with("tasks/") || method.starts_with("notifications/tasks");
}

bool is_removed(std::string_view method) {
  return method == "initialize" || method == "ping" || method == "logging/setLevel" ||
         method == "resources/subscribe" || method == "resources/unsubscribe";
}

bool is_part_of_resource(std::string_view uri, std::string_view whole) {
  if (!uri.starts_with(whole)) return false;
  return uri.size() == whole.size() || whole.ends_with('/') ||
         std::string_view("/?#").find(uri[whole.size()]) != std::string_view::npos;
}

std::optional<Json> missing_capability(const Json& capabilities, std::string_view method, const Json& params) {
  if (method == "sampling/createMessage") {
    const Json* sampling = find_member(capabilities, "sampling");
    if (!sampling) return Json{{"sampling", Json::object()}};
    const bool tools = find_member(params, "tools") || find_member(params, "toolChoice");
    if (tools && !find_member(*sampling, "tools")) return Json{{"sampling", {{"tools", Json::object()}}}};
    return std::nullopt;
  }
  if (method == "roots/list") {
    return find_member(capabilities, "roots") ? std::nullopt : std::optional(Json{{"roots", Json::object()}});
  }
  const Json* mode = find_member(params, "mode");
  const std::string wanted = mode && *mode == "url" ? "url" : "form";
  const Json* elicitation = find_member(capabilities, "elicitation");
  const bool form_alone = elicitation && elicitation->is_object() && elicitation->empty();
  if (elicitation && (form_alone ? wanted == "form" : find_member(*elicitation, wanted) != nullptr)) {
    return std::nullopt;
  }
  return Json{{"elicitation", {{wanted, Json::object()}}}};
}

Json without_tasks(Json capabilities) {
  if (!capabilities.is_object()) return Json::object();
  capabilities.erase("tasks");
  if (Json* extensions = member_of(capabilities, "extensions"); extensions && extensions->is_object()) {
    extensions->erase(kTasks);
    if (extensions->empty()) capabilities.erase("extensions");
  }
  return capabilities;
}

std::optional<Json> tool_without_tasks(Json tool) {
  Json* execution = member_of(tool, "execution");
  if (!execution || !execution->is_object()) return tool;
  const Json* support = find_member(*execution, "taskSupport");
  if (support && *support == "required") return std::nullopt;
  execution->erase("taskSupport");
  if (execution->empty()) tool.erase("execution");
  return tool;
}

Json discover_result(const Json& initialized) {
  Json result = Json::object();
  result["resultType"] = "complete";
  result["supportedVersions"] = Json::array({era::kModern});
  const Json* capabilities = find_member(initialized, "capabilities");
  result["capabilities"] = capabilities ? without_tasks(*capabilities) : Json::object();
  if (const Json* text = find_member(initialized, "instructions")) result["instructions"] = *text;
  if (const Json* meta = find_member(initialized, "_meta"); meta && meta->is_object()) result["_meta"] = *meta;
  if (const Json* info = find_member(initialized, "serverInfo")) result["_meta"][std::string(era::kServerInfo)] = *info;
  make_modern_result("server/discover", result);
  return result;
}

void make_modern_result(std::string_view method, Json& result) {
  result["resultType"] = "complete";
  if (is_cacheable(method)) {
    result["ttlMs"] = 0;
    result["cacheScope"] = "private";
  }
  Json* tools = method == "tools/list" ? member_of(result, "tools") : nullptr;
  if (!tools || !tools->is_array()) return;
  Json kept = Json::array();
  for (Json& tool : *tools) {
    if (auto shown = tool_without_tasks(std::move(tool))) kept.push_back(*std::move(shown));
  }
  *tools = std::move(kept);
}

void make_modern_error(Json& error) {
  if (error["code"] == mcp::rpc::kResourceNotFound) error["code"] = mcp::rpc::kInvalidParams;
}

Json url_inputs(const Json& error) {
  constexpr std::size_t kMost = 16;
  Json inputs = Json::object();
  const Json* data = find_member(error, "data");
  const Json* wanted = data ? find_member(*data, "elicitations") : nullptr;
  if (!wanted || !wanted->is_array()) return inputs;
  for (const Json& one : *wanted) {
    const Json* url = find_member(one, "url");
    if (!url || !url->is_string() || inputs.size() == kMost) continue;
    Json params = one;
    params.erase("elicitationId");
    params["mode"] = "url";
    inputs["url" + std::to_string(inputs.size() + 1)] = {{"method", "elicitation/create"},
                                                         {"params", std::move(params)}};
  }
  return inputs;
}

Json initialize_result(const Json& discovered, const Json& asked_version) {
  Json result = Json::object();
  const std::string asked = asked_version.is_string() ? asked_version.get<std::string>() : "";
  result["protocolVersion"] = mcp::to_string(mcp::negotiate(asked));
  const Json* capabilities = find_member(discovered, "capabilities");
  result["capabilities"] = capabilities ? without_tasks(*capabilities) : Json::object();
  const Json* info = meta_member(discovered, era::kServerInfo);
  result["serverInfo"] = info ? *info : Json{{"name", "unknown"}, {"version", "0"}};
  if (const Json* text = find_member(discovered, "instructions")) result["instructions"] = *text;
  return result;
}

void make_legacy_result(Json& result, bool wrap) {
  for (const char* name : {"resultType", "ttlMs", "cacheScope"}) result.erase(name);
  drop_protocol_meta(result);
  Json* content = member_of(result, "structuredContent");
  if (!content || (content->is_object() && !wrap)) return;
  Json wrapped = Json::object();
  wrapped["result"] = std::move(*content);
  *content = std::move(wrapped);
}

bool is_object_schema(const Json& schema) {
  const Json* type = find_member(schema, "type");
  return type && *type == "object";
}

Json wrap_schema(Json schema) {
  Json outer = Json::object();
  if (const Json* dialect = find_member(schema, "$schema")) outer["$schema"] = *dialect;
  if (schema.is_object()) schema.erase("$schema");
  // One with an address of its own keeps its references: they are resolved against that.
  if (!find_member(schema, "$id")) move_references(schema);
  outer["type"] = "object";
  outer["properties"]["result"] = std::move(schema);
  outer["required"] = Json::array({"result"});
  return outer;
}

}  // namespace sluice::gateway

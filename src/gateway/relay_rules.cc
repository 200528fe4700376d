#include "gateway/relay_rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kMetaPrefix = "io.modelcontextprotocol/";
constexpr std::string_view kVersion = "io.modelcontextprotocol/protocolVersion";
constexpr std::string_view kCapabilities = "io.modelcontextprotocol/clientCapabilities";

constexpr const char* kTasks = "io.modelcontextprotocol/tasks";

Json* member(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : &*found;
}

const Json* meta_of(const Json& params, std::string_view key) {
  const Json* meta = find_member(params, "_meta");
  return meta ? find_member(*meta, key) : nullptr;
}

}  // namespace

std::string_view governing_method(std::string_view method) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kGoverning{{
      {"resources/unsubscribe", "resources/subscribe"},
      {"notifications/resources/updated", "resources/subscribe"},
      {"notifications/resources/list_changed", "resources/list"},
      {"notifications/prompts/list_changed", "prompts/list"},
      {"notifications/roots/list_changed", "roots/list"},
      {"notifications/message", "logging/setLevel"},
      {"notifications/elicitation/complete", "elicitation/create"},
      {"notifications/tools/list_changed", "tools/list"},
  }};
  for (const auto& [name, governing] : kGoverning) {
    if (name == method) return governing;
  }
  return method == "notifications/subscriptions/acknowledged" ? "subscriptions/listen" : method;
}

bool is_plain(std::string_view method) {
  return method == "initialize" || method == "ping" || method == "server/discover" ||
         method == "subscriptions/listen" || method == "resources/list" || method == "resources/templates/list" ||
         method == "prompts/list";
}

void close_client_capabilities(Json& capabilities, const IsOpen& is_open) {
  if (!capabilities.is_object()) return;
  if (!is_open("sampling/createMessage")) capabilities.erase("sampling");
  if (!is_open("elicitation/create")) capabilities.erase("elicitation");
  if (!is_open("roots/list")) capabilities.erase("roots");
  if (!is_open("tasks/get")) capabilities.erase("tasks");
}

void close_server_capabilities(Json& capabilities, const IsOpen& is_open) {
  if (!capabilities.is_object()) return;
  const bool resources = is_open("resources/list") || is_open("resources/read") || is_open("resources/templates/list");
  if (!resources) capabilities.erase("resources");
  if (Json* kept = member(capabilities, "resources"); kept && kept->is_object() && !is_open("resources/subscribe")) {
    kept->erase("subscribe");
  }
  if (!is_open("prompts/list") && !is_open("prompts/get")) capabilities.erase("prompts");
  if (!is_open("completion/complete")) capabilities.erase("completions");
  if (!is_open("logging/setLevel")) capabilities.erase("logging");
  if (!is_open("experimental")) capabilities.erase("experimental");
  const Json* extensions = is_open("extensions") ? nullptr : member(capabilities, "extensions");
  if (!extensions) return;
  // Tasks are as open as the calls that make them.
  const Json* tasks = find_member(*extensions, kTasks);
  Json kept = tasks ? Json{{kTasks, *tasks}} : Json(nullptr);
  capabilities.erase("extensions");
  if (tasks) capabilities["extensions"] = std::move(kept);
}

bool offers_tasks(const Json& capabilities) {
  const Json* extensions = find_member(capabilities, "extensions");
  return find_member(capabilities, "tasks") || (extensions && find_member(*extensions, kTasks));
}

void close_request(std::string_view method, Json& params, const IsOpen& is_open) {
  if (method == "initialize") {
    if (Json* capabilities = member(params, "capabilities")) close_client_capabilities(*capabilities, is_open);
  }
  if (Json* meta = member(params, "_meta")) {
    if (Json* capabilities = member(*meta, kCapabilities)) close_client_capabilities(*capabilities, is_open);
  }
  if (method != "subscriptions/listen") return;
  Json* wanted = member(params, "notifications");
  if (!wanted || !wanted->is_object()) return;
  if (!is_open("prompts/list")) wanted->erase("promptsListChanged");
  if (!is_open("resources/list")) wanted->erase("resourcesListChanged");
  if (!is_open("resources/subscribe")) wanted->erase("resourceSubscriptions");
}

std::string subject_of(std::string_view method, const Json& params) {
  const Json* holder = &params;
  if (method == "completion/complete") holder = find_member(params, "ref");
  for (const char* key : {"name", "uri", "taskId"}) {
    const Json* value = holder ? find_member(*holder, key) : nullptr;
    if (value && value->is_string()) return repair_utf8(value->get_ref<const std::string&>()).substr(0, 2'048);
  }
  return "";
}

Json connection_meta(const Json& params) {
  const Json* all = find_member(params, "_meta");
  if (!all || !all->is_object()) return nullptr;
  Json kept = Json::object();
  for (const auto& [key, value] : all->items()) {
    if (key.starts_with(kMetaPrefix)) kept[key] = value;
  }
  return kept.empty() ? Json(nullptr) : kept;
}

bool is_modern_request(const Json& params) { return meta_of(params, kVersion) != nullptr; }

namespace {

bool has_form(const Json* capabilities) {
  const Json* elicitation = capabilities ? find_member(*capabilities, "elicitation") : nullptr;
  return elicitation && elicitation->is_object() && (elicitation->empty() || elicitation->contains("form"));
}

}  // namespace

bool asks_by_form(const Json& params) {
  return has_form(is_modern_request(params) ? meta_of(params, kCapabilities) : nullptr);
}

bool offers_form(const Json& params) { return has_form(find_member(params, "capabilities")); }

Json without_header_marks(Json schema) {
  if (schema.is_object()) schema.erase("x-mcp-header");
  if (schema.is_structured()) {
    for (Json& part : schema) part = without_header_marks(std::move(part));
  }
  return schema;
}

std::optional<std::string> closed_input(const Json& result, const IsOpen& is_open) {
  const Json* type = find_member(result, "resultType");
  const Json* asked = find_member(result, "inputRequests");
  if (!type || *type != "input_required" || !asked || !asked->is_structured()) return std::nullopt;
  for (const Json& one : *asked) {
    const Json* method = find_member(one, "method");
    const std::string name = method && method->is_string() ? method->get<std::string>() : "";
    if (!is_open(name)) return name;
  }
  return std::nullopt;
}

Json task_as_result(const Json& state) {
  const Json* asked = find_member(state, "inputRequests");
  return asked ? Json{{"resultType", "input_required"}, {"inputRequests", *asked}} : Json::object();
}

}  // namespace sluice::gateway

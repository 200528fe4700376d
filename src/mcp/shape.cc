#include "mcp/shape.h"

#include "mcp/meta.h"

namespace sluice::mcp {
namespace {

void fit_item(Revision revision, Json& item) {
  if (!item.is_object()) return;
  if (revision < Revision::k2025_11_25) {
    item.erase("icons");
    item.erase("execution");
  }
  if (revision < Revision::k2025_06_18) {
    item.erase("title");
    item.erase("outputSchema");
    item.erase("_meta");
  }
}

// 2025-03-26 knows text, image, audio and embedded resources only.
void fit_content(Json& content) {
  const Json* type = find_member(content, "type");
  if (!type || *type != "resource_link") return;
  const Json* uri = find_member(content, "uri");
  Json text = Json::object();
  text["type"] = "text";
  text["text"] = uri && uri->is_string() ? *uri : Json("");
  content = std::move(text);
}

const CacheHint* hint_of(std::string_view method, const ServerProfile& profile) {
  if (method == "server/discover") return &profile.discover_cache;
  if (method == "resources/read") return &profile.read_cache;
  return list_array(method).empty() ? nullptr : &profile.list_cache;
}

}  // namespace

std::string_view list_array(std::string_view method) {
  if (method == "tools/list") return "tools";
  if (method == "resources/list") return "resources";
  if (method == "resources/templates/list") return "resourceTemplates";
  if (method == "prompts/list") return "prompts";
  return {};
}

Json fit_result(std::string_view method, Revision revision, Json result) {
  if (era_of(revision) == Era::kModern) return result;
  for (const char* modern : {"resultType", "ttlMs", "cacheScope"}) result.erase(modern);
  if (const std::string_view name = list_array(method); !name.empty()) {
    if (const auto list = result.find(std::string(name)); list != result.end() && list->is_array()) {
      for (Json& item : *list) fit_item(revision, item);
    }
  }
  if (revision < Revision::k2025_06_18 && method == "tools/call") {
    result.erase("structuredContent");
    if (const auto content = result.find("content"); content != result.end() && content->is_array()) {
      for (Json& item : *content) fit_content(item);
    }
  }
  return result;
}

Json fit_implementation(Revision revision, Json info) {
  if (!info.is_object()) return Json::object();
  if (revision < Revision::k2025_06_18) info.erase("title");
  if (revision < Revision::k2025_11_25) {
    for (const char* later : {"icons", "description", "websiteUrl"}) info.erase(later);
  }
  return info;
}

Json write_capabilities(const Capabilities& capabilities) {
  Json out = Json::object();
  if (capabilities.tools) {
    Json& tools = out["tools"] = Json::object();
    if (capabilities.tools_list_changed) tools["listChanged"] = true;
  }
  if (capabilities.resources) {
    Json& resources = out["resources"] = Json::object();
    if (capabilities.resources_subscribe) resources["subscribe"] = true;
    if (capabilities.resources_list_changed) resources["listChanged"] = true;
  }
  if (capabilities.prompts) {
    Json& prompts = out["prompts"] = Json::object();
    if (capabilities.prompts_list_changed) prompts["listChanged"] = true;
  }
  if (capabilities.completions) out["completions"] = Json::object();
  if (capabilities.logging) out["logging"] = Json::object();
  return out;
}

Json complete_modern(std::string_view method, const ServerProfile& profile, Json result) {
  if (!result.contains("resultType")) result["resultType"] = "complete";
  if (const CacheHint* hint = hint_of(method, profile); hint && result["resultType"] == "complete") {
    if (!result.contains("ttlMs")) result["ttlMs"] = hint->ttl.count();
    if (!result.contains("cacheScope")) result["cacheScope"] = hint->shared ? "public" : "private";
  }
  Json& meta = result["_meta"];
  if (!meta.is_object()) meta = Json::object();
  if (!meta.contains(meta::kServerInfo)) meta[std::string(meta::kServerInfo)] = profile.server_info;
  return result;
}

}  // namespace sluice::mcp

#include "mcp/operation_parse.h"

#include <algorithm>
#include <array>
#include <set>

#include "mcp/error_map.h"

namespace sluice::mcp {
namespace {

// Kept for as long as the subscription lives.
constexpr std::size_t kMaxUri = 2 * kKiB;

template <class T>
using Parsed = tl::expected<T, RpcError>;

tl::unexpected<RpcError> invalid(std::string message) {
  return tl::unexpected(RpcError{rpc::kInvalidParams, std::move(message)});
}

Json* member(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  for (auto& [name, value] : object.get_ref<Json::object_t&>()) {
    if (name == key) return &value;
  }
  return nullptr;
}

Parsed<std::string> take_string(Json& params, std::string_view key) {
  Json* value = member(params, key);
  if (!value || !value->is_string()) return invalid("`" + std::string(key) + "` must be a string");
  return std::move(value->get_ref<std::string&>());
}

Parsed<Json> take_object(Json& params, std::string_view key) {
  Json* value = member(params, key);
  if (!value) return Json::object();
  if (!value->is_object()) return invalid("`" + std::string(key) + "` must be an object");
  return std::move(*value);
}

Parsed<Json> take_strings(Json& params, std::string_view key) {
  auto object = take_object(params, key);
  if (!object) return object;
  for (const auto& [name, value] : object->get_ref<const Json::object_t&>()) {
    if (!value.is_string()) return invalid("`" + std::string(key) + "` must hold strings only");
  }
  return object;
}

Parsed<std::string> take_uri(Json& params) {
  auto uri = take_string(params, "uri");
  if (uri && (uri->empty() || uri->size() > kMaxUri)) return invalid("`uri` is empty or longer than 2048 octets");
  return uri;
}

// 2026-07-28, multi round-trip requests; an older client's members of these names mean nothing.
Parsed<Retry> take_retry(Json& params, Era era) {
  Retry retry;
  if (era == Era::kLegacy) return retry;
  if (member(params, "inputResponses")) {
    auto responses = take_object(params, "inputResponses");
    if (!responses) return tl::unexpected(responses.error());
    retry.input_responses = *std::move(responses);
  }
  if (member(params, "requestState")) {
    auto state = take_string(params, "requestState");
    if (!state) return tl::unexpected(state.error());
    retry.request_state = *std::move(state);
  }
  return retry;
}

Parsed<OperationBody> call_tool(Json& params, Era era, const ServerProfile&) {
  auto name = take_string(params, "name");
  if (!name) return tl::unexpected(name.error());
  auto arguments = take_object(params, "arguments");
  if (!arguments) return tl::unexpected(arguments.error());
  auto retry = take_retry(params, era);
  if (!retry) return tl::unexpected(retry.error());
  return CallTool{*std::move(name), *std::move(arguments), *std::move(retry)};
}

Parsed<OperationBody> get_prompt(Json& params, Era era, const ServerProfile&) {
  auto name = take_string(params, "name");
  if (!name) return tl::unexpected(name.error());
  auto arguments = take_strings(params, "arguments");
  if (!arguments) return tl::unexpected(arguments.error());
  auto retry = take_retry(params, era);
  if (!retry) return tl::unexpected(retry.error());
  return GetPrompt{*std::move(name), *std::move(arguments), *std::move(retry)};
}

Parsed<OperationBody> read_resource(Json& params, Era era, const ServerProfile&) {
  auto uri = take_uri(params);
  if (!uri) return tl::unexpected(uri.error());
  auto retry = take_retry(params, era);
  if (!retry) return tl::unexpected(retry.error());
  return ReadResource{*std::move(uri), *std::move(retry)};
}

Parsed<OperationBody> complete(Json& params, Era, const ServerProfile&) {
  Complete body;
  Json* ref = member(params, "ref");
  Json* argument = member(params, "argument");
  if (!ref || !ref->is_object() || !argument || !argument->is_object()) {
    return invalid("`ref` and `argument` must be objects");
  }
  const Json* type = member(*ref, "type");
  const bool prompt = type && *type == "ref/prompt";
  if (!prompt && !(type && *type == "ref/resource")) return invalid("`ref.type` is `ref/prompt` or `ref/resource`");
  body.of = prompt ? Complete::Of::kPrompt : Complete::Of::kResourceTemplate;
  auto target = take_string(*ref, prompt ? "name" : "uri");
  if (!target) return tl::unexpected(target.error());
  auto name = take_string(*argument, "name");
  if (!name) return tl::unexpected(name.error());
  auto value = take_string(*argument, "value");
  if (!value) return tl::unexpected(value.error());
  auto outer = take_object(params, "context");
  if (!outer) return tl::unexpected(outer.error());
  auto context = take_strings(*outer, "arguments");
  if (!context) return tl::unexpected(context.error());
  body.target = *std::move(target);
  body.argument = *std::move(name);
  body.value = *std::move(value);
  body.context = *std::move(context);
  return body;
}

Parsed<OperationBody> subscribe(Json& params, Era, const ServerProfile&) {
  auto uri = take_uri(params);
  if (!uri) return tl::unexpected(uri.error());
  return Subscribe{*std::move(uri)};
}

Parsed<OperationBody> unsubscribe(Json& params, Era, const ServerProfile&) {
  auto uri = take_uri(params);
  if (!uri) return tl::unexpected(uri.error());
  return Unsubscribe{*std::move(uri)};
}

Parsed<bool> take_flag(Json& filter, std::string_view key) {
  const Json* value = member(filter, key);
  if (!value) return false;
  if (!value->is_boolean()) return invalid("`notifications." + std::string(key) + "` must be a boolean");
  return value->get<bool>();
}

Parsed<std::vector<std::string>> take_uris(Json& filter, std::size_t most) {
  Json* list = member(filter, "resourceSubscriptions");
  if (!list) return std::vector<std::string>{};
  if (!list->is_array()) return invalid("`notifications.resourceSubscriptions` must be an array of strings");
  if (list->size() > most) return invalid("more than " + std::to_string(most) + " resource subscriptions");
  std::set<std::string> uris;
  for (const Json& uri : *list) {
    if (!uri.is_string() || uri.get_ref<const std::string&>().size() > kMaxUri) {
      return invalid("`notifications.resourceSubscriptions` holds URIs of at most 2048 octets");
    }
    uris.insert(uri.get<std::string>());
  }
  return std::vector<std::string>(uris.begin(), uris.end());
}

Parsed<OperationBody> listen(Json& params, Era, const ServerProfile& profile) {
  Json* wanted = member(params, "notifications");
  if (!wanted || !wanted->is_object()) return invalid("`notifications` must be an object");
  auto tools = take_flag(*wanted, "toolsListChanged");
  if (!tools) return tl::unexpected(tools.error());
  auto prompts = take_flag(*wanted, "promptsListChanged");
  if (!prompts) return tl::unexpected(prompts.error());
  auto resources = take_flag(*wanted, "resourcesListChanged");
  if (!resources) return tl::unexpected(resources.error());
  auto uris = take_uris(*wanted, profile.max_subscriptions);
  if (!uris) return tl::unexpected(uris.error());
  const Capabilities& have = profile.capabilities;
  SubscriptionFilter filter;
  filter.tools_list_changed = *tools && have.tools && have.tools_list_changed;
  filter.prompts_list_changed = *prompts && have.prompts && have.prompts_list_changed;
  filter.resources_list_changed = *resources && have.resources && have.resources_list_changed;
  if (have.resources && have.resources_subscribe) filter.resources = *std::move(uris);
  return Listen{std::move(filter)};
}

template <class T>
Parsed<OperationBody> bare(Json&, Era, const ServerProfile&) {
  return T{};
}

enum class Eras { kBoth, kLegacy, kModern };
struct Method {
  std::string_view name;
  Eras eras;
  bool (*offered)(const Capabilities&);
  Parsed<OperationBody> (*parse)(Json& params, Era era, const ServerProfile& profile);
};

bool has_tools(const Capabilities& c) { return c.tools; }
bool has_resources(const Capabilities& c) { return c.resources; }
bool has_subscribe(const Capabilities& c) { return c.resources && c.resources_subscribe; }
bool has_prompts(const Capabilities& c) { return c.prompts; }
bool has_completions(const Capabilities& c) { return c.completions; }
bool always(const Capabilities&) { return true; }

constexpr std::array kMethods = {
    Method{"tools/list", Eras::kBoth, has_tools, bare<ListTools>},
    Method{"tools/call", Eras::kBoth, has_tools, call_tool},
    Method{"resources/list", Eras::kBoth, has_resources, bare<ListResources>},
    Method{"resources/templates/list", Eras::kBoth, has_resources, bare<ListResourceTemplates>},
    Method{"resources/read", Eras::kBoth, has_resources, read_resource},
    Method{"resources/subscribe", Eras::kLegacy, has_subscribe, subscribe},
    Method{"resources/unsubscribe", Eras::kLegacy, has_subscribe, unsubscribe},
    Method{"prompts/list", Eras::kBoth, has_prompts, bare<ListPrompts>},
    Method{"prompts/get", Eras::kBoth, has_prompts, get_prompt},
    Method{"completion/complete", Eras::kBoth, has_completions, complete},
    Method{"subscriptions/listen", Eras::kModern, always, listen},
};

bool exists_in(Eras eras, Era era) { return eras == Eras::kBoth || (eras == Eras::kLegacy) == (era == Era::kLegacy); }

}  // namespace

tl::expected<OperationBody, RpcError> parse_operation(std::string_view method, Json& params, Era era,
                                                      const ServerProfile& profile) {
  const auto found =
      std::find_if(kMethods.begin(), kMethods.end(), [&](const Method& known) { return known.name == method; });
  if (found == kMethods.end() || !exists_in(found->eras, era) || !found->offered(profile.capabilities)) {
    return tl::unexpected(method_not_found(method));
  }
  return found->parse(params, era, profile);
}

Json write_filter(const SubscriptionFilter& filter) {
  Json out = Json::object();
  if (filter.tools_list_changed) out["toolsListChanged"] = true;
  if (filter.prompts_list_changed) out["promptsListChanged"] = true;
  if (filter.resources_list_changed) out["resourcesListChanged"] = true;
  if (!filter.resources.empty()) out["resourceSubscriptions"] = filter.resources;
  return out;
}

SubscriptionFilter intersect(const SubscriptionFilter& a, const SubscriptionFilter& b) {
  SubscriptionFilter both;
  both.tools_list_changed = a.tools_list_changed && b.tools_list_changed;
  both.prompts_list_changed = a.prompts_list_changed && b.prompts_list_changed;
  both.resources_list_changed = a.resources_list_changed && b.resources_list_changed;
  for (const std::string& uri : a.resources) {
    if (std::find(b.resources.begin(), b.resources.end(), uri) != b.resources.end()) both.resources.push_back(uri);
  }
  return both;
}

}  // namespace sluice::mcp

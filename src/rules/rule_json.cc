#include "rules/rule_json.h"

#include <array>
#include <cmath>
#include <initializer_list>
#include <span>

#include "base/text.h"

namespace sluice::rules {
namespace {

// --- out ---

Json headers_json(const std::vector<std::pair<std::string, std::string>>& headers) {
  Json made = Json::object();
  for (const auto& [name, value] : headers) made[name] = value;
  return made;
}

Json transform_json(const Transform& transform) {
  Json made = Json::object();
  if (!transform.update_headers.empty()) {
    Json& edits = made["updateHeaders"] = Json::object();
    for (const auto& [name, value] : transform.update_headers) edits[name] = value ? Json(*value) : Json();
  }
  if (!transform.replace_method.empty()) made["replaceMethod"] = transform.replace_method;
  if (transform.replace_status) made["replaceStatus"] = *transform.replace_status;
  if (!transform.match_replace_body.empty()) {
    Json& pairs = made["matchReplaceBody"] = Json::array();
    for (const auto& [search, replacement] : transform.match_replace_body) {
      pairs.push_back(Json::array({search, replacement}));
    }
  }
  return made;
}

// --- in ---

std::string shown(std::string_view name) { return repair_utf8(name.substr(0, 64)); }

Status check_object(const Json& json, const std::string& member, std::span<const std::string_view> known) {
  if (!json.is_object()) return fail(Code::kInvalid, member + " must be an object");
  for (const auto& [key, value] : json.items()) {
    bool found = false;
    for (const std::string_view name : known) found = found || name == key;
    if (found) continue;
    std::string message = "unknown key \"" + shown(key) + "\" in " + member;
    if (const auto near = nearest(key, known)) message += "; did you mean \"" + *near + "\"?";
    return fail(Code::kInvalid, std::move(message));
  }
  return {};
}

Result<std::optional<std::string>> text_member(const Json& json, const std::string& member, std::string_view key) {
  const Json* value = find_member(json, key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return fail(Code::kInvalid, member + "." + std::string(key) + " must be a string");
  return std::optional(value->get<std::string>());
}

// Truncated to an integer (engine.md 8); the range is judged by compile_rule().
Result<std::optional<int>> status_member(const Json& json, const std::string& member, std::string_view key) {
  const Json* value = find_member(json, key);
  if (value == nullptr) return std::optional<int>();
  const std::string name = member + "." + std::string(key);
  if (!value->is_number()) return fail(Code::kInvalid, name + " must be a number");
  const double given = std::trunc(value->get<double>());
  if (!(given >= 0 && given <= 999)) return fail(Code::kInvalid, name + " must be from 200 to 599");
  return std::optional(static_cast<int>(given));
}

Result<HeaderEdits> edits_member(const Json& json, const std::string& member, std::string_view key, bool may_delete) {
  HeaderEdits edits;
  const Json* value = find_member(json, key);
  if (value == nullptr) return edits;
  const std::string name = member + "." + std::string(key);
  if (!value->is_object()) return fail(Code::kInvalid, name + " must be an object");
  for (const auto& [header, text] : value->items()) {
    if (text.is_string()) {
      edits.emplace_back(header, text.get<std::string>());
    } else if (text.is_null() && may_delete) {
      edits.emplace_back(header, std::nullopt);
    } else {
      return fail(Code::kInvalid, name + "." + shown(header) + " must be a string" + (may_delete ? " or null" : ""));
    }
  }
  return edits;
}

Result<std::vector<std::pair<std::string, std::string>>> headers_member(const Json& json, const std::string& member) {
  SLUICE_TRY(HeaderEdits edits, edits_member(json, member, "headers", false));
  std::vector<std::pair<std::string, std::string>> headers;
  headers.reserve(edits.size());
  for (auto& [name, value] : edits) headers.emplace_back(std::move(name), *std::move(value));
  return headers;
}

Status read_pairs(const Json& json, const std::string& member, Transform& into) {
  const Json* pairs = find_member(json, "matchReplaceBody");
  if (pairs == nullptr) return {};
  const std::string name = member + ".matchReplaceBody";
  if (!pairs->is_array()) return fail(Code::kInvalid, name + " must be an array of [search, replacement]");
  for (const Json& pair : *pairs) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return fail(Code::kInvalid, name + " must hold pairs of strings: [search, replacement]");
    }
    into.match_replace_body.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  return {};
}

enum class Side { kRequest, kResponse };

Result<std::optional<Transform>> transform_member(const Json& json, Side side) {
  static constexpr std::array<std::string_view, 3> kRequestKeys{"updateHeaders", "replaceMethod", "matchReplaceBody"};
  static constexpr std::array<std::string_view, 3> kResponseKeys{"updateHeaders", "replaceStatus", "matchReplaceBody"};
  const std::string_view key = side == Side::kRequest ? "transformRequest" : "transformResponse";
  const Json* value = find_member(json, key);
  if (value == nullptr) return std::optional<Transform>();
  const std::string member = "handler." + std::string(key);
  SLUICE_CHECK(check_object(*value, member, side == Side::kRequest ? kRequestKeys : kResponseKeys));
  Transform transform;
  SLUICE_TRY(transform.update_headers, edits_member(*value, member, "updateHeaders", true));
  SLUICE_TRY(const auto method, text_member(*value, member, "replaceMethod"));
  transform.replace_method = method.value_or("");
  SLUICE_TRY(transform.replace_status, status_member(*value, member, "replaceStatus"));
  SLUICE_CHECK(read_pairs(*value, member, transform));
  return std::optional(std::move(transform));
}

constexpr std::array<std::pair<std::string_view, HandlerType>, 4> kHandlerTypes{{
    {"passthrough", HandlerType::kPassthrough},
    {"mock", HandlerType::kMock},
    {"forward", HandlerType::kForward},
    {"drop", HandlerType::kDrop},
}};

Result<HandlerType> handler_type(const Json& json) {
  SLUICE_TRY(const auto text, text_member(json, "handler", "type"));
  for (const auto& [name, type] : kHandlerTypes) {
    if (text == name) return type;
  }
  return fail(Code::kInvalid, std::string("handler.type ") + (text ? "must be" : "is required:") +
                                  " passthrough, mock, forward or drop");
}

}  // namespace

std::string_view to_string(HandlerType type) {
  for (const auto& [name, value] : kHandlerTypes) {
    if (value == type) return name;
  }
  return "";
}

Json priority_json(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) <= kExact) return static_cast<std::int64_t>(value);
  return value;
}

Json to_json(const Matcher& matcher) {
  Json made = Json::object();
  const auto text = [&made](const char* key, const std::string& value) {
    if (!value.empty()) made[key] = value;
  };
  text("method", matcher.method);
  text("urlPattern", matcher.url_pattern);
  text("hostname", matcher.hostname);
  text("pathPattern", matcher.path_pattern);
  if (!matcher.headers.empty()) made["headers"] = headers_json(matcher.headers);
  text("bodyIncludes", matcher.body_includes);
  text("hostPattern", matcher.host_pattern);
  return made;
}

Json to_json(const Handler& handler) {
  Json made{{"type", std::string(to_string(handler.type))}};
  if (handler.status) made["status"] = *handler.status;
  if (handler.body) made["body"] = *handler.body;
  if (!handler.headers.empty()) made["headers"] = headers_json(handler.headers);
  if (!handler.forward_to.empty()) made["forwardTo"] = handler.forward_to;
  if (handler.transform_request) made["transformRequest"] = transform_json(*handler.transform_request);
  if (handler.transform_response) made["transformResponse"] = transform_json(*handler.transform_response);
  return made;
}

Json to_json(const Rule& rule) {
  Json made{{"priority", priority_json(rule.spec.priority)}, {"enabled", rule.spec.enabled},
            {"description", rule.spec.description},          {"matcher", to_json(rule.spec.matcher)},
            {"handler", to_json(rule.spec.handler)},         {"id", rule.id()},
            {"hitCount", rule.hits ? rule.hits->sum() : 0},  {"createdAt", rule.created_ms}};
  if (rule.spec.on_match == OnMatch::kContinue) made["on_match"] = "continue";
  return made;
}

Result<Matcher> matcher_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 7> kKeys{"method",  "urlPattern",   "hostname",   "pathPattern",
                                                         "headers", "bodyIncludes", "hostPattern"};
  SLUICE_CHECK(check_object(json, "matcher", kKeys));
  Matcher matcher;
  const auto text = [&json](std::string_view key, std::string& into) -> Status {
    SLUICE_TRY(auto value, text_member(json, "matcher", key));
    if (value) into = *std::move(value);
    return {};
  };
  SLUICE_CHECK(text("method", matcher.method));
  SLUICE_CHECK(text("urlPattern", matcher.url_pattern));
  SLUICE_CHECK(text("hostname", matcher.hostname));
  SLUICE_CHECK(text("pathPattern", matcher.path_pattern));
  SLUICE_TRY(matcher.headers, headers_member(json, "matcher"));
  SLUICE_CHECK(text("bodyIncludes", matcher.body_includes));
  SLUICE_CHECK(text("hostPattern", matcher.host_pattern));
  return matcher;
}

Result<Handler> handler_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 7> kKeys{
      "type", "status", "body", "headers", "forwardTo", "transformRequest", "transformResponse"};
  SLUICE_CHECK(check_object(json, "handler", kKeys));
  Handler handler;
  SLUICE_TRY(handler.type, handler_type(json));
  SLUICE_TRY(handler.status, status_member(json, "handler", "status"));
  SLUICE_TRY(handler.body, text_member(json, "handler", "body"));
  SLUICE_TRY(handler.headers, headers_member(json, "handler"));
  SLUICE_TRY(const auto forward_to, text_member(json, "handler", "forwardTo"));
  handler.forward_to = forward_to.value_or("");
  SLUICE_TRY(handler.transform_request, transform_member(json, Side::kRequest));
  SLUICE_TRY(handler.transform_response, transform_member(json, Side::kResponse));
  return handler;
}

Result<OnMatch> on_match_from_text(std::string_view text) {
  if (text == "stop") return OnMatch::kStop;
  if (text == "continue") return OnMatch::kContinue;
  return fail(Code::kInvalid, "on_match must be \"stop\" or \"continue\"");
}

}  // namespace sluice::rules

// The reading half of rule_json.h.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/text.h"
#include "rules/rule_json.h"

namespace sluice::rules {
namespace {

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

// Whole numbers from 0 to `most`; null and absent are `otherwise`.
Result<std::int64_t> count_member(const Json& json, const std::string& member, std::string_view key, std::int64_t most,
                                  std::int64_t otherwise) {
  const Json* value = find_member(json, key);
  if (value == nullptr) return otherwise;
  const std::string name = member + "." + std::string(key);
  if (!value->is_number()) return fail(Code::kInvalid, name + " must be a number");
  const double given = std::trunc(value->get<double>());
  if (!(given >= 0 && given <= static_cast<double>(most))) {
    return fail(Code::kInvalid, name + " must be from 0 to " + std::to_string(most));
  }
  return static_cast<std::int64_t>(given);
}

Result<Replacements> pairs_member(const Json& json, const std::string& member, std::string_view key) {
  Replacements made;
  const Json* pairs = find_member(json, key);
  if (pairs == nullptr) return made;
  const std::string name = member + "." + std::string(key);
  if (!pairs->is_array()) return fail(Code::kInvalid, name + " must be an array of [search, replacement]");
  for (const Json& pair : *pairs) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return fail(Code::kInvalid, name + " must hold pairs of strings: [search, replacement]");
    }
    made.emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  return made;
}

Result<JsonEdit> json_edit(const Json& json, const std::string& member) {
  static constexpr std::array<std::string_view, 3> kKeys{"op", "pointer", "value"};
  SLUICE_CHECK(check_object(json, member, kKeys));
  JsonEdit edit;
  SLUICE_TRY(const auto op, text_member(json, member, "op"));
  if (op != "set" && op != "remove") return fail(Code::kInvalid, member + ".op must be set or remove");
  edit.op = op == "set" ? JsonEdit::Op::kSet : JsonEdit::Op::kRemove;
  SLUICE_TRY(auto pointer, text_member(json, member, "pointer"));
  if (!pointer) return fail(Code::kInvalid, member + ".pointer is required: /a/0/b");
  edit.pointer = *std::move(pointer);
  if (edit.op == JsonEdit::Op::kRemove) return edit;
  if (!json.contains("value")) return fail(Code::kInvalid, member + ".value is required for set");
  edit.value = json["value"];  // null is a value here
  return edit;
}

Result<std::vector<JsonEdit>> json_edits_member(const Json& json, const std::string& member) {
  std::vector<JsonEdit> edits;
  const Json* value = find_member(json, "jsonEdits");
  if (value == nullptr) return edits;
  if (!value->is_array()) return fail(Code::kInvalid, member + ".jsonEdits must be an array of {op, pointer, value}");
  for (std::size_t i = 0; i < value->size(); ++i) {
    SLUICE_TRY(JsonEdit edit, json_edit((*value)[i], member + ".jsonEdits[" + std::to_string(i) + "]"));
    edits.push_back(std::move(edit));
  }
  return edits;
}

enum class Side { kRequest, kResponse };

Result<std::optional<Transform>> transform_member(const Json& json, Side side) {
  static constexpr std::array<std::string_view, 6> kRequestKeys{"updateHeaders",    "replaceMethod",    "setBody",
                                                                "matchReplaceBody", "regexReplaceBody", "jsonEdits"};
  static constexpr std::array<std::string_view, 6> kResponseKeys{"updateHeaders",    "replaceStatus",    "setBody",
                                                                 "matchReplaceBody", "regexReplaceBody", "jsonEdits"};
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
  SLUICE_TRY(transform.set_body, text_member(*value, member, "setBody"));
  SLUICE_TRY(transform.match_replace_body, pairs_member(*value, member, "matchReplaceBody"));
  SLUICE_TRY(transform.regex_replace_body, pairs_member(*value, member, "regexReplaceBody"));
  SLUICE_TRY(transform.json_edits, json_edits_member(*value, member));
  return std::optional(std::move(transform));
}

Result<std::optional<MessageTransform>> message_member(const Json& json) {
  static constexpr std::array<std::string_view, 2> kKeys{"direction", "regexReplace"};
  const Json* value = find_member(json, "transformMessage");
  if (value == nullptr) return std::optional<MessageTransform>();
  const std::string member = "handler.transformMessage";
  SLUICE_CHECK(check_object(*value, member, kKeys));
  MessageTransform transform;
  SLUICE_TRY(const auto direction, text_member(*value, member, "direction"));
  if (direction == "request") {
    transform.direction = MessageTransform::Direction::kRequest;
  } else if (direction == "response") {
    transform.direction = MessageTransform::Direction::kResponse;
  } else if (direction && direction != "both") {
    return fail(Code::kInvalid, member + ".direction must be request, response or both");
  }
  SLUICE_TRY(transform.regex_replace, pairs_member(*value, member, "regexReplace"));
  if (transform.regex_replace.empty()) return fail(Code::kInvalid, member + ".regexReplace is required");
  return std::optional(std::move(transform));
}

Result<std::optional<Throttle>> throttle_member(const Json& json) {
  static constexpr std::array<std::string_view, 2> kKeys{"requestBytesPerSecond", "responseBytesPerSecond"};
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  const Json* value = find_member(json, "throttle");
  if (value == nullptr) return std::optional<Throttle>();
  SLUICE_CHECK(check_object(*value, "handler.throttle", kKeys));
  SLUICE_TRY(const std::int64_t request, count_member(*value, "handler.throttle", kKeys[0], kMost, 0));
  SLUICE_TRY(const std::int64_t response, count_member(*value, "handler.throttle", kKeys[1], kMost, 0));
  if (request == 0 && response == 0) {
    return fail(Code::kInvalid, "handler.throttle needs requestBytesPerSecond or responseBytesPerSecond above 0");
  }
  return std::optional(Throttle{static_cast<std::uint64_t>(request), static_cast<std::uint64_t>(response)});
}

Result<HoldOn> hold_on_member(const Json& json) {
  SLUICE_TRY(const auto text, text_member(json, "handler", "holdOn"));
  if (!text || text == "request") return HoldOn::kRequest;
  if (text == "response") return HoldOn::kResponse;
  if (text == "both") return HoldOn::kBoth;
  return fail(Code::kInvalid, "handler.holdOn must be request, response or both");
}

Result<HandlerType> handler_type(const Json& json) {
  SLUICE_TRY(const auto text, text_member(json, "handler", "type"));
  if (text) {
    if (const auto type = handler_type_of(*text)) return *type;
  }
  return fail(Code::kInvalid, std::string("handler.type ") + (text ? "must be" : "is required:") +
                                  " passthrough, mock, forward, drop, abort, redirect, file, rewrite or hold");
}

}  // namespace

Result<Matcher> matcher_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 10> kKeys{"method",     "urlPattern",   "hostname",    "pathPattern",
                                                          "headers",    "bodyIncludes", "hostPattern", "protocol",
                                                          "statusCode", "phase"};
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
  SLUICE_CHECK(text("protocol", matcher.protocol));
  SLUICE_TRY(matcher.status_code, status_member(json, "matcher", "statusCode"));
  std::string phase;
  SLUICE_CHECK(text("phase", phase));
  if (!phase.empty() && phase != "response") {
    return fail(Code::kInvalid, "matcher.phase must be response: without it a rule is asked when the request is there");
  }
  matcher.at_answer = phase == "response";
  return matcher;
}

Result<Handler> handler_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 16> kKeys{"type",
                                                          "status",
                                                          "body",
                                                          "headers",
                                                          "forwardTo",
                                                          "location",
                                                          "path",
                                                          "urlPattern",
                                                          "replacement",
                                                          "holdOn",
                                                          "timeoutMs",
                                                          "delayMs",
                                                          "throttle",
                                                          "transformRequest",
                                                          "transformResponse",
                                                          "transformMessage"};
  SLUICE_CHECK(check_object(json, "handler", kKeys));
  Handler handler;
  SLUICE_TRY(handler.type, handler_type(json));
  SLUICE_TRY(handler.status, status_member(json, "handler", "status"));
  SLUICE_TRY(handler.body, text_member(json, "handler", "body"));
  SLUICE_TRY(handler.headers, headers_member(json, "handler"));
  SLUICE_TRY(const auto forward_to, text_member(json, "handler", "forwardTo"));
  handler.forward_to = forward_to.value_or("");
  const auto text = [&json](std::string_view key, std::string& into) -> Status {
    SLUICE_TRY(auto value, text_member(json, "handler", key));
    if (value) into = *std::move(value);
    return {};
  };
  SLUICE_CHECK(text("location", handler.location));
  SLUICE_CHECK(text("path", handler.path));
  SLUICE_CHECK(text("urlPattern", handler.url_pattern));
  SLUICE_CHECK(text("replacement", handler.replacement));
  SLUICE_TRY(handler.hold_on, hold_on_member(json));
  if (find_member(json, "timeoutMs")) {
    SLUICE_TRY(handler.timeout_ms, count_member(json, "handler", "timeoutMs", kLongestHold, 0));
  }
  SLUICE_TRY(handler.delay_ms, count_member(json, "handler", "delayMs", kLongestDelay, 0));
  SLUICE_TRY(handler.throttle, throttle_member(json));
  SLUICE_TRY(handler.transform_request, transform_member(json, Side::kRequest));
  SLUICE_TRY(handler.transform_response, transform_member(json, Side::kResponse));
  SLUICE_TRY(handler.transform_message, message_member(json));
  return handler;
}

Result<RuleSpec> spec_from_json(const Json& json) {
  static constexpr std::array<std::string_view, 10> kKeys{"description", "priority", "enabled", "matcher",    "handler",
                                                          "on_match",    "persist",  "grant",   "changed_by", "name"};
  SLUICE_CHECK(check_object(json, "rule", kKeys));
  const auto flag = [&json](const char* key, bool otherwise) {
    const Json* value = find_member(json, key);
    return value && value->is_boolean() ? value->get<bool>() : otherwise;
  };
  RuleSpec spec;
  SLUICE_TRY(const auto description, text_member(json, "rule", "description"));
  spec.description = description.value_or("");
  if (const Json* priority = find_member(json, "priority")) {
    if (!priority->is_number()) return fail(Code::kInvalid, "rule.priority must be a number");
    spec.priority = priority->get<double>();
  }
  spec.enabled = flag("enabled", true);
  spec.persist = flag("persist", false);
  const Json* matcher = find_member(json, "matcher");
  const Json* handler = find_member(json, "handler");
  if (!matcher || !handler) return fail(Code::kInvalid, "rule.matcher and rule.handler are required");
  SLUICE_TRY(spec.matcher, matcher_from_json(*matcher));
  SLUICE_TRY(spec.handler, handler_from_json(*handler));
  SLUICE_TRY(const auto on_match, text_member(json, "rule", "on_match"));
  if (on_match) {
    SLUICE_TRY(spec.on_match, on_match_from_text(*on_match));
  }
  SLUICE_TRY(const auto grant, text_member(json, "rule", "grant"));
  spec.grant = grant.value_or("");
  if (const Json* others = find_member(json, "changed_by")) {
    const auto is_text = [](const Json& one) { return one.is_string(); };
    if (!others->is_array() || !std::all_of(others->begin(), others->end(), is_text)) {
      return fail(Code::kInvalid, "rule.changed_by must be a list of names");
    }
    spec.changed_by = others->get<std::vector<std::string>>();
  }
  SLUICE_TRY(const auto name, text_member(json, "rule", "name"));
  spec.name = name.value_or("");
  return spec;
}

Result<OnMatch> on_match_from_text(std::string_view text) {
  if (text == "stop") return OnMatch::kStop;
  if (text == "continue") return OnMatch::kContinue;
  return fail(Code::kInvalid, "on_match must be \"stop\" or \"continue\"");
}

}  // namespace sluice::rules

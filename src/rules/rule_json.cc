#include "rules/rule_json.h"

#include <array>
#include <cmath>

namespace sluice::rules {
namespace {

// --- out ---

Json headers_json(const std::vector<std::pair<std::string, std::string>>& headers) {
  Json made = Json::object();
  for (const auto& [name, value] : headers) made[name] = value;
  return made;
}

Json pairs_json(const Replacements& replacements) {
  Json pairs = Json::array();
  for (const auto& [search, replacement] : replacements) pairs.push_back(Json::array({search, replacement}));
  return pairs;
}

Json transform_json(const Transform& transform) {
  Json made = Json::object();
  if (!transform.update_headers.empty()) {
    Json& edits = made["updateHeaders"] = Json::object();
    for (const auto& [name, value] : transform.update_headers) edits[name] = value ? Json(*value) : Json();
  }
  if (!transform.replace_method.empty()) made["replaceMethod"] = transform.replace_method;
  if (transform.replace_status) made["replaceStatus"] = *transform.replace_status;
  if (transform.set_body) made["setBody"] = *transform.set_body;
  if (!transform.match_replace_body.empty()) made["matchReplaceBody"] = pairs_json(transform.match_replace_body);
  if (!transform.regex_replace_body.empty()) made["regexReplaceBody"] = pairs_json(transform.regex_replace_body);
  if (!transform.json_edits.empty()) {
    Json& edits = made["jsonEdits"] = Json::array();
    for (const JsonEdit& edit : transform.json_edits) {
      const bool sets = edit.op == JsonEdit::Op::kSet;
      edits.push_back({{"op", sets ? "set" : "remove"}, {"pointer", edit.pointer}});
      if (sets) edits.back()["value"] = edit.value;
    }
  }
  return made;
}

Json message_json(const MessageTransform& transform) {
  Json made = Json::object();
  if (transform.direction != MessageTransform::Direction::kBoth) {
    made["direction"] = transform.direction == MessageTransform::Direction::kRequest ? "request" : "response";
  }
  made["regexReplace"] = pairs_json(transform.regex_replace);
  return made;
}

constexpr std::array<std::pair<std::string_view, HandlerType>, 9> kHandlerTypes{{
    {"passthrough", HandlerType::kPassthrough},
    {"mock", HandlerType::kMock},
    {"forward", HandlerType::kForward},
    {"drop", HandlerType::kDrop},
    {"abort", HandlerType::kAbort},
    {"redirect", HandlerType::kRedirect},
    {"file", HandlerType::kFile},
    {"rewrite", HandlerType::kRewrite},
    {"hold", HandlerType::kHold},
}};

}  // namespace

std::optional<HandlerType> handler_type_of(std::string_view name) {
  for (const auto& [known, type] : kHandlerTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

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
  text("protocol", matcher.protocol);
  if (matcher.status_code) made["statusCode"] = *matcher.status_code;
  if (matcher.at_answer) made["phase"] = "response";
  return made;
}

Json to_json(const Handler& handler) {
  Json made{{"type", std::string(to_string(handler.type))}};
  if (handler.status) made["status"] = *handler.status;
  if (handler.body) made["body"] = *handler.body;
  if (!handler.headers.empty()) made["headers"] = headers_json(handler.headers);
  if (!handler.forward_to.empty()) made["forwardTo"] = handler.forward_to;
  if (!handler.location.empty()) made["location"] = handler.location;
  if (!handler.path.empty()) made["path"] = handler.path;
  if (!handler.url_pattern.empty()) made["urlPattern"] = handler.url_pattern;
  if (handler.type == HandlerType::kRewrite) made["replacement"] = handler.replacement;
  if (handler.hold_on != HoldOn::kRequest) made["holdOn"] = handler.hold_on == HoldOn::kBoth ? "both" : "response";
  if (handler.timeout_ms) made["timeoutMs"] = *handler.timeout_ms;
  if (handler.delay_ms > 0) made["delayMs"] = handler.delay_ms;
  if (handler.throttle) {
    Json& throttle = made["throttle"] = Json::object();
    if (handler.throttle->request > 0) throttle["requestBytesPerSecond"] = handler.throttle->request;
    if (handler.throttle->response > 0) throttle["responseBytesPerSecond"] = handler.throttle->response;
  }
  if (handler.transform_request) made["transformRequest"] = transform_json(*handler.transform_request);
  if (handler.transform_response) made["transformResponse"] = transform_json(*handler.transform_response);
  if (handler.transform_message) made["transformMessage"] = message_json(*handler.transform_message);
  return made;
}

namespace {

// The contract's members, in its order.
Json contract_json(const RuleSpec& spec) {
  return {{"priority", priority_json(spec.priority)},
          {"enabled", spec.enabled},
          {"description", spec.description},
          {"matcher", to_json(spec.matcher)},
          {"handler", to_json(spec.handler)}};
}

void put_our_own(const RuleSpec& spec, Json& made) {
  if (spec.on_match == OnMatch::kContinue) made["on_match"] = "continue";
  if (spec.persist) made["persist"] = true;
  if (!spec.name.empty()) made["name"] = spec.name;
}

}  // namespace

Json spec_json(const RuleSpec& spec) {
  Json made = contract_json(spec);
  put_our_own(spec, made);
  if (!spec.grant.empty()) made["grant"] = spec.grant;
  if (!spec.changed_by.empty()) made["changed_by"] = spec.changed_by;
  return made;
}

Json to_json(const Rule& rule) {
  Json made = contract_json(rule.spec);
  made["id"] = rule.id();
  made["hitCount"] = rule.hits ? rule.hits->sum() : 0;
  made["createdAt"] = rule.created_ms;
  put_our_own(rule.spec, made);
  return made;
}

}  // namespace sluice::rules

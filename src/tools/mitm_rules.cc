// add_interception_rule, set_global_header, remove_global_header, list_rules, clear_rules (mitm-tools.json) on the one
// rule book: their rules have a name, let later ones run (engine.md 6), and stand in proxy_list_rules too.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/redact.h"
#include "base/text.h"
#include "tools/mitm_subjects.h"
#include "tools/re2_syntax.h"

namespace sluice::tools {
namespace {

using rules::HandlerType;

constexpr std::size_t kMostName = 200;  // octets of a rule's name
constexpr std::string_view kGlobal = "global_";
constexpr std::string_view kBlockedBody = "Blocked by a rule of the proxy.\n";

// --- in ---

Status check_name(std::string_view name) {
  if (name.empty() || name.size() > kMostName || !is_utf8(name)) {
    return fail(Code::kInvalid, "rule_id must be 1 to 200 octets of text");
  }
  const std::string_view digits = name.substr(std::min(name.size(), std::string_view("rule_").size()));
  if (name.starts_with("rule_") && digits.find_first_not_of("0123456789") == std::string_view::npos) {
    return fail(Code::kInvalid, "rule_id must not look like rule_1: proxy_list_rules has such ids of its own");
  }
  return {};
}

Result<std::string> pattern_of(const std::string& re2, const std::string& name) {
  auto js = js_pattern_of(re2);
  if (js) return js;
  return fail(Code::kInvalid, fmt::format("Invalid or unsupported regex for rule '{}': {}", name, js.error().message));
}

tl::unexpected<Error> needs(std::string_view action, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("{} needs {}", action, what));
}

rules::Transform& side_of(rules::Handler& handler, bool response) {
  std::optional<rules::Transform>& side = response ? handler.transform_response : handler.transform_request;
  return side.emplace();
}

Result<rules::Handler> header_handler(const Json& arguments, bool response) {
  const auto key = text_argument(arguments, "key");
  const auto value = text_argument(arguments, "value");
  if (!key || key->empty() || !value) return needs("inject_header", "key and value (an empty value is one)");
  rules::Handler handler;
  side_of(handler, response).update_headers.emplace_back(*key, *value);
  return handler;
}

Result<rules::Handler> body_handler(const Json& arguments, bool response, const std::string& name) {
  const auto search = text_argument(arguments, "search_pattern");
  const auto value = text_argument(arguments, "value");
  if (!search || search->empty() || !value) {
    return needs("replace_body", "search_pattern and value (an empty value removes what is found)");
  }
  SLUICE_TRY(std::string pattern, pattern_of(*search, name));
  rules::Handler handler;
  side_of(handler, response).regex_replace_body.emplace_back(std::move(pattern), js_replacement_of(*value));
  return handler;
}

Result<rules::Handler> block_handler(const Json& arguments) {
  rules::Handler handler;
  handler.type = HandlerType::kAbort;
  const auto status = text_argument(arguments, "value");
  if (!status || status->empty()) return handler;
  int number = 0;
  const auto read = std::from_chars(status->data(), status->data() + status->size(), number);
  if (read.ec != std::errc() || read.ptr != status->data() + status->size() || number < 400 || number > 599) {
    return fail(Code::kInvalid,
                "value of a block is the status to answer, 400 to 599; without it the connection is reset");
  }
  handler.type = HandlerType::kMock;
  handler.status = number;
  handler.body = std::string(kBlockedBody);
  handler.headers = {{"content-type", "text/plain"}};
  return handler;
}

Result<rules::Handler> handler_of(const Json& arguments, const std::string& name) {
  const std::string action = *text_argument(arguments, "action_type");
  const bool response = text_argument(arguments, "phase") == "response";
  if (action == "inject_header") return header_handler(arguments, response);
  if (action == "replace_body") return body_handler(arguments, response, name);
  return block_handler(arguments);
}

// What the store refuses is mostly a pattern; its message says which.
Result<rules::RulePtr> put(rules::RuleSpec spec, const CallContext& context) {
  // What blocks ends the search of its own.
  const bool edits = spec.handler.type == HandlerType::kPassthrough;
  spec.on_match = edits ? rules::OnMatch::kContinue : rules::OnMatch::kStop;
  spec.grant = context.grant;
  const std::string name = spec.name;
  auto rule = context.services->rules.put(std::move(spec));
  if (rule) return rule;
  Error error = std::move(rule).error();
  const auto names = [&error](std::string_view member) { return error.message.find(member) != std::string::npos; };
  const bool pattern = names("urlPattern") || names("regexReplaceBody");
  if (pattern) error.message = fmt::format("Invalid or unsupported regex for rule '{}': {}", name, error.message);
  return fail(std::move(error));
}

ToolResult add_interception_rule(const Json& arguments, CallContext& context) {
  rules::RuleSpec spec;
  spec.name = *text_argument(arguments, "rule_id");
  SLUICE_CHECK(check_name(spec.name));
  SLUICE_TRY(spec.handler, handler_of(arguments, spec.name));
  const std::string pattern = *text_argument(arguments, "url_pattern");
  if (pattern != ".*") {
    SLUICE_TRY(spec.matcher.url_pattern, pattern_of(pattern, spec.name));
  }
  spec.matcher.method = text_argument(arguments, "method").value_or("");
  spec.matcher.at_answer = spec.handler.blocks() && text_argument(arguments, "phase") == "response";
  spec.description = fmt::format("{}: {}", spec.name, *text_argument(arguments, "action_type"));
  SLUICE_TRY(const rules::RulePtr rule, put(std::move(spec), context));
  Json answer = sentence(fmt::format("Rule '{}' added.", rule->spec.name));
  answer["rule"] = rule->id();
  return answer;
}

ToolResult set_global_header(const Json& arguments, CallContext& context) {
  const std::string key = *text_argument(arguments, "key");
  const std::string value = *text_argument(arguments, "value");
  rules::RuleSpec spec;
  spec.name = std::string(kGlobal) + to_lower(key);
  SLUICE_CHECK(check_name(spec.name));
  side_of(spec.handler, false).update_headers.emplace_back(key, value);
  spec.description = "Global header " + key;
  SLUICE_CHECK(put(std::move(spec), context));
  const std::string shown = context.redactor ? context.redactor->mask_header_value(key, value).text : value;
  return sentence(fmt::format("Global header set: {}: {}", key, shown));
}

rules::RulePtr find_named(const CallContext& context, std::string_view name) {
  for (const rules::RulePtr& rule : context.services->rules.list()) {
    if (rule->spec.name == name) return rule;
  }
  return nullptr;
}

ToolResult remove_global_header(const Json& arguments, CallContext& context) {
  const std::string key = *text_argument(arguments, "key");
  const rules::RulePtr rule = find_named(context, std::string(kGlobal) + to_lower(key));
  if (!rule)
    return fail(Code::kNotFound, fmt::format("No global header '{}' is set.", repair_utf8(key.substr(0, kMostName))));
  SLUICE_CHECK(context.services->rules.remove(rule->id()));
  return sentence(fmt::format("Global header removed: {}", key));
}

// --- out ---

struct Shown {
  std::string action, phase = "request";
  std::optional<std::string> key, value, search;
};

bool is_plain_block(const rules::Handler& handler) {
  return handler.type == HandlerType::kMock && handler.status && handler.body == kBlockedBody;
}

// As add_interception_rule would be told; another handler's name where it could not be.
Shown shown(const rules::RuleSpec& spec) {
  const rules::Handler& handler = spec.handler;
  Shown out{std::string(to_string(handler.type)), spec.matcher.at_answer ? "response" : "request", {}, {}, {}};
  if (handler.type == HandlerType::kAbort) out.action = "block";
  if (is_plain_block(handler)) {
    out.action = "block";
    out.value = std::to_string(*handler.status);
  }
  if (handler.type != HandlerType::kPassthrough ||
      handler.transform_request.has_value() == handler.transform_response.has_value()) {
    return out;
  }
  out.phase = handler.transform_response ? "response" : "request";
  const rules::Transform& side = handler.transform_response ? *handler.transform_response : *handler.transform_request;
  if (side.update_headers.size() == 1 && side.update_headers[0].second && !side.edits_body()) {
    out.action = "inject_header";
    out.key = side.update_headers[0].first;
    out.value = side.update_headers[0].second;
  } else if (side.regex_replace_body.size() == 1 && side.update_headers.empty()) {
    out.action = "replace_body";
    out.search = side.regex_replace_body[0].first;
    out.value = re2_replacement_of(side.regex_replace_body[0].second);
  }
  return out;
}

Json rule_json(const rules::Rule& rule, const Redactor* redactor) {
  const Shown parts = shown(rule.spec);
  const rules::Matcher& matcher = rule.spec.matcher;
  Json json = {{"action", parts.action},
               {"url_pattern", matcher.url_pattern.empty() ? ".*" : matcher.url_pattern},
               {"phase", parts.phase}};
  if (!matcher.method.empty()) json["method"] = matcher.method;
  if (parts.key) json["key"] = *parts.key;
  if (parts.search) json["search_pattern"] = *parts.search;
  if (parts.value) {
    const bool header = parts.key && redactor;
    json["value"] = header ? redactor->mask_header_value(*parts.key, *parts.value).text : *parts.value;
  }
  json["active"] = rule.spec.enabled;
  json["hit_count"] = rule.hits->sum();
  json["rule"] = rule.id();
  json["description"] = rule.spec.description;
  return json;
}

ToolResult list_rules(const Json&, CallContext& context) {
  Json list = Json::object();
  for (const rules::RulePtr& rule : context.services->rules.list()) {
    list[rule->spec.name.empty() ? rule->id() : rule->spec.name] = rule_json(*rule, context.redactor);
  }
  return list;
}

ToolResult clear_rules(const Json&, CallContext& context) {
  SLUICE_TRY(const auto cleared, context.services->rules.import({}, true));
  Json answer = sentence(fmt::format("Rules cleared: {}.", cleared.removed));
  answer["removed"] = cleared.removed;
  return answer;
}

// --- definitions ---

Tool add_rule_tool() {
  return {
      .name = "add_interception_rule",
      .title = "Add a rule",
      .summary =
          "Change traffic from now on: set a header, replace text in bodies, or block. All rules that match apply, in "
          "the order in which they were added; an id that exists is replaced in its place. proxy_add_rule can more.",
      .group = "rules",
      .risk = Risk::kExecute,
      .hints = kMitmproxy | kWrapped | kSlow,
      .fields = {{.name = "rule_id", .meaning = "A name of yours.", .required = true},
                 {.name = "action_type",
                  .meaning = "",
                  .required = true,
                  .choices = {"inject_header", "replace_body", "block"}},
                 {.name = "url_pattern", .meaning = "RE2, found anywhere in the URL.", .default_value = ".*"},
                 {.name = "method", .meaning = "Any case; absent: all."},
                 {.name = "key", .meaning = "inject_header: name of the header."},
                 {.name = "value",
                  .meaning = "inject_header: its value; replace_body: the new text, \\1 for groups; block: a status "
                             "to answer, absent: the connection is reset."},
                 {.name = "search_pattern", .meaning = "replace_body: RE2; every match is replaced."},
                 {.name = "phase",
                  .meaning = "What is changed; block: response lets the origin do what was asked of it.",
                  .default_value = "request",
                  .choices = {"request", "response"}}},
      .result = {{"result", "string", ""}, {"rule", "string", "its id in proxy_list_rules"}},
      .function = add_interception_rule};
}

Tool set_header_tool() {
  return {.name = "set_global_header",
          .title = "Set a header on all requests",
          .summary = "Set a header on every request from now on; it is the rule global_<name>.",
          .group = "rules",
          .risk = Risk::kWrite,
          .hints = kMitmproxy | kWrapped | kSlow | kIdempotent,
          .fields = {{.name = "key", .meaning = "Name of the header.", .required = true},
                     {.name = "value", .meaning = "Its value, in place of others.", .required = true}},
          .result = sentence_result(),
          .function = set_global_header};
}

Tool remove_header_tool() {
  return {.name = "remove_global_header",
          .title = "Remove a global header",
          .summary = "Take back what set_global_header set.",
          .group = "rules",
          .risk = Risk::kWrite,
          .hints = kMitmproxy | kWrapped | kSlow,
          .fields = {{.name = "key", .meaning = "Name of the header, any case.", .required = true}},
          .result = sentence_result(),
          .function = remove_global_header};
}

}  // namespace

std::vector<Tool> mitm_rule_tools() {
  Tool list = {.name = "list_rules",
               .title = "List rules",
               .summary = "All rules by id, in order of evaluation, those of proxy_* too.",
               .group = "rules",
               .risk = Risk::kRead,
               .hints = kMitmproxy | kSlow | kUncapped | kReturnsTraffic | kIdempotent | kById,
               .function = list_rules};
  Tool clear = {.name = "clear_rules",
                .title = "Remove all rules",
                .summary = "Remove every rule, global headers and those of proxy_* too.",
                .group = "rules",
                .risk = Risk::kDestructive,
                .hints = kMitmproxy | kWrapped | kSlow | kIdempotent,
                .result = {{"result", "string", ""}, {"removed", "number", ""}},
                .function = clear_rules};
  return {set_header_tool(), remove_header_tool(), add_rule_tool(), std::move(list), std::move(clear)};
}

}  // namespace sluice::tools

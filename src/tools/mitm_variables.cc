// set_session_variable, extract_session_variable (mitm-tools.json), list_session_variables, delete_session_variable
// (analysis.md). Values are never echoed; what is extracted is looked for in what the caller is shown.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/flow_view.h"
#include "analysis/unmask.h"
#include "analysis/variables.h"
#include "base/text.h"
#include "regex/regex.h"
#include "tools/mitm_extract.h"
#include "tools/mitm_flow.h"
#include "tools/session_variables.h"

namespace sluice::tools {
namespace {

using flow::Direction;

constexpr std::size_t kMostPattern = 2'000;  // octets

// A text as the caller sees it, and as it is.
struct Source {
  std::string shown, raw;
};

Result<Source> header_source(const flow::Exchange& exchange, const std::string& name, const CallContext& context) {
  const http::FieldList fields = fields_of(exchange, Direction::kResponse);
  const auto value = fields.joined(name);
  if (!value) return fail(Code::kNotFound, "The answer has no header field of this name.");
  return Source{*analysis::shown_field(fields, name, context.redactor), *value};
}

// The cookie itself is what is asked for: all of it, or by a pattern what is shown of it.
Result<Source> cookie_source(const flow::Exchange& exchange, const std::string& name, const CallContext& context) {
  const http::FieldList fields = fields_of(exchange, Direction::kResponse);
  for (std::size_t i = fields.next_named("set-cookie"); i < fields.size(); i = fields.next_named("set-cookie", i + 1)) {
    const std::string_view pair = fields.value(i).substr(0, fields.value(i).find(';'));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || trim(pair.substr(0, equals)) != name) continue;
    const std::string value(trim(pair.substr(equals + 1)));
    return Source{context.redactor ? context.redactor->mask("cookie", value) : value, value};
  }
  return fail(Code::kNotFound, "The answer sets no cookie of this name.");
}

Result<Source> find_source(const flow::Exchange& exchange, const Json& arguments, CallContext& context) {
  Source source;
  if (const auto header = text_argument(arguments, "header")) return header_source(exchange, *header, context);
  if (const auto cookie = text_argument(arguments, "cookie")) return cookie_source(exchange, *cookie, context);
  if (const auto path = text_argument(arguments, "json_path")) {
    SLUICE_TRY(const Extracted found, first_of_json(exchange, *path, context));
    return Source{found.shown, found.raw};
  }
  if (const auto selector = text_argument(arguments, "css_selector")) {
    SLUICE_TRY(const Extracted found, first_of_html(exchange, *selector, context));
    return Source{found.shown, found.raw};
  }
  SLUICE_TRY(const Extracted found, whole_answer(exchange, context));
  return Source{found.shown, found.raw};
}

Result<std::string> apply_pattern(const Source& source, const std::string& pattern, std::int64_t group,
                                  const CallContext& context) {
  if (pattern.empty()) return source.raw;
  if (pattern.size() > kMostPattern)
    return fail(Code::kTooLarge, "Error applying regex: it is longer than 2000 octets.");
  const auto regex = regex::Regex::compile(pattern, {.captures = true, .memory = regex::kLargeMemory});
  if (!regex) return fail(Code::kInvalid, "Error applying regex: " + regex.error().message + ".");
  if (group < 0 || static_cast<std::size_t>(group) > regex->groups()) {
    return fail(Code::kInvalid,
                fmt::format("Error applying regex: it has {} groups; give group_index 0 for the whole match.",
                            regex->groups()));
  }
  const auto found = regex->find_group(source.shown, static_cast<std::size_t>(group));
  if (!found) return fail(Code::kNotFound, "No match. Secrets are looked for as their masks.");
  if (!context.redactor || !holds_mask(*found)) return *found;
  std::string value = analysis::unmask(*found, analysis::values_behind(source.shown, source.raw, *context.redactor));
  if (holds_mask(value))
    return fail(Code::kRefused, "The match is masked and cannot be led back: use json_path, header or cookie.");
  return value;
}

ToolResult set_session_variable(const Json& arguments, CallContext& context) {
  const std::string name = *text_argument(arguments, "name");
  SLUICE_CHECK(context.services->variables->set(context.grant, name, *text_argument(arguments, "value")));
  return sentence(fmt::format("Session variable ${} set.", name));
}

ToolResult extract_session_variable(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  SLUICE_TRY(const Source source, find_source(exchange, arguments, context));
  SLUICE_TRY(std::string value, apply_pattern(source, *text_argument(arguments, "regex_pattern"),
                                              *integer_argument(arguments, "group_index"), context));
  const std::string name = *text_argument(arguments, "name");
  const std::size_t length = value.size();
  SLUICE_CHECK(context.services->variables->set(context.grant, name, std::move(value)));
  Json answer = sentence(fmt::format("Session variable ${} set to {} octets of the flow.", name, length));
  answer["length"] = length;
  return answer;
}

ToolResult list_session_variables(const Json&, CallContext& context) {
  Json list = Json::array();
  for (const auto& [name, value] : context.services->variables->of(context.grant)) {
    list.push_back({{"name", name},
                    {"shown", context.redactor ? context.redactor->mask("variable", value) : repair_utf8(value)},
                    {"length", value.size()}});
  }
  return Json{{"result", std::move(list)}};
}

ToolResult delete_session_variable(const Json& arguments, CallContext& context) {
  const std::string name = *text_argument(arguments, "name");
  if (!context.services->variables->erase(context.grant, name))
    return fail(Code::kNotFound, "There is no session variable of this name; list_session_variables names them.");
  return sentence(fmt::format("Session variable ${} deleted.", name));
}

Field name_field() { return {.name = "name", .meaning = "Without the dollar sign.", .required = true}; }

}  // namespace

Tool set_variable_tool() {
  return {.name = "set_session_variable",
          .title = "Set a variable",
          .summary = "Set a variable of the caller's own: ${name} in what it gives to replays stands for the value.",
          .group = "variables",
          .risk = Risk::kWrite,
          .hints = kMitmproxy | kWrapped | kIdempotent,
          .fields = {name_field(), {.name = "value", .meaning = "At most 64 KiB.", .required = true}},
          .result = sentence_result(),
          .function = set_session_variable};
}

Tool extract_variable_tool() {
  return {.name = "extract_session_variable",
          .title = "A variable out of an answer",
          .summary =
              "Set a variable to a part of a flow's answer without showing it: by a pattern (RE2), in the body or "
              "in what header, cookie, json_path or css_selector name.",
          .group = "variables",
          .risk = Risk::kWrite,
          .hints = kMitmproxy | kWrapped | kSlow | kReturnsTraffic | kIdempotent,
          .fields = {name_field(),
                     flow_id_field(),
                     {.name = "regex_pattern",
                      .meaning = "RE2; the first match counts. Empty: all that header, cookie, … give.",
                      .required = true},
                     {.name = "group_index",
                      .type = FieldType::kInteger,
                      .meaning = "0: the whole match.",
                      .default_value = 1},
                     {.name = "json_path", .meaning = "Its first result: RFC 9535."},
                     {.name = "css_selector", .meaning = "The text of its first result."},
                     {.name = "header", .meaning = "A field of the answer."},
                     {.name = "cookie", .meaning = "A cookie that the answer sets."}},
          .result = {{"result", "string", ""}, {"length", "number", "octets"}},
          .function = extract_session_variable};
}

std::vector<Tool> variable_list_tools() {
  return {{.name = "list_session_variables",
           .title = "Variables",
           .summary = "The session variables of the caller, values as masks.",
           .group = "variables",
           .risk = Risk::kRead,
           .hints = kMitmproxy | kBeyondContract | kWrapped | kReturnsTraffic | kIdempotent,
           .result = {{"result",
                       "object[]",
                       "",
                       false,
                       false,
                       {{"name", "string", ""},
                        {"shown", "string", "a mask; equal for equal values"},
                        {"length", "number", "octets"}}}},
           .function = list_session_variables},
          {.name = "delete_session_variable",
           .title = "Forget a variable",
           .summary = "Delete one session variable of the caller.",
           .group = "variables",
           .risk = Risk::kWrite,
           .hints = kMitmproxy | kBeyondContract | kWrapped,
           .fields = {name_field()},
           .result = sentence_result(),
           .function = delete_session_variable}};
}

}  // namespace sluice::tools

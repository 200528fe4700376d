// proxy_mock_response, proxy_inject_headers and proxy_rewrite_url: rules for the commonest wishes.
#include <fmt/format.h>

#include "base/text.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

ToolResult made(rules::RuleSpec spec, CallContext& context) {
  spec.grant = context.grant;
  const std::string description = spec.description;
  auto rule = context.services->rules.add(std::move(spec));
  if (!rule) return thrown(std::move(rule).error());
  return Json{{"rule_id", (*rule)->id()}, {"description", description}};
}

ToolResult mock_response(const Json& arguments, CallContext& context) {
  rules::RuleSpec spec;
  spec.matcher.method = text_argument(arguments, "method").value_or("");
  spec.matcher.url_pattern = text_argument(arguments, "url_pattern").value_or("");
  spec.matcher.hostname = text_argument(arguments, "hostname").value_or("");
  const std::int64_t status = *integer_argument(arguments, "status");
  spec.handler.type = rules::HandlerType::kMock;
  spec.handler.status = static_cast<int>(status);
  spec.handler.body = text_argument(arguments, "body");
  spec.handler.headers = {{"content-type", *text_argument(arguments, "content_type")}};
  spec.priority = *number_argument(arguments, "priority");
  const std::string method = spec.matcher.method.empty() ? "ANY" : to_upper(spec.matcher.method);
  std::string target = spec.matcher.url_pattern.empty() ? spec.matcher.hostname : spec.matcher.url_pattern;
  if (target.empty()) target = "*";
  spec.description = fmt::format("Mock {} for {} {}", status, method, target);
  return made(std::move(spec), context);
}

ToolResult inject_headers(const Json& arguments, CallContext& context) {
  rules::RuleSpec spec;
  spec.matcher.hostname = text_argument(arguments, "hostname").value_or("");
  spec.matcher.url_pattern = text_argument(arguments, "url_pattern").value_or("");
  spec.priority = *number_argument(arguments, "priority");
  spec.on_match = rules::OnMatch::kContinue;  // engine.md 6: global headers shadow nothing
  rules::Transform transform;
  std::vector<std::string> names;
  for (const auto& [name, value] : arguments["headers"].items()) {
    names.push_back(name);
    transform.update_headers.emplace_back(name,
                                          value.is_null() ? std::nullopt : std::optional(value.get<std::string>()));
  }
  const std::string direction = *text_argument(arguments, "direction");
  if (direction != "response") spec.handler.transform_request = transform;
  if (direction != "request") spec.handler.transform_response = transform;
  spec.description = fmt::format("Inject headers: {} ({})", fmt::join(names, ", "), direction);
  return made(std::move(spec), context);
}

ToolResult rewrite_url(const Json& arguments, CallContext& context) {
  rules::RuleSpec spec;
  spec.matcher.url_pattern = *text_argument(arguments, "match_pattern");
  spec.matcher.hostname = text_argument(arguments, "hostname").value_or("");
  spec.priority = *number_argument(arguments, "priority");
  spec.handler.type = rules::HandlerType::kRewrite;
  spec.handler.url_pattern = spec.matcher.url_pattern;
  spec.handler.replacement = *text_argument(arguments, "replace_with");
  spec.description = fmt::format("URL rewrite: {} \u2192 {}", spec.handler.url_pattern, spec.handler.replacement);
  return made(std::move(spec), context);
}

const std::vector<ResultField> kMade = {{"rule_id", "string", "rule_N"}, {"description", "string", ""}};

}  // namespace

std::vector<Tool> modification_tools() {
  Tool mock = {
      .name = "proxy_mock_response",
      .title = "Mock a response",
      .summary =
          "Answer matching requests without asking the origin, also for hosts that do not exist. Answers the "
          "rule that does it.",
      .group = "modification",
      .risk = Risk::kWrite,
      .hints = kCore | kSlow,
      .fields = {{.name = "method", .meaning = "Absent: any."},
                 {.name = "url_pattern", .meaning = "JavaScript regex on the URL."},
                 {.name = "hostname", .meaning = "Exact host."},
                 {.name = "status",
                  .type = FieldType::kInteger,
                  .meaning = "Status code.",
                  .required = true,
                  .minimum = 0,
                  .maximum = 1000},
                 {.name = "body", .meaning = "", .default_value = ""},
                 {.name = "content_type", .meaning = "", .default_value = "application/json"},
                 {.name = "priority", .type = FieldType::kNumber, .meaning = "Smallest first.", .default_value = 10}},
      .result = kMade,
      .function = mock_response,
  };
  Tool inject = {
      .name = "proxy_inject_headers",
      .title = "Inject headers",
      .summary = "Set or remove headers on matching traffic; later rules still apply. Answers the rule that does it.",
      .group = "modification",
      .risk = Risk::kWrite,
      .hints = kCore | kSlow,
      .fields =
          {{.name = "hostname", .meaning = "Exact host; absent: all."},
           {.name = "url_pattern", .meaning = "JavaScript regex on the URL."},
           {.name = "headers",
            .type = FieldType::kNullableStringMap,
            .meaning = "Set; null removes.",
            .required = true},
           {.name = "direction", .meaning = "", .default_value = "request", .choices = {"request", "response", "both"}},
           {.name = "priority", .type = FieldType::kNumber, .meaning = "Smallest first.", .default_value = 50}},
      .result = kMade,
      .function = inject_headers,
  };
  Tool rewrite = {
      .name = "proxy_rewrite_url",
      .title = "Rewrite URLs",
      .summary =
          "Send matching requests to another URL: what the pattern finds in the absolute URL is replaced. Answers the "
          "rule that does it.",
      .group = "modification",
      .risk = Risk::kWrite,
      .hints = kSlow,
      .fields = {{.name = "match_pattern", .meaning = "JavaScript regex on the absolute URL.", .required = true},
                 {.name = "replace_with",
                  .meaning = "With $1; a result that begins with / keeps the host.",
                  .required = true},
                 {.name = "hostname", .meaning = "Exact host; absent: all."},
                 {.name = "priority", .type = FieldType::kNumber, .meaning = "Smallest first.", .default_value = 50}},
      .result = kMade,
      .function = rewrite_url,
  };
  return {std::move(inject), std::move(rewrite), std::move(mock)};
}

}  // namespace sluice::tools

#include "tools/rule_fields.h"

namespace sluice::tools {
namespace {

Field transform_field(std::string_view name, std::string_view meaning, Field replace) {
  return {.name = name,
          .type = FieldType::kObject,
          .meaning = meaning,
          .fields = {{.name = "updateHeaders", .type = FieldType::kNullableStringMap, .meaning = "Set; null removes."},
                     std::move(replace),
                     {.name = "matchReplaceBody",
                      .type = FieldType::kPairs,
                      .meaning = "[literal text, replacement], in order."}}};
}

}  // namespace

std::vector<Field> matcher_fields() {
  return {{.name = "method", .meaning = "Any verb, any case."},
          {.name = "urlPattern", .meaning = "JavaScript regex on the absolute URL or the path."},
          {.name = "hostname", .meaning = "Exact host."},
          {.name = "hostPattern", .meaning = "*.example.com"},
          {.name = "pathPattern", .meaning = "Regex on path and query."},
          {.name = "headers", .type = FieldType::kStringMap, .meaning = "Names and exact values."},
          {.name = "bodyIncludes", .meaning = "Text in the decoded request body."}};
}

std::vector<Field> handler_fields() {
  return {{.name = "type", .meaning = "", .required = true, .choices = {"passthrough", "mock", "forward", "drop"}},
          {.name = "status", .type = FieldType::kInteger, .meaning = "mock: default 200."},
          {.name = "body", .meaning = "mock."},
          {.name = "headers", .type = FieldType::kStringMap, .meaning = "mock."},
          {.name = "forwardTo", .meaning = "forward: host[:port] or scheme://host[:port]."},
          transform_field("transformRequest", "passthrough, forward: edits before sending.", {.name = "replaceMethod"}),
          transform_field("transformResponse", "passthrough, forward: edits before answering.",
                          {.name = "replaceStatus", .type = FieldType::kInteger})};
}

std::vector<ResultField> rule_result() {
  return {{"priority", "number", ""},
          {"enabled", "boolean", ""},
          {"description", "string", ""},
          {"matcher", "object", ""},
          {"handler", "object", ""},
          {"id", "string", "rule_N"},
          {"hitCount", "number", "requests it applied to"},
          {"createdAt", "number", "ms"}};
}

}  // namespace sluice::tools

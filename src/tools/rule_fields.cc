#include "tools/rule_fields.h"

namespace sluice::tools {
namespace {

Field transform_field(std::string_view name, std::string_view meaning, Field replace) {
  return {.name = name,
          .type = FieldType::kObject,
          .meaning = meaning,
          .fields = {
              {.name = "updateHeaders", .type = FieldType::kNullableStringMap, .meaning = "Set; null removes."},
              std::move(replace),
              {.name = "setBody", .meaning = "The whole body."},
              {.name = "matchReplaceBody", .type = FieldType::kPairs, .meaning = "[text, replacement]."},
              {.name = "regexReplaceBody", .type = FieldType::kPairs, .meaning = "[regex, replacement with $1], all."},
              {.name = "jsonEdits",
               .type = FieldType::kObjects,
               .meaning = "Edits of a JSON body.",
               .fields = {{.name = "op", .required = true, .choices = {"set", "remove"}},
                          {.name = "pointer", .meaning = "/a/0/b (RFC 6901).", .required = true},
                          {.name = "value", .type = FieldType::kAny}}}}};
}

}  // namespace

std::vector<Field> matcher_fields() {
  return {{.name = "method", .meaning = "Any case."},
          {.name = "urlPattern", .meaning = "JavaScript regex on URL or path."},
          {.name = "hostname", .meaning = "Exact host."},
          {.name = "hostPattern", .meaning = "*.example.com"},
          {.name = "pathPattern", .meaning = "Regex on path and query."},
          {.name = "headers", .type = FieldType::kStringMap, .meaning = "Exact values."},
          {.name = "bodyIncludes", .meaning = "In the request."},
          {.name = "protocol", .choices = {"http/1.1", "h2", "websocket"}},
          {.name = "statusCode", .type = FieldType::kInteger},
          {.name = "phase", .meaning = "Once answered.", .choices = {"response"}}};
}

std::vector<Field> handler_fields() {
  return {
      {.name = "type",
       .meaning = "",
       .required = true,
       .choices = {"passthrough", "mock", "forward", "drop", "abort", "redirect", "file", "rewrite", "hold"}},
      {.name = "status", .type = FieldType::kInteger, .meaning = "mock, file: default 200; redirect: 302."},
      {.name = "body", .meaning = "mock."},
      {.name = "headers", .type = FieldType::kStringMap, .meaning = "mock, file, redirect."},
      {.name = "forwardTo", .meaning = "forward: host[:port] or scheme://host[:port]."},
      {.name = "location", .meaning = "redirect: URL."},
      {.name = "path", .meaning = "file: beneath an allowed root."},
      {.name = "urlPattern", .meaning = "rewrite: regex on the URL."},
      {.name = "replacement", .meaning = "rewrite: with $1; /… keeps the host."},
      {.name = "holdOn", .meaning = "hold: request.", .choices = {"request", "response", "both"}},
      {.name = "timeoutMs", .type = FieldType::kInteger, .meaning = "hold: at most; 60000."},
      {.name = "delayMs", .type = FieldType::kInteger, .meaning = "Waits first."},
      {.name = "throttle",
       .type = FieldType::kObject,
       .fields = {{.name = "requestBytesPerSecond", .type = FieldType::kInteger},
                  {.name = "responseBytesPerSecond", .type = FieldType::kInteger}}},
      transform_field("transformRequest", "What servers get.", {.name = "replaceMethod"}),
      transform_field("transformResponse", "What clients get.", {.name = "replaceStatus", .type = FieldType::kInteger}),
      {.name = "transformMessage",
       .type = FieldType::kObject,
       .meaning = "WebSocket text.",
       .fields = {{.name = "direction", .choices = {"request", "response", "both"}},
                  {.name = "regexReplace", .type = FieldType::kPairs, .meaning = "", .required = true}}}};
}

std::vector<ResultField> rule_result() {
  return {{"priority", "number", ""},
          {"enabled", "boolean", ""},
          {"description", "string", ""},
          {"matcher", "object", ""},
          {"handler", "object", ""},
          {"id", "string", "rule_N"},
          {"hitCount", "number", "requests it applied to"},
          {"createdAt", "number", "ms"},
          {"on_match", "string", "where it is continue", true},
          {"persist", "boolean", "where it is true", true},
          {"name", "string", "its id in the toolset mitmproxy", true}};
}

}  // namespace sluice::tools

#include "tools/rule_trial.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/url.h"
#include "tools/body_text.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

// Owns what a rules::RuleBook::Subject looks at.
struct Probe {
  std::string method, scheme, host, target, body, protocol = "http/1.1";
  std::uint16_t port = 0;
  std::optional<int> status;
  http::FieldList fields;

  rules::RuleBook::Subject subject() const {
    return {.method = method,
            .scheme = scheme,
            .host = host,
            .target = target,
            .port = port,
            .fields = &fields,
            .body = &body,
            .protocol = protocol,
            .status = status};
  }
};

Result<Probe> simulated(const Json& request) {
  const std::string text = *text_argument(request, "url");
  const auto url = parse_url(text);
  if (!url) return fail(Code::kInvalid, fmt::format("Error: Invalid URL '{}'", text));
  Probe probe;
  probe.method = to_upper(text_argument(request, "method").value_or("GET"));
  probe.scheme = url->scheme;
  probe.port = url->port;
  probe.host = to_lower(text_argument(request, "hostname").value_or(url->host));
  probe.target = text_argument(request, "path").value_or(url->target);
  probe.body = text_argument(request, "body").value_or("");
  if (const Json* headers = find_member(request, "headers")) {
    for (const auto& [name, value] : headers->items()) probe.fields.append(name, value.get<std::string>());
  }
  return probe;
}

Result<Probe> captured(const std::string& id, Services& services) {
  services.ring.sync();
  const auto exchange = services.ring.find(id);
  if (!exchange) return fail(Code::kNotFound, fmt::format("Error: Exchange '{}' not found", id));
  Probe probe;
  probe.method = exchange->method;
  probe.scheme = exchange->scheme;
  probe.port = exchange->port;
  probe.host = to_lower(exchange->host);
  probe.target = exchange->target;
  probe.protocol = flow::to_string(exchange->protocol);
  if (exchange->status > 0) probe.status = exchange->status;
  probe.fields = flow::parse_fields(exchange->request.head);
  probe.body = analysis::read_prefix(services.ring, *exchange, flow::Direction::kRequest, kRuleBody).octets;
  return probe;
}

ToolResult test_rule_match(const Json& arguments, CallContext& context) {
  const std::string mode = *text_argument(arguments, "mode");
  const auto id = text_argument(arguments, "exchange_id");
  const Json* request = find_member(arguments, "request");
  if (mode == "simulate" && !request) return fail(Code::kInvalid, "request is required when mode='simulate'");
  if (mode == "exchange" && !id) return fail(Code::kInvalid, "exchange_id is required when mode='exchange'");
  SLUICE_TRY(const Probe probe, mode == "simulate" ? simulated(*request) : captured(*id, *context.services));

  rules::RuleBook::TestOptions options;
  options.include_disabled = flag_argument(arguments, "include_disabled");
  const auto limit = integer_argument(arguments, "limit_rules");
  if (limit && *limit >= 0) options.limit_rules = static_cast<std::size_t>(*limit);  // negative: no limit
  Json answer = {{"mode", mode}};
  if (mode == "exchange") answer["exchange_id"] = *id;
  answer["result"] = context.services->rules.book()->test(probe.subject(), options);
  return answer;
}

std::vector<Field> request_fields() {
  return {{.name = "method", .meaning = "", .default_value = "GET"},
          {.name = "url", .meaning = "Absolute.", .required = true},
          {.name = "hostname", .meaning = "Instead of the URL's."},
          {.name = "path", .meaning = "Instead of the URL's."},
          {.name = "headers", .type = FieldType::kStringMap},
          {.name = "body", .meaning = "", .default_value = ""}};
}

std::vector<ResultField> outcome_fields() {
  const std::vector<ResultField> result = {
      {"ruleId", "string", ""},
      {"enabled", "boolean", ""},
      {"priority", "number", ""},
      {"description", "string", ""},
      {"matched", "boolean", ""},
      {"eligible", "boolean", "matched and enabled"},
      {"checks", "object", "each of method, urlPattern, … : {applies, passed, expected?, actual?, reason?}"}};
  return {{"request", "object", ""},
          {"includeDisabled", "boolean", ""},
          {"evaluatedCount", "number", ""},
          {"totalRules", "number", ""},
          {"results", "object[]", "", false, false, result},
          {"matchedCount", "number", ""},
          {"effectiveMatchCount", "number", ""},
          {"effectiveWinner",
           "object",
           "",
           false,
           true,
           {{"ruleId", "string", ""},
            {"priority", "number", ""},
            {"description", "string", ""},
            {"handlerType", "string", ""}}}};
}

}  // namespace

Tool rule_test_tool() {
  return {
      .name = "proxy_test_rule_match",
      .title = "Test rules",
      .summary = "Which rules would match a request, invented or captured, and why the others do not. Sends nothing.",
      .group = "rules",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "mode", .meaning = "", .default_value = "simulate", .choices = {"simulate", "exchange"}},
                 {.name = "request",
                  .type = FieldType::kObject,
                  .meaning = "simulate: the invented request.",
                  .fields = request_fields()},
                 {.name = "exchange_id", .meaning = "exchange: a captured one."},
                 {.name = "include_disabled",
                  .type = FieldType::kBoolean,
                  .meaning = "They never win.",
                  .default_value = true},
                 {.name = "limit_rules", .type = FieldType::kInteger, .meaning = "Only the first N; negative: all."}},
      .result = {{"mode", "string", ""},
                 {"exchange_id", "string", "", true},
                 {"result", "object", "", false, false, outcome_fields()}},
      .function = test_rule_match,
  };
}

}  // namespace sluice::tools

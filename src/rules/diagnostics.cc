#include "rules/diagnostics.h"

#include "base/text.h"
#include "rules/rule_json.h"

namespace sluice::rules {
namespace {

constexpr std::size_t kBodyShown = 200;  // UTF-16 units of the body in a check (contract)

const std::string& body_of(const RuleBook::Subject& subject) {
  static const std::string kNone;
  return subject.body == nullptr ? kNone : *subject.body;
}

Json request_headers(const http::FieldList* fields) {
  Json headers = Json::object();
  if (fields == nullptr) return headers;
  for (std::size_t i = 0; i < fields->size(); ++i) {
    const std::string name = to_lower(fields->name(i));
    if (!headers.contains(name)) headers[name] = repair_utf8(fields->joined(name).value_or(""));
  }
  return headers;
}

Json request_json(const Asked& asked) {
  const RuleBook::Subject& subject = asked.subject();
  return Json{{"method", to_upper(subject.method)},         {"url", std::string(asked.url())},
              {"hostname", to_lower(subject.host)},         {"path", std::string(asked.path())},
              {"headers", request_headers(subject.fields)}, {"body", repair_utf8(body_of(subject))}};
}

Json check(bool applies, bool passed, Json expected, Json actual, std::string_view reason) {
  if (!applies) return Json{{"applies", false}, {"passed", true}};
  Json made{{"applies", true}, {"passed", passed}, {"expected", std::move(expected)}, {"actual", std::move(actual)}};
  if (!passed) made["reason"] = std::string(reason);
  return made;
}

Json headers_check(const Matcher& matcher, const Asked& asked, const Json& actual) {
  Json expected = Json::object();
  Json mismatch = Json::array();
  for (const auto& [name, value] : matcher.headers) {
    const std::string lower = to_lower(name);
    expected[lower] = value;
    if (RuleProgram::header_holds(asked.subject().fields, name, value)) continue;
    mismatch.push_back(Json{{"header", lower}, {"expected", value}, {"actual", actual.value(lower, Json())}});
  }
  const bool passed = mismatch.empty();
  Json made =
      check(!matcher.headers.empty(), passed, std::move(expected), actual, "Required headers missing or mismatched");
  if (!passed) made["mismatch"] = std::move(mismatch);
  return made;
}

Json body_check(const Matcher& matcher, const Asked& asked) {
  if (matcher.body_includes.empty()) return check(false, true, {}, {}, "");
  const std::string body = repair_utf8(body_of(asked.subject()));
  const std::string_view shown = utf16_prefix(body, kBodyShown);
  return check(true, RuleProgram::body_holds(matcher, asked) == Body::kHolds, matcher.body_includes,
               std::string(shown) + (shown.size() < body.size() ? "..." : ""),
               "Body does not include required substring");
}

Json checks_of(const Matcher& matcher, const RuleProgram& program, const Asked& asked, const Json& headers) {
  const RuleBook::Subject& subject = asked.subject();
  const std::string host = to_lower(subject.host);
  Json checks = Json::object();
  checks["method"] = check(!matcher.method.empty(), RuleProgram::method_holds(matcher, asked), to_upper(matcher.method),
                           to_upper(subject.method), "HTTP method mismatch");
  checks["urlPattern"] = check(!matcher.url_pattern.empty(), program.url_holds(asked), matcher.url_pattern,
                               std::string(asked.url()), "URL does not match regex");
  checks["hostname"] = check(!matcher.hostname.empty(), program.hostname_holds(asked), to_lower(matcher.hostname), host,
                             "Hostname mismatch");
  checks["pathPattern"] = check(!matcher.path_pattern.empty(), program.path_holds(asked), matcher.path_pattern,
                                std::string(asked.path()), "Path does not match regex");
  checks["headers"] = headers_check(matcher, asked, headers);
  checks["bodyIncludes"] = body_check(matcher, asked);
  if (!matcher.host_pattern.empty()) {  // beyond the contract: shown only where it is used
    checks["hostPattern"] =
        check(true, program.host_pattern_holds(asked), to_lower(matcher.host_pattern), host, "Hostname mismatch");
  }
  if (!matcher.protocol.empty()) {
    checks["protocol"] = check(true, RuleProgram::protocol_holds(matcher, asked), matcher.protocol,
                               std::string(subject.protocol), "Protocol mismatch");
  }
  if (matcher.status_code) {
    checks["statusCode"] =
        check(true, RuleProgram::status_holds(matcher, asked), *matcher.status_code,
              subject.status ? Json(*subject.status) : Json(),
              subject.status ? "Status code mismatch" : "There is no answer whose status could be compared");
  }
  if (matcher.at_answer) {
    checks["phase"] = check(true, subject.status.has_value(), "response", subject.status ? "response" : "request",
                            "There is no answer yet");
  }
  return checks;
}

bool all_passed(const Json& checks) {
  for (const auto& item : checks) {
    if (!item["passed"].get<bool>()) return false;
  }
  return true;
}

}  // namespace

Json diagnose(const std::vector<RulePtr>& rules, const std::vector<std::shared_ptr<const RuleProgram>>& programs,
              const RuleBook::Subject& subject, const RuleBook::TestOptions& options) {
  const Asked asked(subject);
  const Json request = request_json(asked);
  Json results = Json::array();
  Json winner;
  std::size_t matched_count = 0;
  std::size_t eligible_count = 0;
  for (std::size_t place = 0; place < rules.size(); ++place) {
    const Rule& rule = *rules[place];
    if (!rule.spec.enabled && !options.include_disabled) continue;
    const bool shown = results.size() < options.limit_rules.value_or(rules.size());
    if (!shown && !winner.is_null()) break;
    Json checks = checks_of(rule.spec.matcher, *programs[place], asked, request["headers"]);
    const bool matched = all_passed(checks);
    const bool eligible = matched && rule.spec.enabled;
    if (eligible && winner.is_null() && rule.spec.on_match == OnMatch::kStop) {
      winner = Json{{"ruleId", rule.id()},
                    {"priority", priority_json(rule.spec.priority)},
                    {"description", rule.spec.description},
                    {"handlerType", std::string(to_string(rule.spec.handler.type))}};
    }
    if (!shown) continue;
    matched_count += matched ? 1 : 0;
    eligible_count += eligible ? 1 : 0;
    Json result{{"ruleId", rule.id()},
                {"enabled", rule.spec.enabled},
                {"priority", priority_json(rule.spec.priority)},
                {"description", rule.spec.description},
                {"matched", matched},
                {"eligible", eligible}};
    if (rule.spec.on_match == OnMatch::kContinue) result["on_match"] = "continue";
    result["checks"] = std::move(checks);
    results.push_back(std::move(result));
  }
  const std::size_t evaluated = results.size();
  return Json{{"request", request},
              {"includeDisabled", options.include_disabled},
              {"evaluatedCount", evaluated},
              {"totalRules", rules.size()},
              {"results", std::move(results)},
              {"matchedCount", matched_count},
              {"effectiveMatchCount", eligible_count},
              {"effectiveWinner", std::move(winner)}};
}

}  // namespace sluice::rules

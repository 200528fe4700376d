#include "rules/rule_program.h"

#include <cmath>

#include "base/text.h"
#include "base/url.h"
#include "rules/apply.h"
#include "rules/rule_checks.h"

namespace sluice::rules {
namespace {

std::string_view without_final_dot(std::string_view host) {
  if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  return host;
}

// Path and query of any request target (RFC 9112 §3.2).
std::string_view path_of(std::string_view target) {
  if (target.empty() || target.front() == '/' || target == "*") return target;
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return target;
  const std::size_t path = target.find_first_of("/?", scheme + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

std::string normal_host(std::string_view text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  return to_lower(without_final_dot(text));
}

}  // namespace

std::string_view Asked::host() const { return without_final_dot(subject_.host); }

std::string_view Asked::url() const {
  if (url_) return *url_;
  if (!subject_.url.empty()) {
    url_ = repair_utf8(subject_.url);
    return *url_;
  }
  std::string made;
  made.reserve(subject_.scheme.size() + subject_.host.size() + subject_.target.size() + 16);
  made.append(subject_.scheme).append("://");
  const bool brackets = subject_.host.find(':') != std::string_view::npos;
  if (brackets) made += '[';
  made.append(subject_.host);
  if (brackets) made += ']';
  if (subject_.port != 0 && subject_.port != default_port(subject_.scheme)) {
    made.append(":").append(std::to_string(subject_.port));
  }
  if (subject_.target != "*") made.append(path_of(subject_.target));  // RFC 9112 §3.2.4: the asterisk is no path
  url_ = is_utf8(made) ? std::move(made) : repair_utf8(made);
  return *url_;
}

// What is not UTF-8 is seen as U+FFFD: JavaScript's view of a URL.
std::string_view Asked::path() const {
  if (path_) return *path_;
  path_ = path_of(subject_.target);
  if (!is_utf8(*path_)) path_ = repaired_path_.emplace(repair_utf8(*path_));
  return *path_;
}

bool RuleProgram::method_holds(const Matcher& matcher, const Asked& asked) {
  return matcher.method.empty() || iequals(matcher.method, asked.subject().method);
}

bool RuleProgram::url_holds(const Asked& asked) const {
  if (!url) return true;
  // Without ^ or \b, what matches the path matches the URL that ends with it.
  return url->matches(asked.url()) || (url->source().looks_left && url->matches(asked.path()));
}

bool RuleProgram::hostname_holds(const Asked& asked) const { return host.empty() || iequals(host, asked.host()); }

bool RuleProgram::host_pattern_holds(const Asked& asked) const {
  if (!host_exact.empty()) return iequals(host_exact, asked.host());
  if (host_suffix.empty()) return true;
  const std::string_view name = asked.host();
  if (name.size() < host_suffix.size()) return false;
  const std::size_t rest = name.size() - host_suffix.size();
  return iequals(name.substr(rest), host_suffix) && (rest == 0 || name[rest - 1] == '.');
}

bool RuleProgram::path_holds(const Asked& asked) const { return !path || path->matches(asked.path()); }

bool RuleProgram::header_holds(const http::FieldList* fields, std::string_view name, std::string_view value) {
  if (fields == nullptr) return false;
  std::size_t count = 0;
  for (std::size_t i = 0; i < fields->size(); ++i) {
    if (!iequals(fields->name(i), name)) continue;
    if (fields->value(i) == value) return true;
    ++count;
  }
  if (count < 2) return false;
  if (!iequals(name, "cookie")) return fields->joined(name) == value;
  std::string crumbs;  // RFC 9113 §8.2.3: HTTP/2 may send one Cookie field in parts
  for (std::size_t i = 0; i < fields->size(); ++i) {
    if (iequals(fields->name(i), name)) crumbs.append(crumbs.empty() ? "" : "; ").append(fields->value(i));
  }
  return crumbs == value;
}

bool RuleProgram::headers_hold(const Matcher& matcher, const Asked& asked) {
  for (const auto& [name, value] : matcher.headers) {
    if (!header_holds(asked.subject().fields, name, value)) return false;
  }
  return true;
}

bool RuleProgram::protocol_holds(const Matcher& matcher, const Asked& asked) {
  return matcher.protocol.empty() || matcher.protocol == asked.subject().protocol;
}

bool RuleProgram::status_holds(const Matcher& matcher, const Asked& asked) {
  return !matcher.status_code || matcher.status_code == asked.subject().status;
}

bool head_holds(const Rule& rule, const RuleProgram& program, const Asked& asked, bool pattern_known) {
  const Matcher& matcher = rule.spec.matcher;
  return RuleProgram::method_holds(matcher, asked) && RuleProgram::protocol_holds(matcher, asked) &&
         RuleProgram::status_holds(matcher, asked) && program.hostname_holds(asked) &&
         program.host_pattern_holds(asked) && RuleProgram::headers_hold(matcher, asked) &&
         (pattern_known || program.url_holds(asked)) && ((pattern_known && !program.url) || program.path_holds(asked));
}

Body RuleProgram::body_holds(const Matcher& matcher, const Asked& asked) {
  if (matcher.body_includes.empty()) return Body::kHolds;
  const std::string* body = asked.subject().body;
  if (body == nullptr) return Body::kUnknown;
  return body->find(matcher.body_includes) == std::string::npos ? Body::kFails : Body::kHolds;
}

namespace {

bool is_below(std::string_view host, std::string_view suffix) {
  return host == suffix ||
         (host.size() > suffix.size() && host.ends_with(suffix) && host[host.size() - suffix.size() - 1] == '.');
}

// Conditions that exclude each other, or what is done: such a rule would never do anything.
Status check_contradictions(const RuleSpec& spec, const RuleProgram& program) {
  const Matcher& matcher = spec.matcher;
  const bool apart = (!program.host_exact.empty() && program.host_exact != program.host) ||
                     (!program.host_suffix.empty() && !is_below(program.host, program.host_suffix));
  if (!program.host.empty() && apart) {
    return fail(Code::kInvalid, "matcher.hostname and matcher.hostPattern exclude each other: no host is both");
  }
  if (matcher.protocol == "websocket" && !matcher.body_includes.empty()) {
    return fail(Code::kInvalid, "matcher.bodyIncludes: the request that opens a WebSocket has no body");
  }
  if (spec.handler.transform_message && !matcher.protocol.empty() && matcher.protocol != "websocket") {
    return fail(Code::kInvalid, "handler.transformMessage is for matcher.protocol websocket, over HTTP/2 too");
  }
  return {};
}

Status compile_hosts(const Matcher& matcher, RuleProgram& program) {
  if (!matcher.hostname.empty()) {
    program.host = normal_host(matcher.hostname);
    if (matcher.hostname.find('*') != std::string::npos) {
      return fail(Code::kInvalid, "matcher.hostname is one exact name; for *.example.com use hostPattern");
    }
    SLUICE_CHECK(check_host("matcher.hostname", program.host));
  }
  const std::string& pattern = matcher.host_pattern;
  if (pattern.empty() || pattern == "*") return {};
  std::string& into = pattern.starts_with("*.") ? program.host_suffix : program.host_exact;
  into = normal_host(pattern.starts_with("*.") ? std::string_view(pattern).substr(2) : std::string_view(pattern));
  if (into.find('*') != std::string::npos) {
    return fail(Code::kInvalid, "matcher.hostPattern takes one star, as its first label: *.example.com");
  }
  return check_host("matcher.hostPattern", into);
}

Status compile_patterns(const Matcher& matcher, RuleProgram& program) {
  if (!matcher.url_pattern.empty()) {
    auto pattern = Pattern::compile(matcher.url_pattern);
    if (!pattern) return fail(std::move(pattern.error()).with_context("matcher.urlPattern"));
    program.url = *std::move(pattern);
  }
  if (!matcher.path_pattern.empty()) {
    auto pattern = Pattern::compile(matcher.path_pattern);
    if (!pattern) return fail(std::move(pattern.error()).with_context("matcher.pathPattern"));
    program.path = *std::move(pattern);
  }
  return {};
}

Status compile_replacers(const Replacements& pairs, const std::string& member, std::vector<Replacer>& into) {
  for (const auto& [pattern, replacement] : pairs) {
    auto replacer = Replacer::compile(pattern, replacement);
    if (!replacer) return fail(std::move(replacer.error()).with_context(member));
    into.push_back(*std::move(replacer));
  }
  return {};
}

Status compile_handler(const Handler& handler, RuleProgram& program) {
  if (handler.transform_request) {
    SLUICE_CHECK(compile_replacers(handler.transform_request->regex_replace_body,
                                   "handler.transformRequest.regexReplaceBody", program.replacers.request));
  }
  if (handler.transform_response) {
    SLUICE_CHECK(compile_replacers(handler.transform_response->regex_replace_body,
                                   "handler.transformResponse.regexReplaceBody", program.replacers.response));
  }
  if (handler.transform_message) {
    SLUICE_CHECK(compile_replacers(handler.transform_message->regex_replace, "handler.transformMessage.regexReplace",
                                   program.messages));
  }
  if (handler.type != HandlerType::kRewrite) return {};
  auto rewrite = Replacer::compile(handler.url_pattern, handler.replacement);
  if (!rewrite) return fail(std::move(rewrite.error()).with_context("handler.urlPattern"));
  program.rewrite = *std::move(rewrite);
  return {};
}

// The answer is there when the request has gone: only what is done to answers can depend on it.
Status check_answer_rule(const RuleSpec& spec) {
  if (!spec.matcher.asks_answer()) return {};
  const std::string member = spec.matcher.status_code ? "matcher.statusCode" : "matcher.phase response";
  const Handler& handler = spec.handler;
  const bool holds_answer = handler.type == HandlerType::kHold && handler.hold_on == HoldOn::kResponse;
  if (handler.type != HandlerType::kPassthrough && !handler.blocks() && !holds_answer) {
    return fail(Code::kInvalid, member +
                                    " is known when the request has gone: the handler must be passthrough, mock, "
                                    "drop, abort, or hold with holdOn response");
  }
  if (handler.transform_request || handler.transform_message || handler.throttle || handler.delay_ms > 0) {
    return fail(Code::kInvalid, member + " is known when the request has gone: only transformResponse counts");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const RuleProgram>> compile_rule(const RuleSpec& spec) {
  auto program = std::make_shared<RuleProgram>();
  if (!std::isfinite(spec.priority)) return fail(Code::kInvalid, "priority must be a finite number");
  SLUICE_CHECK(check_matcher(spec.matcher));
  SLUICE_CHECK(check_handler(spec.handler));
  if (spec.on_match == OnMatch::kContinue && spec.handler.type != HandlerType::kPassthrough) {
    return fail(Code::kInvalid, "on_match continue is for rules that only edit: their handler is passthrough");
  }
  SLUICE_CHECK(compile_hosts(spec.matcher, *program));
  SLUICE_CHECK(check_contradictions(spec, *program));
  SLUICE_CHECK(check_answer_rule(spec));
  SLUICE_CHECK(compile_patterns(spec.matcher, *program));
  SLUICE_CHECK(compile_handler(spec.handler, *program));
  program->text_size = text_size(spec);
  program->answers = spec.handler.answers();
  return std::shared_ptr<const RuleProgram>(std::move(program));
}

}  // namespace sluice::rules

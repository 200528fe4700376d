#include "rules/apply.h"

#include "base/text.h"
#include "base/url.h"
#include "http/framing.h"
#include "rules/rule_program.h"

namespace sluice::rules {
namespace {

constexpr ByteCount kMaxRewritten = 64 * kKiB;  // of a URL: more than any server takes

template <class Each>
void each_transform(const RuleBook::Plan& plan, std::optional<Transform> Handler::*side, Each each) {
  for (const RulePtr& rule : plan.applied) {
    const Handler& handler = rule->spec.handler;
    if (handler.transforms() && handler.*side) each(*(handler.*side));
  }
}

void edit_fields(const HeaderEdits& edits, http::FieldList& fields) {
  for (const auto& [name, value] : edits) {
    if (!value) {
      fields.erase(name);
    } else if (fields.count(name) != 1 || fields.find(name) != *value) {  // the same already: its octets stay
      fields.set(name, *value);
    }
  }
}

// The framing that the new status asks for, where it changes whether there is content (RFC 9110 §8.6).
AnswerBody reframe(int before, http::ResponseHead& head) {
  if (http::has_no_content(head.status)) {
    head.fields.erase("Transfer-Encoding");
    if (head.status == 205) {
      head.fields.set("Content-Length", "0");
    } else {
      head.fields.erase("Content-Length");
    }
    return AnswerBody::kDrop;
  }
  if (before == 204 || before == 304) {  // no content came: a 304's length is that of something else
    head.fields.erase("Transfer-Encoding");
    head.fields.set("Content-Length", "0");
  }
  return AnswerBody::kKeep;
}

}  // namespace

Result<ForwardTarget> parse_forward_target(std::string_view text) {
  ForwardTarget target;
  std::string_view rest = trim(text);
  if (const std::size_t colon = rest.find("://"); colon != std::string_view::npos) {
    target.scheme = to_lower(rest.substr(0, colon));
    if (target.scheme != "http" && target.scheme != "https") {
      return fail(Code::kInvalid, "the scheme must be http or https");
    }
    rest.remove_prefix(colon + 3);
    if (rest.ends_with('/')) rest.remove_suffix(1);
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return fail(Code::kInvalid, "a path is not allowed: the request keeps its own path and query");
  }
  if (rest.find('@') != std::string_view::npos) return fail(Code::kInvalid, "a user name is not allowed");
  if (is_ipv6_literal(rest)) {
    target.host = to_lower(rest);
    return target;
  }
  // Two readings tell an absent port from a given one: parse_authority fills in what is absent.
  auto parsed = parse_authority(rest, 1);
  if (!parsed || !is_valid_host(parsed->host)) {
    return fail(Code::kInvalid, "must be host, host:port or scheme://host[:port]");
  }
  const auto again = parse_authority(rest, 2);
  target.host = parsed->host;
  target.port = again && again->port == parsed->port ? parsed->port : 0;
  return target;
}

std::optional<ForwardTarget> forward_target(const RuleBook::Plan& plan) {
  if (plan.action() != HandlerType::kForward) return std::nullopt;
  auto target = parse_forward_target(plan.handler()->forward_to);  // checked when the rule was made
  if (!target) return std::nullopt;
  return *std::move(target);
}

void apply_forward(const ForwardTarget& target, std::string_view request_scheme, http::RequestHead& head) {
  const std::uint16_t usual = default_port(target.scheme.empty() ? request_scheme : target.scheme);
  const std::string host = authority_text(target.host, target.port == 0 ? usual : target.port, usual);
  if (head.fields.count("Host") != 1 || head.fields.find("Host") != host) head.fields.set("Host", host);
}

Result<std::optional<Url>> rewritten_url(const RuleBook::Plan& plan, const Url& url) {
  if (plan.action() != HandlerType::kRewrite) return std::optional<Url>();
  std::string text = to_string(url);
  SLUICE_TRY(const bool matched, plan.stopped->program->rewrite->replace(text, kMaxRewritten));
  if (!matched) return std::optional<Url>();
  if (text.starts_with('/')) {
    Url made = url;
    made.target = std::move(text);
    text = to_string(made);
  }
  auto made = parse_url(text);
  if (!made) return fail(Code::kInvalid, "the rewritten URL is none: " + made.error().message);
  if (made->scheme != "http" && made->scheme != "https") {
    return fail(Code::kInvalid, "the rewritten URL must begin with http:// or https://");
  }
  return std::optional(*std::move(made));
}

std::optional<std::string> edit_message(const RuleBook::Plan& plan, bool from_client, std::string_view text) {
  using Direction = MessageTransform::Direction;
  const Direction wanted = from_client ? Direction::kRequest : Direction::kResponse;
  std::string edited(text);
  bool changed = false;
  for (const RulePtr& rule : plan.applied) {
    const auto& transform = rule->spec.handler.transform_message;
    if (!transform || (transform->direction != Direction::kBoth && transform->direction != wanted)) continue;
    for (const Replacer& replacer : rule->program->messages) {
      const auto replaced = replacer.replace(edited, BodyLimits{}.edited);
      if (!replaced) return std::nullopt;
      changed |= *replaced;
    }
  }
  if (!changed) return std::nullopt;
  return edited;
}

void edit_request(const RuleBook::Plan& plan, http::RequestHead& head) {
  each_transform(plan, &Handler::transform_request, [&](const Transform& transform) {
    edit_fields(transform.update_headers, head.fields);
    if (transform.replace_method.empty() || transform.replace_method == head.method) return;
    head.method = transform.replace_method;
    head.start_line.clear();
  });
}

AnswerBody edit_response(const RuleBook::Plan& plan, http::ResponseHead& head) {
  const int before = head.status;
  each_transform(plan, &Handler::transform_response, [&](const Transform& transform) {
    edit_fields(transform.update_headers, head.fields);
    if (!transform.replace_status || *transform.replace_status == head.status || before < 200) return;
    head.status = *transform.replace_status;
    head.reason = http::reason_phrase(head.status);
    head.start_line.clear();
  });
  return head.status == before ? AnswerBody::kKeep : reframe(before, head);
}

MockAnswer mock_answer(const Handler& handler, std::string_view request_method) {
  MockAnswer answer;
  http::ResponseHead& head = answer.head;
  head.status = handler.status.value_or(200);
  head.reason = http::reason_phrase(head.status);
  const std::string& body = handler.body ? *handler.body : answer.body;
  const std::string length = head.status == 205 ? "0" : std::to_string(body.size());
  const bool no_length = head.status == 204 || head.status == 304;
  bool seen = false;
  for (const auto& [name, value] : handler.headers) {
    if (iequals(name, "Transfer-Encoding")) continue;
    if (!iequals(name, "Content-Length")) {
      head.fields.append(name, value);
    } else if (head.status == 304 && !seen) {
      head.fields.append(name, value);  // RFC 9110 §8.6: the length of what a 200 would bring
      seen = true;
    } else if (!no_length && !seen) {
      head.fields.append(name, length);
      seen = true;
    }
  }
  if (!seen && !no_length) head.fields.append("Content-Length", length);
  if (request_method != "HEAD" && !http::has_no_content(head.status)) answer.body = body;
  return answer;
}

MockAnswer mock_answer(const RuleBook::Plan& plan, std::string_view request_method, const std::string* file) {
  const Handler& handler = *plan.handler();
  MockAnswer answer;
  if (handler.type == HandlerType::kRedirect || handler.type == HandlerType::kFile) {
    Handler made = handler;
    if (handler.type == HandlerType::kRedirect) {
      made.status = handler.status.value_or(302);
      made.headers.emplace_back("Location", handler.location);
    }
    if (file && handler.type == HandlerType::kFile) made.body = *file;
    answer = mock_answer(made, "GET");
  } else {
    answer = mock_answer(handler, "GET");
  }
  if (edit_response(plan, answer.head) == AnswerBody::kDrop) {
    answer.body.clear();
  } else if (plan.edits_response_body() && !answer.body.empty()) {
    auto edited = edit_response_body(plan, answer.head.fields, answer.body);
    if (edited) answer.body = *std::move(edited);  // a mock in a coding that it is not in stays as it was given
  }
  if (request_method == "HEAD") answer.body.clear();
  return answer;
}

}  // namespace sluice::rules

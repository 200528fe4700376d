#include "rules/rule_checks.h"

#include <algorithm>
#include <string>

#include "base/json_pointer.h"
#include "base/text.h"
#include "base/url.h"
#include "http/fields.h"
#include "http/framing.h"
#include "rules/apply.h"

namespace sluice::rules {
namespace {

std::string at(std::string_view member, std::string_view name) {
  return std::string(member) + "." + repair_utf8(name.substr(0, 64));
}

Status check_field_name(std::string_view member, std::string_view name) {
  if (http::is_token(name)) return {};
  return fail(Code::kInvalid, std::string(member) + ": \"" + repair_utf8(name.substr(0, 64)) +
                                  "\" is not a header name (letters, digits and !#$%&'*+-.^_`|~)");
}

// RFC 9110 §5.5: CR, LF and NUL would end the field or worse; blanks at the ends are not part of a value.
Status check_field_value(std::string_view member, std::string_view name, std::string_view value) {
  if (!http::is_field_value(value)) {
    return fail(Code::kInvalid, at(member, name) + " holds a line break or NUL: no header value can");
  }
  return {};
}

Status check_count(std::string_view member, std::size_t count, std::size_t most) {
  if (count <= most) return {};
  return fail(Code::kTooLarge, std::string(member) + " has more than " + std::to_string(most) + " entries");
}

Status check_octets(std::string_view member, std::size_t octets) {
  if (octets <= kMaxHeaderOctets) return {};
  return fail(Code::kTooLarge, std::string(member) + " holds more than 256 KiB");
}

Status check_headers(std::string_view member, const std::vector<std::pair<std::string, std::string>>& headers) {
  SLUICE_CHECK(check_count(member, headers.size(), kMaxHeaders));
  std::size_t octets = 0;
  for (const auto& [name, value] : headers) {
    SLUICE_CHECK(check_field_name(member, name));
    SLUICE_CHECK(check_field_value(member, name, value));
    octets += name.size() + value.size();
  }
  return check_octets(member, octets);
}

// Sluice frames what it sends: a length or coding set by hand would let two ends read one message differently.
Status check_edits(const std::string& member, const HeaderEdits& edits) {
  SLUICE_CHECK(check_count(member, edits.size(), kMaxHeaders));
  std::size_t octets = 0;
  for (const auto& [name, value] : edits) {
    SLUICE_CHECK(check_field_name(member, name));
    if (value) SLUICE_CHECK(check_field_value(member, name, *value));
    if (http::is_framing_field(name)) {
      return fail(Code::kInvalid, at(member, name) + " cannot be edited: Sluice sets the length to what it sends");
    }
    octets += name.size() + (value ? value->size() : 0);
  }
  return check_octets(member, octets);
}

// 1xx are no final answers: a client would go on waiting (RFC 9110 §15.2).
Status check_status(std::string_view member, int status) {
  if (status >= 200 && status <= 599) return {};
  if (status >= 100 && status < 200) {
    return fail(Code::kInvalid,
                std::string(member) + " is an interim status (1xx): it cannot be the answer to a request");
  }
  return fail(Code::kInvalid, std::string(member) + " must be from 200 to 599");
}

Status check_pairs(const std::string& member, const Replacements& pairs) {
  SLUICE_CHECK(check_count(member, pairs.size(), kMaxBodyEdits));
  for (const auto& [search, replacement] : pairs) {
    if (search.size() > kMaxText || replacement.size() > kMaxText) {
      return fail(Code::kTooLarge, member + " holds a text of more than 16 MiB");
    }
  }
  return {};
}

Status check_transform(const std::string& member, const std::optional<Transform>& transform) {
  if (!transform) return {};
  SLUICE_CHECK(check_edits(member + ".updateHeaders", transform->update_headers));
  const std::string& method = transform->replace_method;
  if (!method.empty() && (!http::is_token(method) || iequals(method, "CONNECT"))) {
    return fail(Code::kInvalid, member + ".replaceMethod must be an HTTP method other than CONNECT");
  }
  if (transform->replace_status) SLUICE_CHECK(check_status(member + ".replaceStatus", *transform->replace_status));
  if (transform->set_body && transform->set_body->size() > kMaxText) {
    return fail(Code::kTooLarge, member + ".setBody is over 16 MiB");
  }
  SLUICE_CHECK(check_pairs(member + ".matchReplaceBody", transform->match_replace_body));
  SLUICE_CHECK(check_pairs(member + ".regexReplaceBody", transform->regex_replace_body));
  SLUICE_CHECK(check_count(member + ".jsonEdits", transform->json_edits.size(), kMaxBodyEdits));
  for (const JsonEdit& edit : transform->json_edits) {
    auto good = check_pointer(edit.pointer);
    if (!good) return fail(std::move(good.error()).with_context(member + ".jsonEdits"));
  }
  return {};
}

// Fields of one type on another would be silently without effect: the contract's own are tolerated, ours are not.
Status check_belongs(bool given, std::string_view field, HandlerType type, HandlerType wanted, std::string_view name) {
  if (!given || type == wanted) return {};
  return fail(Code::kInvalid, "handler." + std::string(field) + " is for " + std::string(name));
}

Status check_own_fields(const Handler& handler) {
  const HandlerType type = handler.type;
  SLUICE_CHECK(check_belongs(!handler.location.empty(), "location", type, HandlerType::kRedirect, "redirect"));
  SLUICE_CHECK(check_belongs(!handler.path.empty(), "path", type, HandlerType::kFile, "file"));
  SLUICE_CHECK(check_belongs(!handler.url_pattern.empty(), "urlPattern", type, HandlerType::kRewrite, "rewrite"));
  SLUICE_CHECK(check_belongs(!handler.replacement.empty(), "replacement", type, HandlerType::kRewrite, "rewrite"));
  SLUICE_CHECK(check_belongs(handler.timeout_ms.has_value(), "timeoutMs", type, HandlerType::kHold, "hold"));
  SLUICE_CHECK(check_belongs(handler.hold_on != HoldOn::kRequest, "holdOn", type, HandlerType::kHold, "hold"));
  if (handler.transform_message && !handler.transforms()) {
    return fail(Code::kInvalid, "handler.transformMessage is for what goes on to a server");
  }
  return {};
}

Status check_location(const Handler& handler) {
  const int status = handler.status.value_or(302);
  if (status < 300 || status > 399 || status == 304) {
    return fail(Code::kInvalid, "handler.status of a redirect must be from 300 to 399, but not 304");
  }
  if (handler.location.empty()) return fail(Code::kInvalid, "handler.location is required for redirect");
  for (const char c : handler.location) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= ' ' || octet >= 0x7f) {
      return fail(Code::kInvalid, "handler.location must be a URL: no blanks, nothing beyond ASCII (write %XX)");
    }
  }
  return check_octets("handler.location", handler.location.size());
}

// Beneath an allowed root: what leads out of it is refused here, and again when it is opened.
Status check_path(const Handler& handler) {
  if (handler.path.empty()) return fail(Code::kInvalid, "handler.path is required for file");
  std::string_view rest = handler.path;
  if (rest.front() == '/') rest.remove_prefix(1);
  if (rest.empty() || rest.back() == '/') return fail(Code::kInvalid, "handler.path names a file, not a folder");
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view step = rest.substr(0, end);
    if (step.empty() || step == "." || step == ".." || step.find('\0') != std::string_view::npos) {
      return fail(Code::kInvalid, "handler.path must not have empty, . or .. parts");
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

template <class Pairs>
ByteCount pairs_size(const Pairs& pairs) {
  ByteCount size = 0;
  for (const auto& [name, value] : pairs) size += name.size() + value.size();
  return size;
}

ByteCount transform_size(const std::optional<Transform>& transform) {
  if (!transform) return 0;
  ByteCount size = pairs_size(transform->match_replace_body) + pairs_size(transform->regex_replace_body);
  if (transform->set_body) size += transform->set_body->size();
  for (const JsonEdit& edit : transform->json_edits) size += edit.pointer.size() + dump_json(edit.value).size();
  for (const auto& [name, value] : transform->update_headers) size += name.size() + (value ? value->size() : 0);
  return size;
}

}  // namespace

ByteCount text_size(const RuleSpec& spec) {
  const Matcher& matcher = spec.matcher;
  const Handler& handler = spec.handler;
  return spec.description.size() + matcher.url_pattern.size() + matcher.path_pattern.size() +
         matcher.body_includes.size() + pairs_size(matcher.headers) + (handler.body ? handler.body->size() : 0) +
         pairs_size(handler.headers) + transform_size(handler.transform_request) +
         transform_size(handler.transform_response) + handler.replacement.size() +
         (handler.transform_message ? pairs_size(handler.transform_message->regex_replace) : 0);
}

Status check_host(std::string_view member, std::string_view host) {
  if (is_valid_host(host)) return {};
  for (const char c : host) {
    if (static_cast<unsigned char>(c) >= 128) {
      return fail(Code::kInvalid,
                  std::string(member) + " must be written as in the URL: xn--… for international names");
    }
  }
  if (host.find_first_of(":/") != std::string_view::npos) {
    return fail(Code::kInvalid, std::string(member) + " is a name alone, without scheme, port or path");
  }
  return fail(Code::kInvalid, std::string(member) + " is not a host name");
}

Status check_matcher(const Matcher& matcher) {
  if (!matcher.method.empty() && !http::is_token(matcher.method)) {
    return fail(Code::kInvalid, "matcher.method must be an HTTP method");
  }
  SLUICE_CHECK(check_headers("matcher.headers", matcher.headers));
  const std::string& protocol = matcher.protocol;
  if (!protocol.empty() && protocol != "http/1.1" && protocol != "h2" && protocol != "websocket") {
    return fail(Code::kInvalid, "matcher.protocol must be http/1.1, h2 or websocket");
  }
  if (matcher.status_code && (*matcher.status_code < 200 || *matcher.status_code > 999)) {
    return fail(Code::kInvalid, "matcher.statusCode must be from 200 to 999");
  }
  if (matcher.asks_answer() && !matcher.body_includes.empty()) {
    return fail(Code::kInvalid, std::string(matcher.status_code ? "matcher.statusCode" : "matcher.phase response") +
                                    " is asked when the request has gone: not together with bodyIncludes");
  }
  if (matcher.body_includes.size() > kMaxText) return fail(Code::kTooLarge, "matcher.bodyIncludes is over 16 MiB");
  return {};
}

Status check_handler(const Handler& handler) {
  if (handler.status && (handler.type == HandlerType::kMock || handler.type == HandlerType::kFile)) {
    SLUICE_CHECK(check_status("handler.status", *handler.status));
  }
  if (handler.body && handler.body->size() > kMaxText) return fail(Code::kTooLarge, "handler.body is over 16 MiB");
  SLUICE_CHECK(check_headers("handler.headers", handler.headers));
  SLUICE_CHECK(check_transform("handler.transformRequest", handler.transform_request));
  SLUICE_CHECK(check_transform("handler.transformResponse", handler.transform_response));
  SLUICE_CHECK(check_own_fields(handler));
  if (handler.type == HandlerType::kRedirect) return check_location(handler);
  if (handler.type == HandlerType::kFile) return check_path(handler);
  if (handler.type == HandlerType::kRewrite && handler.url_pattern.empty()) {
    return fail(Code::kInvalid, "handler.urlPattern is required for rewrite");
  }
  if (handler.type != HandlerType::kForward) return {};
  if (handler.forward_to.empty()) {
    return fail(Code::kInvalid, "handler.forwardTo is required for forward: host, host:port or scheme://host[:port]");
  }
  auto target = parse_forward_target(handler.forward_to);
  if (!target) return fail(std::move(target.error()).with_context("handler.forwardTo"));
  return {};
}

}  // namespace sluice::rules

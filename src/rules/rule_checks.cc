#include "rules/rule_checks.h"

#include <string>

#include "base/text.h"
#include "base/url.h"
#include "http/fields.h"
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
    if (iequals(name, "content-length") || iequals(name, "transfer-encoding")) {
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

Status check_transform(const std::string& member, const std::optional<Transform>& transform) {
  if (!transform) return {};
  SLUICE_CHECK(check_edits(member + ".updateHeaders", transform->update_headers));
  const std::string& method = transform->replace_method;
  if (!method.empty() && (!http::is_token(method) || iequals(method, "CONNECT"))) {
    return fail(Code::kInvalid, member + ".replaceMethod must be an HTTP method other than CONNECT");
  }
  if (transform->replace_status) SLUICE_CHECK(check_status(member + ".replaceStatus", *transform->replace_status));
  SLUICE_CHECK(check_count(member + ".matchReplaceBody", transform->match_replace_body.size(), kMaxBodyEdits));
  for (const auto& [search, replacement] : transform->match_replace_body) {
    if (search.size() > kMaxText || replacement.size() > kMaxText) {
      return fail(Code::kTooLarge, member + ".matchReplaceBody holds a text of more than 16 MiB");
    }
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
  ByteCount size = pairs_size(transform->match_replace_body);
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
         transform_size(handler.transform_response);
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
  if (matcher.body_includes.size() > kMaxText) return fail(Code::kTooLarge, "matcher.bodyIncludes is over 16 MiB");
  return {};
}

Status check_handler(const Handler& handler) {
  if (handler.status && handler.type == HandlerType::kMock)
    SLUICE_CHECK(check_status("handler.status", *handler.status));
  if (handler.body && handler.body->size() > kMaxText) return fail(Code::kTooLarge, "handler.body is over 16 MiB");
  SLUICE_CHECK(check_headers("handler.headers", handler.headers));
  SLUICE_CHECK(check_transform("handler.transformRequest", handler.transform_request));
  SLUICE_CHECK(check_transform("handler.transformResponse", handler.transform_response));
  if (handler.type != HandlerType::kForward) return {};
  if (handler.forward_to.empty()) {
    return fail(Code::kInvalid, "handler.forwardTo is required for forward: host, host:port or scheme://host[:port]");
  }
  auto target = parse_forward_target(handler.forward_to);
  if (!target) return fail(std::move(target.error()).with_context("handler.forwardTo"));
  return {};
}

}  // namespace sluice::rules

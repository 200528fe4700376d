#include "replay/request.h"

#include <fmt/format.h>

#include "http/framing.h"

namespace sluice::replay {
namespace {

http::Version version_of(Bytes head) {
  const Bytes line = head.substr(0, head.find('\n'));
  if (line.find(" HTTP/2") != Bytes::npos) return http::Version::kHttp2;
  return line.find(" HTTP/1.0") != Bytes::npos ? http::Version::kHttp10 : http::Version::kHttp11;
}

// The start line as it stood says the same as method, target and version.
std::string kept_start_line(const flow::Exchange& exchange, http::Version version) {
  if (version == http::Version::kHttp2) return "";
  const std::string& head = exchange.request.head;
  const std::string line = head.substr(0, head.find('\n') + 1);
  const std::string wanted = exchange.method + ' ' + exchange.target + ' ';
  return line.starts_with(wanted) ? line : "";
}

http::RequestHead recorded_head(const flow::Exchange& exchange) {
  http::RequestHead head;
  head.method = exchange.method;
  head.target = exchange.target;
  head.version = version_of(exchange.request.head);
  head.start_line = kept_start_line(exchange, head.version);
  head.fields = flow::parse_fields(exchange.request.head);
  return head;
}

Status set_fields(http::RequestHead& head, const Overrides& overrides) {
  for (const auto& [name, value] : overrides.fields) {
    if (!http::is_token(name)) return fail(Code::kInvalid, fmt::format("\"{}\" is no header name", name));
    if (http::is_framing_field(name)) {
      return fail(Code::kInvalid, fmt::format("{} follows from the body and cannot be set", name));
    }
    if (!value) {
      head.fields.erase(name);
      continue;
    }
    if (!http::is_field_value(*value)) {
      return fail(Code::kInvalid, fmt::format("the value of {} holds a line break or NUL", name));
    }
    head.fields.set(name, *value);
  }
  return {};
}

}  // namespace

bool is_safe_method(std::string_view method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

Url recorded_url(const flow::Exchange& exchange) {
  return {exchange.scheme, exchange.host, exchange.port, exchange.target};
}

Url rebased(const flow::Exchange& exchange, const Url& base) {
  Url url = recorded_url(exchange);
  url.scheme = base.scheme;
  url.host = base.host;
  url.port = base.port;
  std::string path = base.target.substr(0, base.target.find('?'));
  while (path.ends_with('/')) path.pop_back();
  if (url.target.starts_with('/')) url.target.insert(0, path);
  return url;
}

Status check_replayable(const flow::Exchange& exchange, const Overrides& overrides) {
  const bool http = exchange.protocol == flow::Protocol::kHttp1 || exchange.protocol == flow::Protocol::kHttp2;
  if (!http || exchange.method == "CONNECT" || exchange.request.head.empty() ||
      http::is_upgrade(recorded_head(exchange))) {
    return fail(Code::kRefused, "it is a socket or a tunnel, no request with an answer");
  }
  if (exchange.target == "*") return fail(Code::kRefused, "it asks about the server itself (\"*\")");
  const flow::BodyInfo& body = exchange.request.body;
  if (!overrides.content && !(body.complete && (body.ended || body.size == 0))) {
    return fail(Code::kRefused, "its body was not recorded whole (profile preview, or it was cut off)");
  }
  return {};
}

Result<proxy::SendRequest> make_request(const flow::Exchange& exchange, std::string content,
                                        const Overrides& overrides) {
  SLUICE_CHECK(check_replayable(exchange, overrides));
  const Url url = overrides.url.value_or(recorded_url(exchange));
  if (url.scheme != "http" && url.scheme != "https") return fail(Code::kInvalid, "the URL is neither http nor https");
  proxy::SendRequest request;
  request.head = recorded_head(exchange);
  http::RequestHead& head = request.head;
  if (url.target != head.target) {
    head.target = url.target;
    head.start_line.clear();
  }
  if (url.scheme != exchange.scheme || url.host != exchange.host || url.port != exchange.port) {
    head.fields.set("Host", authority_text(url.host, url.port, default_port(url.scheme)));
    // HTTP/2 without TLS is spoken by those alone who are known to.
    if (head.version == http::Version::kHttp2 && url.scheme == "http") head.version = http::Version::kHttp11;
  }
  if (overrides.method) {
    if (!http::is_token(*overrides.method)) return fail(Code::kInvalid, "the method is no token (RFC 9110 §9.1)");
    head.method = *overrides.method;
    head.start_line.clear();
  }
  SLUICE_CHECK(set_fields(head, overrides));
  if (overrides.content) {
    content = *overrides.content;
    head.fields.erase("transfer-encoding");
    head.fields.erase("trailer");
    if (content.empty() && (!overrides.method || is_safe_method(head.method)))
      head.fields.erase("content-length");
    else
      head.fields.set("Content-Length", std::to_string(content.size()));
  }
  request.content = std::move(content);
  request.scheme = url.scheme;
  request.host = url.host;
  request.port = url.port;
  return request;
}

}  // namespace sluice::replay

#include "flow/exchange.h"

#include <charconv>

#include "base/text.h"
#include "base/url.h"

namespace sluice::flow {

std::string_view to_string(State state) {
  switch (state) {
    case State::kOpen:
      return "open";
    case State::kDone:
      return "done";
    case State::kFailed:
      return "failed";
    case State::kAborted:
      return "aborted";
    case State::kDropped:
      return "dropped";
  }
  return "";
}

std::string_view to_string(Direction direction) { return direction == Direction::kRequest ? "request" : "response"; }

std::string_view to_string(Source source) {
  switch (source) {
    case Source::kExplicit:
      return "explicit";
    case Source::kTransparent:
      return "transparent";
    case Source::kInternal:
      return "internal";
  }
  return "";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kHttp1:
      return "http/1.1";
    case Protocol::kHttp2:
      return "h2";
    case Protocol::kWebSocket:
      return "websocket";
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kTls:
      return "tls";
  }
  return "";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kClientTls:
      return "client_tls";
    case Phase::kRequestHead:
      return "request_head";
    case Phase::kRequestBody:
      return "request_body";
    case Phase::kRule:
      return "rule";
    case Phase::kResolve:
      return "resolve";
    case Phase::kConnect:
      return "connect";
    case Phase::kUpstreamTls:
      return "upstream_tls";
    case Phase::kSend:
      return "send";
    case Phase::kFirstByte:
      return "first_byte";
    case Phase::kResponseHead:
      return "response_head";
    case Phase::kResponseBody:
      return "response_body";
    case Phase::kTunnel:
      return "tunnel";
  }
  return "";
}

std::string url_of(const Exchange& exchange) {
  std::string url;
  append_url(url, exchange.scheme, exchange.host, exchange.port, exchange.target);
  return url;
}

void append_url(std::string& out, std::string_view scheme, std::string_view host, std::uint16_t port,
                std::string_view target) {
  out.append(scheme).append("://");
  const bool bracketed = host.find(':') != host.npos;
  if (bracketed) out += '[';
  out.append(host);
  if (bracketed) out += ']';
  if (port != default_port(scheme)) {
    char digits[8];
    const auto end = std::to_chars(digits, digits + sizeof(digits), port).ptr;
    out += ':';
    out.append(digits, end);
  }
  out.append(target);
}

namespace {

// The next line with its line end, taken off `rest`.
Bytes take_line(Bytes& rest) {
  const std::size_t end = rest.find('\n');
  const Bytes line = rest.substr(0, end == rest.npos ? rest.size() : end + 1);
  rest.remove_prefix(line.size());
  return line;
}

std::string_view without_line_end(Bytes line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool begins_blank(Bytes line) { return line.starts_with(' ') || line.starts_with('\t'); }

// A start line, or a last-chunk line before trailers: no field name can look like one, since "/" and blanks are no
// token octets, and a chunk size has no colon before its end or an extension.
bool is_field(std::string_view line, std::size_t colon) {
  if (colon == line.npos) return false;
  std::string_view name = line.substr(0, colon);
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);  // an answer's blank before the colon
  return http::is_token(name);
}

struct RawField {
  Bytes raw;  // with its line ends
  std::size_t name_length = 0;
  std::string_view value;  // of its first line
  bool folded = false;
};

// The next one; nullopt: there is none.
std::optional<RawField> take_field(Bytes& rest) {
  while (!rest.empty()) {
    const Bytes whole = rest;
    const Bytes line = take_line(rest);
    const std::string_view text = without_line_end(line);
    const std::size_t colon = text.find(':');
    RawField field{{}, 0, {}, false};
    std::size_t length = line.size();
    while (begins_blank(rest) && !text.empty()) {
      length += take_line(rest).size();
      field.folded = true;
    }
    if (!is_field(text, colon)) continue;
    field.raw = whole.substr(0, length);
    field.name_length = text.substr(0, colon).find_last_not_of(" \t") + 1;
    field.value = text.substr(colon + 1);
    return field;
  }
  return std::nullopt;
}

// RFC 9112 §5.2: a folded line continues the value after one blank.
std::string unfolded(const RawField& field) {
  std::string value(trim(field.value));
  Bytes rest = field.raw;
  take_line(rest);
  while (!rest.empty()) {
    const auto more = trim(without_line_end(take_line(rest)));
    if (!more.empty()) value.append(" ").append(more);
  }
  return value;
}

}  // namespace

http::FieldList parse_fields(Bytes raw_head) {
  http::FieldList fields;
  fields.reserve(raw_head.size(), 32);
  Bytes rest = raw_head;
  while (const auto field = take_field(rest)) {
    if (field->folded) {
      fields.append_folded(field->raw, field->name_length, unfolded(*field));
      continue;
    }
    const std::string_view value = trim(field->value);
    const std::string_view at = value.empty() ? field->value.substr(0, 0) : value;
    fields.append_raw(field->raw, field->name_length, static_cast<std::size_t>(at.data() - field->raw.data()),
                      value.size());
  }
  return fields;
}

std::optional<std::string> find_field(Bytes raw_head, std::string_view name) {
  Bytes rest = raw_head;
  while (const auto field = take_field(rest)) {
    if (!iequals(field->raw.substr(0, field->name_length), name)) continue;
    return field->folded ? unfolded(*field) : std::string(trim(field->value));
  }
  return std::nullopt;
}

std::string_view reason_of(Bytes raw_head) {
  std::string_view line = without_line_end(take_line(raw_head));
  if (!line.starts_with("HTTP/")) return "";
  for (int part = 0; part < 2; ++part) {  // version, status
    const std::size_t blank = line.find(' ');
    if (blank == line.npos) return "";
    line.remove_prefix(blank + 1);
    while (line.starts_with(' ')) line.remove_prefix(1);
  }
  return trim(line);
}

}  // namespace sluice::flow

#include "http/framing.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"

namespace sluice::http {
namespace {

// Many readers keep lengths in signed 64 bits; a length that only some can hold could be read two ways.
constexpr ByteCount kMaxLength = std::numeric_limits<std::int64_t>::max();

std::optional<ByteCount> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  ByteCount value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<ByteCount>(c - '0');
    if (value > (kMaxLength - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

struct Length {
  std::optional<ByteCount> value;
  AnomalySet anomalies = 0;
};

// RFC 9110 §8.6, RFC 9112 §6.3 (5): one length, or the same one several times, in fields or in a list.
Result<Length> content_length(const FieldList& fields) {
  Length out;
  constexpr std::string_view kName = "content-length";
  for (std::size_t i = fields.next_named(kName); i < fields.size(); i = fields.next_named(kName, i + 1)) {
    std::string_view list = fields.value(i);
    for (bool more = true; more;) {
      const auto comma = list.find(',');
      more = comma != list.npos;
      const auto length = parse_decimal(trim(list.substr(0, comma)));
      if (!length) return fail(Code::kInvalid, "Content-Length is no plain decimal number (RFC 9112 §6.3)");
      if (out.value && *out.value != *length) {
        return fail(Code::kInvalid, "the message has differing Content-Length values (RFC 9112 §6.3)");
      }
      if (out.value) out.anomalies |= bit(Anomaly::kRepeatedLength);
      out.value = length;
      if (more) list.remove_prefix(comma + 1);
    }
  }
  return out;
}

enum class Coding { kAbsent, kChunked };

// RFC 9112 §6.1. Codings other than chunked exist on paper only; what one end undoes and the other does not is a
// second reading, and so is chunked spelled as a list.
Result<Coding> transfer_coding(const FieldList& fields, Version version) {
  constexpr std::string_view kName = "transfer-encoding";
  const std::size_t at = fields.next_named(kName);
  if (at == fields.size()) return Coding::kAbsent;
  if (version == Version::kHttp10) {
    return fail(Code::kInvalid, "Transfer-Encoding came with HTTP/1.0 (RFC 9112 §6.1)");
  }
  if (fields.next_named(kName, at + 1) < fields.size()) {
    return fail(Code::kInvalid, "the message has more than one Transfer-Encoding (RFC 9112 §6.1)");
  }
  if (!iequals(fields.value(at), "chunked")) {
    return fail(Code::kInvalid, "Transfer-Encoding is something else than chunked (RFC 9112 §6.1)");
  }
  return Coding::kChunked;
}

Result<BodyFraming> declared_framing(const FieldList& fields, Version version, Framing otherwise) {
  SLUICE_TRY(const Coding coding, transfer_coding(fields, version));
  SLUICE_TRY(const Length length, content_length(fields));
  if (coding == Coding::kChunked) {
    if (length.value) {
      return fail(Code::kInvalid, "the message has both Content-Length and Transfer-Encoding (RFC 9112 §6.1)");
    }
    return BodyFraming{Framing::kChunked, 0, 0};
  }
  if (length.value) return BodyFraming{Framing::kLength, *length.value, length.anomalies};
  return BodyFraming{otherwise, 0, 0};
}

bool keeps_alive(const FieldList& fields, Version version, bool to_proxy) {
  if (version == Version::kHttp2) return true;
  const bool old_spelling = to_proxy && fields.count("connection") == 0;
  const std::string_view name = old_spelling ? "proxy-connection" : "connection";
  if (fields.has_token(name, "close")) return false;
  return version == Version::kHttp11 || fields.has_token(name, "keep-alive");
}

// RFC 3986 §3.2.2 without ',' (two Host fields joined on their way) and with brackets and the port's colon.
constexpr std::array<bool, 256> kHostOctets = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (const char c : std::string_view("-._~%!$&'()*+;=:[]")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_host_octet(char c) { return kHostOctets[static_cast<unsigned char>(c)]; }

bool is_host_value(std::string_view value) {
  if (!std::all_of(value.begin(), value.end(), is_host_octet)) return false;
  std::string_view port;
  if (value.starts_with('[')) {
    const auto end = value.find(']');
    if (end == value.npos || value.find_first_of("[]", 1) != end) return false;
    port = value.substr(end + 1);
    if (!port.empty() && port.front() != ':') return false;
  } else {
    if (value.find_first_of("[]") != value.npos) return false;
    const auto colon = value.find(':');
    if (colon == 0) return false;
    if (colon != value.npos) port = value.substr(colon);
  }
  if (!port.empty()) port.remove_prefix(1);
  return std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<BodyFraming> request_framing(const RequestHead& head) {
  SLUICE_TRY(BodyFraming framing, declared_framing(head.fields, head.version, Framing::kNone));
  if (head.method == "CONNECT" && (framing.kind == Framing::kChunked || framing.length > 0)) {
    // RFC 9110 §9.3.6: content in a CONNECT has no meaning; one hop's content is the other's tunnel.
    return fail(Code::kInvalid, "a CONNECT request has content (RFC 9110 §9.3.6)");
  }
  if (framing.kind == Framing::kLength && framing.length == 0) framing.kind = Framing::kNone;
  return framing;
}

Result<BodyFraming> response_framing(const ResponseHead& head, std::string_view request_method) {
  // RFC 9112 §6.3 (1): whatever the fields say.
  if (request_method == "HEAD" || head.is_interim() || head.status == 204 || head.status == 304) return BodyFraming{};
  // RFC 9112 §6.3 (2): a tunnel.
  if (request_method == "CONNECT" && head.status >= 200 && head.status < 300) return BodyFraming{};
  SLUICE_TRY(BodyFraming framing, declared_framing(head.fields, head.version, Framing::kUntilClose));
  if (framing.kind == Framing::kLength && framing.length == 0) framing.kind = Framing::kNone;
  return framing;
}

Status check_host(const RequestHead& head) {
  constexpr std::string_view kName = "host";
  const std::size_t at = head.fields.next_named(kName);
  if (at < head.fields.size() && head.fields.next_named(kName, at + 1) < head.fields.size()) {
    return fail(Code::kInvalid, "the request has more than one Host (RFC 9112 §3.2)");
  }
  if (at == head.fields.size()) {
    if (head.version == Version::kHttp10) return {};
    return fail(Code::kInvalid, "the request has no Host (RFC 9112 §3.2)");
  }
  if (!is_host_value(head.fields.value(at))) {
    return fail(Code::kInvalid, "Host is no host with an optional port (RFC 9112 §3.2)");
  }
  return {};
}

std::optional<std::string> host_field(const RequestHead& head) {
  const auto value = head.fields.find("host");
  if (!value) return std::nullopt;
  return std::string(*value);
}

bool is_framing_field(std::string_view name) {
  return iequals(name, "content-length") || iequals(name, "transfer-encoding");
}

bool is_upgrade(const RequestHead& head) {
  // RFC 9110 §7.8: ignored in an HTTP/1.0 request.
  if (head.version != Version::kHttp11) return false;
  const auto protocol = head.fields.find("upgrade");
  return protocol && !protocol->empty() && head.fields.has_token("connection", "upgrade");
}

bool is_upgrade(const ResponseHead& head) { return head.status == 101; }

AnomalySet connection_anomalies(const FieldList& fields) {
  static constexpr std::array<std::string_view, 9> kEndToEnd = {
      "host", "content-length", "content-type", "cache-control", "authorization", "cookie", "origin", "range", "date"};
  constexpr std::string_view kName = "connection";
  for (std::size_t i = fields.next_named(kName); i < fields.size(); i = fields.next_named(kName, i + 1)) {
    if (iequals(fields.value(i), "keep-alive") || iequals(fields.value(i), "close")) continue;  // nearly always
    for (std::string_view part : split(fields.value(i), ',')) {
      for (std::string_view name : kEndToEnd) {
        if (iequals(trim(part), name)) return bit(Anomaly::kConnectionField);
      }
    }
  }
  return 0;
}

bool keeps_alive(const RequestHead& head) { return keeps_alive(head.fields, head.version, true); }
bool keeps_alive(const ResponseHead& head) { return keeps_alive(head.fields, head.version, false); }

}  // namespace sluice::http

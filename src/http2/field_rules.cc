#include "http2/field_rules.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "base/text.h"
#include "http/fields.h"
#include "http/token.h"

namespace sluice::http2 {
namespace {

// RFC 9113 §8.2.1: octets of a token, but for upper case.
constexpr std::array<bool, 256> kNameOctets = [] {
  std::array<bool, 256> table = http::kTokenOctets;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = false;
  return table;
}();

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// RFC 3986 §3.2.2, without userinfo's '@' and without ',' (two names joined on their way).
bool is_host_octet(char c) {
  return is_alphanumeric(c) || std::string_view("-._~%!$&'()*+;=:[]").find(c) != std::string_view::npos;
}

// A name or an address in brackets, and perhaps a port.
bool is_host(std::string_view value) {
  if (value.empty() || !std::all_of(value.begin(), value.end(), is_host_octet)) return false;
  std::string_view rest;
  if (value.front() == '[') {
    const auto end = value.find(']');
    if (end == value.npos || value.find_first_of("[]", 1) != end) return false;
    rest = value.substr(end + 1);
  } else {
    if (value.find_first_of("[]") != value.npos) return false;
    rest = value.substr(std::min(value.find(':'), value.size()));
    if (rest.size() == value.size()) return false;  // a port alone
  }
  return rest.empty() || (rest.front() == ':' && is_digits(rest.substr(1)));
}

}  // namespace

std::string_view check_name(std::string_view name) {
  for (const char c : name) {
    if (kNameOctets[static_cast<unsigned char>(c)]) continue;
    if (c >= 'A' && c <= 'Z') return "a field name holds upper-case letters (RFC 9113 §8.2.1)";
    return "a field name is no token (RFC 9113 §8.2.1)";
  }
  return name.empty() ? "a field has no name (RFC 9113 §8.2.1)" : "";
}

std::string_view check_value(std::string_view value) {
  if (value.empty()) return "";
  if (is_blank(value.front()) || is_blank(value.back())) {
    return "a field value begins or ends with a blank (RFC 9113 §8.2.1)";
  }
  return http::is_field_value(value) ? "" : "a field value holds NUL, CR or LF (RFC 9113 §8.2.1)";
}

bool is_connection_field(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 2:
      return name == "te" && !iequals(value, "trailers");
    case 7:
      return name == "upgrade";
    case 10:
      return name == "connection" || name == "keep-alive";
    case 16:
      return name == "proxy-connection";
    case 17:
      return name == "transfer-encoding";
    default:
      return false;
  }
}

std::string_view check_method(std::string_view value) {
  return http::is_token(value) ? "" : ":method is no token (RFC 9113 §8.3.1, RFC 9110 §9.1)";
}

std::string_view check_scheme(std::string_view value) {
  const bool letter_first = !value.empty() && is_alphanumeric(value.front()) && !is_digits(value.substr(0, 1));
  const auto allowed = [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; };
  if (letter_first && std::all_of(value.begin(), value.end(), allowed)) return "";
  return ":scheme is no scheme (RFC 9113 §8.3.1, RFC 3986 §3.1)";
}

std::string_view check_path(std::string_view value) {
  if (value.empty()) return ":path is empty (RFC 9113 §8.3.1)";
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet == 0x7f) return ":path holds a blank or a control character (RFC 9113 §8.3.1)";
  }
  return "";
}

std::string_view check_authority(std::string_view value) {
  if (is_host(value)) return "";
  if (value.find('@') != value.npos) return "the authority holds user information (RFC 9113 §8.3.1)";
  return "the authority is no host with an optional port (RFC 9113 §8.3.1)";
}

std::optional<int> parse_status(std::string_view value) {
  if (value.size() != 3 || !is_digits(value) || value.front() == '0') return std::nullopt;
  return (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
}

std::optional<ByteCount> parse_length(std::string_view value) {
  // As in HTTP/1: a length that only some readers can hold could be read two ways.
  constexpr ByteCount kMax = std::numeric_limits<std::int64_t>::max();
  if (value.empty() || !is_digits(value)) return std::nullopt;
  ByteCount length = 0;
  for (const char c : value) {
    const auto digit = static_cast<ByteCount>(c - '0');
    if (length > (kMax - digit) / 10) return std::nullopt;
    length = length * 10 + digit;
  }
  return length;
}

}  // namespace sluice::http2

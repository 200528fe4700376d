#include "base/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace sluice {
namespace {

constexpr std::size_t kMaxHost = 253;  // RFC 1035 §3.1, without the trailing dot
constexpr std::size_t kMaxLabel = 63;

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// inet_pton wants a C string; it accepts the one textual form that cannot be read two ways (no octal, no short forms).
bool parses_as(int family, std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN + 1> copy{};
  if (text.empty() || text.size() >= copy.size() || text.find('\0') != text.npos) return false;
  std::copy(text.begin(), text.end(), copy.begin());
  std::array<unsigned char, sizeof(in6_addr)> address;
  return ::inet_pton(family, copy.data(), address.data()) == 1;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const bool plain = text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
  if (plain) std::from_chars(text.data(), text.data() + text.size(), value);
  if (!plain || value == 0 || value > 65535) return fail(Code::kInvalid, "the port is no number from 1 to 65535");
  return static_cast<std::uint16_t>(value);
}

// Takes "[v6]" or "name" from the front of `text`; what is left is "" or ":port".
Result<std::string> take_host(std::string_view& text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return fail(Code::kInvalid, "the bracket round the IPv6 address is not closed");
    const auto host = text.substr(1, end - 1);
    if (!is_ipv6_literal(host)) return fail(Code::kInvalid, "what stands in brackets is no IPv6 address");
    text.remove_prefix(end + 1);
    if (!text.empty() && text.front() != ':') return fail(Code::kInvalid, "there is something after the bracket");
    return to_lower(host);
  }
  const auto host = text.substr(0, text.find(':'));
  if (host.empty()) return fail(Code::kInvalid, "the host is missing");
  if (!is_valid_host(host)) return fail(Code::kInvalid, "the host is no valid name or address");
  text.remove_prefix(host.size());
  return to_lower(host);
}

}  // namespace

std::uint16_t default_port(std::string_view scheme) {
  if (scheme == "http" || scheme == "ws") return 80;
  if (scheme == "https" || scheme == "wss") return 443;
  return 0;
}

bool is_ipv6_literal(std::string_view host) { return parses_as(AF_INET6, host); }
bool is_ip_literal(std::string_view host) { return parses_as(AF_INET, host) || is_ipv6_literal(host); }

bool is_valid_host(std::string_view host) {
  if (is_ipv6_literal(host)) return true;
  if (host.ends_with('.')) host.remove_suffix(1);  // fully qualified
  if (host.empty() || host.size() > kMaxHost) return false;
  std::size_t label = 0;
  for (char c : host) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_') return false;
    if (++label > kMaxLabel) return false;
  }
  return label > 0;
}

Result<HostPort> parse_authority(std::string_view text, std::uint16_t default_port) {
  HostPort out;
  SLUICE_TRY(out.host, take_host(text));
  out.port = default_port;
  // RFC 3986 §3.2.3: "host:" means the default port.
  if (text.size() > 1) {
    SLUICE_TRY(out.port, parse_port(text.substr(1)));
  }
  if (out.port == 0) return fail(Code::kInvalid, "the port is missing");
  return out;
}

std::string authority_text(std::string_view host, std::uint16_t port, std::uint16_t default_port) {
  const bool brackets = host.find(':') != host.npos;
  std::string out;
  out.reserve(host.size() + 8);
  if (brackets) out += '[';
  out += host;
  if (brackets) out += ']';
  if (port != default_port) out.append(":").append(std::to_string(port));
  return out;
}

Result<Url> parse_url(std::string_view text) {
  const auto colon = text.find("://");
  if (colon == text.npos) return fail(Code::kInvalid, "a URL begins with a scheme, such as https://");
  Url url;
  url.scheme = to_lower(text.substr(0, colon));
  const auto port = default_port(url.scheme);
  if (port == 0) return fail(Code::kInvalid, "the URL's scheme is none of http, https, ws, wss");
  text.remove_prefix(colon + 3);

  // RFC 3986 §3.2: the authority ends at the first of these.
  const auto authority = text.substr(0, text.find_first_of("/?#"));
  text.remove_prefix(authority.size());
  if (authority.find('@') != authority.npos) {
    // RFC 9110 §4.2.4: userinfo is likely there to deceive.
    return fail(Code::kInvalid, "a user name in a URL is refused");
  }
  SLUICE_TRY(HostPort where, parse_authority(authority, port));
  url.host = std::move(where.host);
  url.port = where.port;

  text = text.substr(0, text.find('#'));
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return fail(Code::kInvalid, "the URL holds a blank or a control character");
  }
  if (text.starts_with('/')) {
    url.target = text;
  } else {
    url.target.append(text);  // "" or "?query"
  }
  return url;
}

std::string to_string(const Url& url) {
  std::string out = url.scheme + "://" + authority_text(url.host, url.port, default_port(url.scheme));
  out += url.target;
  return out;
}

}  // namespace sluice

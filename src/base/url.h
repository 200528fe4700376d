// Absolute http, https, ws and wss URLs, authorities, and IP literals. Pure; thread-safe.
// Deliberately small: it takes apart and puts together; it does not resolve relative references.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

struct HostPort {
  std::string host;  // lower case, no brackets round IPv6, no trailing dot removed
  std::uint16_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

struct Url {
  std::string scheme;        // lower case
  std::string host;          // lower case, no brackets
  std::uint16_t port = 0;    // the scheme's default where absent
  std::string target = "/";  // path and query as they stood; "/" where empty; the fragment is dropped
};

// RFC 3986 §3, userinfo refused (RFC 9110 §4.2.4). kInvalid with a sentence.
Result<Url> parse_url(std::string_view text);
// scheme://host[:port]target, the port left out where it is the scheme's default; IPv6 in brackets.
std::string to_string(const Url& url);

// "host", "host:port", "[v6]:port". kInvalid if neither; `default_port` where absent (0: a port is required).
Result<HostPort> parse_authority(std::string_view text, std::uint16_t default_port);
std::string authority_text(std::string_view host, std::uint16_t port, std::uint16_t default_port);

std::uint16_t default_port(std::string_view scheme);  // 0 if unknown
bool is_ip_literal(std::string_view host);            // IPv4 dotted quad or IPv6, no brackets
bool is_ipv6_literal(std::string_view host);
// A registered name that DNS could hold, or an IP literal: letters, digits, '-', '_', '.', up to 253 octets.
bool is_valid_host(std::string_view host);

}  // namespace sluice

// HAProxy's PROXY protocol, versions 1 (text) and 2 (binary): a header before the first octet of a connection with
// which a load balancer says who its client is. "The PROXY protocol", revision 2020/03/05, §2. Pure; thread-safe.
//
// A receiver never guesses: whoever is configured to send the header must, from nobody else is it taken (§2). TLVs are
// skipped. Version 2 is at most kMaxProxyHeader octets long, so that nobody makes us gather 64 KiB before a word.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/url.h"

namespace sluice::socks {

inline constexpr std::size_t kMaxProxyHeader = 4096;   // version 2; certificates in TLVs are about 2 KiB
inline constexpr std::size_t kMaxProxyHeaderV1 = 107;  // §2.1, with CRLF

struct ProxiedAddresses {
  HostPort source, destination;  // IP literals of one family
  friend bool operator==(const ProxiedAddresses&, const ProxiedAddresses&) = default;
};

struct ProxyHeader {
  std::size_t size = 0;  // octets that it takes up
  // Absent for LOCAL, UNKNOWN, UNSPEC, datagrams and Unix sockets: the connection's own addresses hold.
  std::optional<ProxiedAddresses> addresses;
};

// nullopt: more octets are needed. kInvalid: no PROXY header, or a malformed one; kTooLarge.
Result<std::optional<ProxyHeader>> parse_proxy_header(Bytes octets);

// kInvalid if the addresses are not literals of one family.
Result<std::string> write_proxy_v1(const ProxiedAddresses& addresses);
Result<std::string> write_proxy_v2(const ProxiedAddresses& addresses);

}  // namespace sluice::socks

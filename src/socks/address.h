// IP addresses and ports as SOCKS and the PROXY protocol write them: network byte order. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sluice::socks {

inline constexpr std::size_t kIpv4Octets = 4;
inline constexpr std::size_t kIpv6Octets = 16;

// "192.0.2.1", "2001:db8::1" from 4 or 16 octets.
std::string ip_text(Bytes octets);
// 4 or 16 octets; empty if it is no literal.
std::string ip_octets(std::string_view literal);

void append_port(std::string& out, std::uint16_t port);
std::uint16_t port_at(Bytes octets, std::size_t at);  // needs at + 2 octets

}  // namespace sluice::socks

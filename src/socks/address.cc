#include "socks/address.h"

#include <arpa/inet.h>

namespace sluice::socks {

std::string ip_text(Bytes octets) {
  char text[INET6_ADDRSTRLEN];
  const int family = octets.size() == kIpv4Octets ? AF_INET : AF_INET6;
  return ::inet_ntop(family, octets.data(), text, sizeof text) ? text : "";
}

std::string ip_octets(std::string_view literal) {
  const std::string text(literal);  // inet_pton wants a NUL behind it
  if (text.find('\0') != std::string::npos) return "";
  char octets[kIpv6Octets];
  if (::inet_pton(AF_INET, text.c_str(), octets) == 1) return std::string(octets, kIpv4Octets);
  if (::inet_pton(AF_INET6, text.c_str(), octets) == 1) return std::string(octets, kIpv6Octets);
  return "";
}

void append_port(std::string& out, std::uint16_t port) {
  out += static_cast<char>(port >> 8);
  out += static_cast<char>(port & 0xff);
}

std::uint16_t port_at(Bytes octets, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(octets[at]) << 8 |
                                    static_cast<unsigned char>(octets[at + 1]));
}

}  // namespace sluice::socks

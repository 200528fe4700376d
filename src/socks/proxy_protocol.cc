#include "socks/proxy_protocol.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"
#include "socks/address.h"

namespace sluice::socks {
namespace {

using Parsed = Result<std::optional<ProxyHeader>>;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kFixed2 = 16;  // signature, version and command, family, length

bool could_become(Bytes octets, std::string_view signature) {
  const std::size_t common = std::min(octets.size(), signature.size());
  return octets.substr(0, common) == signature.substr(0, common);
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kInvalid, "the PROXY protocol header " + std::string(what));
}

// §2.1: decimal, no leading zeros, up to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint16_t port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Parsed parse_v1(Bytes octets) {
  const std::size_t end = octets.substr(0, kMaxProxyHeaderV1).find("\r\n");
  if (end == Bytes::npos) {
    if (octets.size() >= kMaxProxyHeaderV1) return malformed("has no end");
    return std::optional<ProxyHeader>();
  }
  ProxyHeader header;
  header.size = end + 2;
  const auto words = split(octets.substr(0, end), ' ');
  if (words[1] == "UNKNOWN") return header;  // §2.1: whatever follows is ignored
  if (words.size() != 6) return malformed("has not the six parts of its first version");
  const std::size_t width = words[1] == "TCP4" ? kIpv4Octets : words[1] == "TCP6" ? kIpv6Octets : 0;
  if (width == 0) return malformed("names an unknown protocol");
  const auto source_port = parse_port(words[4]), destination_port = parse_port(words[5]);
  const std::string source = ip_octets(words[2]), destination = ip_octets(words[3]);
  if (source.size() != width || destination.size() != width || !source_port || !destination_port) {
    return malformed("has addresses or ports that are none");
  }
  header.addresses = {{ip_text(source), *source_port}, {ip_text(destination), *destination_port}};
  return header;
}

Parsed parse_v2(Bytes octets) {
  if (octets.size() < kFixed2) return std::optional<ProxyHeader>();
  const unsigned command = static_cast<unsigned char>(octets[12]), family = static_cast<unsigned char>(octets[13]);
  const std::size_t length = port_at(octets, 14);
  if (command >> 4 != 2) return malformed("has an unknown version");
  if ((command & 0xf) > 1) return malformed("has an unknown command");
  if (family >> 4 > 3 || (family & 0xf) > 2) return malformed("has an unknown address family");
  if (kFixed2 + length > kMaxProxyHeader) return fail(Code::kTooLarge, "the PROXY protocol header is too large");
  const bool local = (command & 0xf) == 0;
  const std::size_t width = family == 0x11 ? kIpv4Octets : family == 0x21 ? kIpv6Octets : 0;
  if (!local && length < 2 * width + (width == 0 ? 0 : 4)) return malformed("is too short for its addresses");
  if (octets.size() < kFixed2 + length) return std::optional<ProxyHeader>();
  ProxyHeader header;
  header.size = kFixed2 + length;
  if (local || width == 0) return header;
  header.addresses = {{ip_text(octets.substr(kFixed2, width)), port_at(octets, kFixed2 + 2 * width)},
                      {ip_text(octets.substr(kFixed2 + width, width)), port_at(octets, kFixed2 + 2 * width + 2)}};
  return header;
}

tl::unexpected<Error> not_of_one_family() {
  return fail(Code::kInvalid, "the PROXY protocol takes two IP addresses of one family");
}

}  // namespace

Parsed parse_proxy_header(Bytes octets) {
  if (octets.starts_with(kSignature1)) return parse_v1(octets);
  if (octets.starts_with(kSignature2)) return parse_v2(octets);
  if (could_become(octets, kSignature1) || could_become(octets, kSignature2)) return std::optional<ProxyHeader>();
  return malformed("is missing");
}

Result<std::string> write_proxy_v1(const ProxiedAddresses& addresses) {
  const std::string source = ip_octets(addresses.source.host), destination = ip_octets(addresses.destination.host);
  if (source.empty() || source.size() != destination.size()) return not_of_one_family();
  return std::string(source.size() == kIpv4Octets ? "PROXY TCP4 " : "PROXY TCP6 ") + ip_text(source) + ' ' +
         ip_text(destination) + ' ' + std::to_string(addresses.source.port) + ' ' +
         std::to_string(addresses.destination.port) + "\r\n";
}

Result<std::string> write_proxy_v2(const ProxiedAddresses& addresses) {
  const std::string source = ip_octets(addresses.source.host), destination = ip_octets(addresses.destination.host);
  if (source.empty() || source.size() != destination.size()) return not_of_one_family();
  std::string out(kSignature2);
  out += {0x21, static_cast<char>(source.size() == kIpv4Octets ? 0x11 : 0x21)};
  append_port(out, static_cast<std::uint16_t>(2 * source.size() + 4));
  out += source + destination;
  append_port(out, addresses.source.port);
  append_port(out, addresses.destination.port);
  return out;
}

}  // namespace sluice::socks

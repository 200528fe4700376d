// JA4 (TLS client only): the method is published by FoxIO under BSD-3-Clause (John Althouse). Nothing of JA4+ is here:
// that has another licence.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "fingerprint/digest.h"
#include "fingerprint/fingerprint.h"

namespace sluice::fingerprint {
namespace {

constexpr std::uint16_t kServerName = 0x0000, kAlpn = 0x0010;
constexpr std::size_t kHashDigits = 12;

std::string_view version_digits(const tls::ClientHello& hello) {
  std::uint16_t version = 0;
  for (const std::uint16_t offered : hello.supported_versions) {
    if (!tls::is_grease(offered)) version = std::max(version, offered);
  }
  if (version == 0) version = hello.legacy_version;
  switch (version) {
    case 0x0304:
      return "13";
    case 0x0303:
      return "12";
    case 0x0302:
      return "11";
    case 0x0301:
      return "10";
    case 0x0300:
      return "s3";
    case 0x0002:
      return "s2";
    default:
      return "00";
  }
}

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// The first and the last character of the first protocol. If either is no ASCII letter or digit: the first digit and
// the last digit of the whole name in hex, so that BA AD gives "bd".
std::string alpn_digits(const tls::ClientHello& hello) {
  if (hello.alpn.empty() || hello.alpn.front().empty()) return "00";
  const std::string& name = hello.alpn.front();
  if (is_alphanumeric(name.front()) && is_alphanumeric(name.back())) return {name.front(), name.back()};
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {kDigits[static_cast<unsigned char>(name.front()) >> 4],
          kDigits[static_cast<unsigned char>(name.back()) & 15]};
}

std::string joined_hex(const std::vector<std::uint16_t>& values) {
  std::string text;
  for (const std::uint16_t value : values) {
    if (!text.empty()) text += ',';
    fmt::format_to(std::back_inserter(text), "{:04x}", value);
  }
  return text;
}

std::vector<std::uint16_t> without_grease(const std::vector<std::uint16_t>& values) {
  std::vector<std::uint16_t> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [](std::uint16_t value) { return !tls::is_grease(value); });
  return kept;
}

std::string short_hash(const std::string& text) {
  return text.empty() ? std::string(kHashDigits, '0') : sha256_hex(text).substr(0, kHashDigits);
}

}  // namespace

Print ja4(const tls::ClientHello& hello) {
  std::vector<std::uint16_t> suites = without_grease(hello.cipher_suites);
  std::vector<std::uint16_t> extensions;
  for (const tls::Extension& extension : hello.extensions) extensions.push_back(extension.type);
  extensions = without_grease(extensions);
  const bool has_name = std::find(extensions.begin(), extensions.end(), kServerName) != extensions.end();
  const std::string head = fmt::format("t{}{}{:02}{:02}{}", version_digits(hello), has_name ? 'd' : 'i',
                                       std::min<std::size_t>(suites.size(), 99),
                                       std::min<std::size_t>(extensions.size(), 99), alpn_digits(hello));
  std::sort(suites.begin(), suites.end());
  std::erase_if(extensions, [](std::uint16_t type) { return type == kServerName || type == kAlpn; });
  std::sort(extensions.begin(), extensions.end());

  const std::string second = joined_hex(suites);
  std::string third = joined_hex(extensions);
  // No signature algorithms: no underscore either.
  const std::string schemes = joined_hex(without_grease(hello.signature_algorithms));
  if (!third.empty() && !schemes.empty()) third += '_' + schemes;
  return {fmt::format("{}_{}_{}", head, second, third),
          fmt::format("{}_{}_{}", head, short_hash(second), short_hash(third))};
}

}  // namespace sluice::fingerprint

// ClientHello and ServerHello as they stood on the wire. Pure parsers; bounded; every field is as sent, GREASE
// included. RFC 8446 §4.1.2, §4.1.3, §5.1; RFC 5246 §7.4.1; RFC 6066 §3; RFC 7301 §3.1; RFC 8701 (GREASE).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::tls {

struct Extension {
  std::uint16_t type = 0;
  std::string data;
};

struct ClientHello {
  std::uint16_t record_version = 0;
  std::uint16_t legacy_version = 0;
  std::string random;  // 32 octets
  std::string session_id;
  std::vector<std::uint16_t> cipher_suites;
  std::vector<std::uint8_t> compression_methods;
  std::vector<Extension> extensions;  // in wire order

  // Taken from the extensions:
  std::string sni;                // lower case; empty if absent
  std::vector<std::string> alpn;  // raw protocol names
  std::vector<std::uint16_t> supported_versions;
  std::vector<std::uint16_t> supported_groups;
  std::vector<std::uint8_t> point_formats;
  std::vector<std::uint16_t> signature_algorithms;
  std::string raw;  // the handshake message, header included, records joined
};

struct ServerHello {
  std::uint16_t legacy_version = 0;
  std::uint16_t selected_version = 0;  // supported_versions if present, else legacy_version
  std::uint16_t cipher_suite = 0;
  std::vector<Extension> extensions;
};

inline constexpr std::size_t kMaxClientHello = 64 * 1024;

constexpr bool is_grease(std::uint16_t value) { return (value & 0x0f0f) == 0x0a0a && (value >> 8) == (value & 0xff); }

// From the first octets of a connection: nullopt means "a ClientHello so far, feed more"; kInvalid: no TLS
// ClientHello, or a malformed one; kTooLarge: beyond kMaxClientHello. The hello may span records and segments.
Result<std::optional<ClientHello>> parse_client_hello(Bytes octets);
// A bare handshake message (type 2), as OpenSSL's message callback gives it.
Result<ServerHello> parse_server_hello(Bytes message);

// The best version that is offered: of supported_versions if present (GREASE aside), else legacy_version.
std::uint16_t highest_version(const ClientHello& hello);
// True if the signature algorithms include an ECDSA scheme; also true without the extension in TLS 1.2 and an
// ECDHE-ECDSA suite. Never below TLS 1.2, whose hellos name no schemes.
bool accepts_ecdsa(const ClientHello& hello);

// "TLSv1.3"; "0x…" for what has no name.
std::string version_name(std::uint16_t version);
// The IANA name of a cipher suite, or "0x…".
std::string cipher_suite_name(std::uint16_t suite);

}  // namespace sluice::tls

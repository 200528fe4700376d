// What both ends of SOCKS share: versions and the reasons for which a request is not served. SOCKS4 and 4a (the
// published memos of NEC and of Ying-Da Lee), SOCKS5 (RFC 1928) with user name and password (RFC 1929).
// socks/server.h and socks/client.h hold the two ends, socks/proxy_protocol.h HAProxy's header.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::socks {

enum class Version : std::uint8_t { k4, k4a, k5 };
std::string_view to_string(Version version);  // "SOCKS4", "SOCKS4a", "SOCKS5"

// RFC 1928 §6; in SOCKS4 all of them are "rejected or failed".
enum class Refusal : std::uint8_t {
  kGeneral = 1,
  kNotAllowed = 2,
  kNetworkUnreachable = 3,
  kHostUnreachable = 4,
  kConnectionRefused = 5,
  kTimedOut = 6,  // "TTL expired"
  kCommand = 7,   // BIND, UDP ASSOCIATE
  kAddressType = 8,
};
std::string_view to_string(Refusal refusal);  // a clause: "the connection was refused"

// The names and passwords of RFC 1929, and SOCKS4's user ids and names.
inline constexpr std::size_t kMaxText = 255;

}  // namespace sluice::socks

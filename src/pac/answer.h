// What FindProxyForURL returns: "PROXY a:8080; SOCKS5 b; DIRECT", in the order to try. The grammar is browsers' habit
// (Netscape's "Proxy Auto-Config", 1996, and what came since), here strict: what is no entry is passed over, and where
// nothing is left that is an error, where browsers go direct. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::pac {

struct Choice {
  enum class Kind : std::uint8_t { kDirect, kHttp, kHttps, kSocks4, kSocks5 };
  Kind kind = Kind::kDirect;
  std::string host;        // lower case, no brackets; empty for kDirect
  std::uint16_t port = 0;  // 0 for kDirect; the kind's default where absent: 80, 443, 1080
  friend bool operator==(const Choice&, const Choice&) = default;
};

inline constexpr std::size_t kMostChoices = 32;  // later ones are not looked at: nobody waits for that many dials

// DIRECT; PROXY and HTTP; HTTPS; SOCKS, which means SOCKS4 as in browsers; SOCKS4; SOCKS5: in any case, then
// host[:port] with IPv6 in brackets. kInvalid: no entry is valid, with what stood there.
Result<std::vector<Choice>> parse_answer(std::string_view text);

// "PROXY a:8080", "DIRECT": as a script would write it.
std::string to_string(const Choice& choice);

// A stranger's words for a sentence of ours: valid UTF-8 without control characters, cut.
std::string shown(std::string_view words, std::size_t most = 120);

}  // namespace sluice::pac

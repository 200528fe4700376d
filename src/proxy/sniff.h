// What a connection speaks, from its first octets. Pure.
#pragma once

#include "base/bytes.h"

namespace sluice::proxy {

enum class Sniffed {
  kNeedMore,  // nothing decided yet
  kTls,       // a handshake record (RFC 8446 §5.1)
  kHttp,      // a method token and a blank (RFC 9112 §3)
  kSocks4,    // RFC 1928, SOCKS4
  kSocks5,
  kOther,
};

Sniffed sniff(Bytes first_octets);

}  // namespace sluice::proxy

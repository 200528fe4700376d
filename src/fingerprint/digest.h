// Digests in lower-case hex: for prints, and for HTTP Digest (proxy/proxy_auth.h).
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::fingerprint {

std::string md5_hex(Bytes octets);  // empty where the system's OpenSSL refuses MD5 (FIPS)
std::string sha256_hex(Bytes octets);

}  // namespace sluice::fingerprint

// Private to tls: X.509 v3 certificates, built from values instead of configuration strings, so that no host name can
// be read as syntax. RFC 5280 §4; what OpenSSL's X509_V_FLAG_X509_STRICT asks for.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "tls/authority.h"
#include "tls/openssl.h"

namespace sluice::tls {

struct Validity {
  WallTime from, to;
};

// Self-signed, critical CA:TRUE with pathlen 0. `serial` is 16 octets. Null if OpenSSL fails.
X509Ptr build_authority(EVP_PKEY* key, const std::string& common_name, Validity validity, Bytes serial);

struct LeafFacts {
  std::string host;  // DNS name or IP literal, lower case
  KeyKind kind = KeyKind::kEcdsaP256;
  Validity validity;
  std::string serial;  // 16 octets
};
X509Ptr build_leaf(const LeafFacts& facts, EVP_PKEY* leaf_key, X509* authority, EVP_PKEY* authority_key);

PkeyPtr generate_key(KeyKind kind);
PkeyPtr generate_leaf_key(KeyKind kind);              // see leaf_key.cc
std::string sha256_of_spki(const X509* certificate);  // 32 octets; empty if OpenSSL fails

}  // namespace sluice::tls

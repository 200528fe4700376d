#include "gateway/credential.h"

#include <openssl/sha.h>

#include "base/text.h"

namespace sluice::gateway {

std::string make_credential(std::string_view prefix, Entropy& entropy) {
  return std::string(prefix) + random_token(entropy, 32);
}

std::string credential_hash(std::string_view credential) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(credential.data()), credential.size(), digest);
  return hex_encode(Bytes(reinterpret_cast<const char*>(digest), sizeof digest));
}

bool same_hash(std::string_view a, std::string_view b) { return !a.empty() && constant_time_equal(a, b); }

}  // namespace sluice::gateway

#include "gateway/credential.h"

#include "base/text.h"
#include "gateway/digest.h"

namespace sluice::gateway {

std::string make_credential(std::string_view prefix, Entropy& entropy) {
  return std::string(prefix) + random_token(entropy, 32);
}

std::string credential_hash(std::string_view credential) {
  const Sha256 digest = sha256({credential});
  return hex_encode(Bytes(digest.data(), digest.size()));
}

bool same_hash(std::string_view a, std::string_view b) { return !a.empty() && constant_time_equal(a, b); }

}  // namespace sluice::gateway

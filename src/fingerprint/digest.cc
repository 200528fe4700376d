#include "fingerprint/digest.h"

#include <openssl/evp.h>

#include "base/text.h"

namespace sluice::fingerprint {
namespace {

std::string digest_hex(Bytes octets, const EVP_MD* kind) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(octets.data(), octets.size(), digest, &size, kind, nullptr) != 1) return {};
  return hex_encode({reinterpret_cast<const char*>(digest), size});
}

}  // namespace

std::string md5_hex(Bytes octets) { return digest_hex(octets, EVP_md5()); }
std::string sha256_hex(Bytes octets) { return digest_hex(octets, EVP_sha256()); }

}  // namespace sluice::fingerprint

#include "gateway/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdexcept>

namespace sluice::gateway {
namespace {

const EVP_MD* algorithm() {
  static const EVP_MD* const kFetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // as long as the program
  return kFetched;
}

void check(bool done) {
  if (!done) throw std::runtime_error("SHA-256 cannot be computed");
}

const unsigned char* octets_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octets_of(Sha256& digest) { return reinterpret_cast<unsigned char*>(digest.data()); }

}  // namespace

Sha256 sha256(std::initializer_list<std::string_view> pieces) {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> kContext(EVP_MD_CTX_new(),
                                                                                      &EVP_MD_CTX_free);
  Sha256 digest{};
  check(kContext && EVP_DigestInit_ex2(kContext.get(), algorithm(), nullptr) == 1);
  for (const std::string_view piece : pieces) {
    check(EVP_DigestUpdate(kContext.get(), piece.data(), piece.size()) == 1);
  }
  check(EVP_DigestFinal_ex(kContext.get(), octets_of(digest), nullptr) == 1);
  return digest;
}

void KeyedSha256::Free::operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }

KeyedSha256::KeyedSha256(std::string_view key) {
  EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  context_.reset(EVP_MAC_CTX_new(hmac));
  EVP_MAC_free(hmac);  // the context holds it
  char digest[] = "SHA256";
  const OSSL_PARAM options[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                OSSL_PARAM_construct_end()};
  check(context_ && EVP_MAC_init(context_.get(), octets_of(key), key.size(), options) == 1);
}

Sha256 KeyedSha256::of(std::string_view octets) {
  Sha256 mac{};
  std::size_t size = 0;
  check(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1);  // with the key that it has
  check(EVP_MAC_update(context_.get(), octets_of(octets), octets.size()) == 1);
  check(EVP_MAC_final(context_.get(), octets_of(mac), &size, mac.size()) == 1);
  return mac;
}

}  // namespace sluice::gateway

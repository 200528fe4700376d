#include "base/aead.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstring>
#include <limits>

namespace sluice {
namespace {

const unsigned char* in(const char* octets) { return reinterpret_cast<const unsigned char*>(octets); }
unsigned char* out_of(char* octets) { return reinterpret_cast<unsigned char*>(octets); }

enum class Way : int { kOpen = 0, kSeal = 1 };

EVP_CIPHER_CTX* set_up(Bytes key, Way way) {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  if (!context) return nullptr;
  if (EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nullptr, in(key.data()), nullptr, static_cast<int>(way)) == 1) {
    return context;
  }
  EVP_CIPHER_CTX_free(context);
  return nullptr;
}

// Everything but the tag.
bool pass(EVP_CIPHER_CTX* context, const Nonce& nonce, Bytes associated, Bytes from, char* to) {
  constexpr std::size_t kMost = std::numeric_limits<int>::max();
  if (!context || from.size() > kMost || associated.size() > kMost) return false;
  int done = 0;
  if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, in(nonce.data()), -1) != 1) return false;
  if (!associated.empty() &&
      EVP_CipherUpdate(context, nullptr, &done, in(associated.data()), static_cast<int>(associated.size())) != 1) {
    return false;
  }
  return from.empty() ||
         EVP_CipherUpdate(context, out_of(to), &done, in(from.data()), static_cast<int>(from.size())) == 1;
}

}  // namespace

Nonce counter_nonce(std::uint64_t number, std::uint32_t domain) {
  Nonce nonce;
  std::memcpy(nonce.data(), &number, sizeof(number));
  std::memcpy(nonce.data() + sizeof(number), &domain, sizeof(domain));
  return nonce;
}

void Aead::Free::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

Aead::Aead(Bytes key, Use use) {
  if (key.size() != kKeySize) return;  // nothing is sealed, nothing opened
  if (use != Use::kOpen) seal_.reset(set_up(key, Way::kSeal));
  if (use != Use::kSeal) open_.reset(set_up(key, Way::kOpen));
}

Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;

bool Aead::seal(const Nonce& nonce, Bytes associated, Bytes plain, char* out) {
  unsigned char none[1];
  int rest = 0;
  return pass(seal_.get(), nonce, associated, plain, out) && EVP_CipherFinal_ex(seal_.get(), none, &rest) == 1 &&
         EVP_CIPHER_CTX_ctrl(seal_.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, out + plain.size()) == 1;
}

bool Aead::open(const Nonce& nonce, Bytes associated, Bytes sealed, char* out) {
  if (sealed.size() < kTagSize) return false;
  const Bytes body = sealed.substr(0, sealed.size() - kTagSize);
  char tag[kTagSize];
  sealed.copy(tag, kTagSize, body.size());
  unsigned char none[1];
  int rest = 0;
  const bool good = pass(open_.get(), nonce, associated, body, out) &&
                    EVP_CIPHER_CTX_ctrl(open_.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, tag) == 1 &&
                    EVP_CipherFinal_ex(open_.get(), none, &rest) == 1;
  if (!good && !body.empty()) std::memset(out, 0, body.size());
  return good;
}

Secret derive_key(Bytes key, Bytes salt, Bytes info) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr,
                                                                          EVP_KDF_CTX_free);
  if (!context) return Secret();
  char digest[] = "SHA256";
  const auto octets = [](const char* name, Bytes value) {  // OpenSSL reads them only
    return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(value.empty() ? "" : value.data()), value.size());
  };
  const OSSL_PARAM given[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                              octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
                              octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  char made[kKeySize];
  if (EVP_KDF_derive(context.get(), out_of(made), sizeof(made), given) != 1) return Secret();
  Secret secret(Bytes(made, sizeof(made)));
  ::explicit_bzero(made, sizeof(made));
  return secret;
}

}  // namespace sluice

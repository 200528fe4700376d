// Leaf keys in the form that OpenSSL 3.0 puts into a certificate quickly. X509_set_pubkey with a key of a provider
// goes through its generic encoders and decoders (measured: 550 of the 730 µs of a mint); with a key of the older form
// it copies. The functions that make the older form are deprecated, so they stay in this file.
#define OPENSSL_SUPPRESS_DEPRECATED  // before OpenSSL's headers

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "tls/certificate_builder.h"

namespace sluice::tls {

PkeyPtr generate_leaf_key(KeyKind kind) {
  PkeyPtr key = generate_key(kind);
  PkeyPtr older(EVP_PKEY_new());
  if (!key || !older) return key;
  int set = 0;
  if (kind == KeyKind::kRsa2048) {
    RSA* rsa = EVP_PKEY_get1_RSA(key.get());
    set = EVP_PKEY_set1_RSA(older.get(), rsa);
    RSA_free(rsa);
  } else {
    EC_KEY* ec = EVP_PKEY_get1_EC_KEY(key.get());
    set = EVP_PKEY_set1_EC_KEY(older.get(), ec);
    EC_KEY_free(ec);
  }
  return set == 1 ? std::move(older) : std::move(key);  // either works; one is slower
}

}  // namespace sluice::tls

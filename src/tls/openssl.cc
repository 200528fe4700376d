#include "tls/openssl.h"

#include <openssl/err.h>

#include "tls/record_buffers.h"
#include "tls/session.h"

namespace sluice::tls {

void use_openssl_without_config() {
  keep_record_buffers();
  // Only the first initialisation of the process decides; OpenSSL makes repeated calls cheap.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                   nullptr);
}

std::string take_openssl_error() {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  std::string text = reason == nullptr ? "unknown OpenSSL error" : reason;
  ERR_clear_error();
  return text;
}

}  // namespace sluice::tls

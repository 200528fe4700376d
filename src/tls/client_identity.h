// Private to tls: a client certificate with its chain and key, as connections to origins present it.
#pragma once

#include <string>

#include "tls/openssl.h"
#include "tls/session.h"

namespace sluice::tls {

class ClientIdentity {
 public:
  ClientIdentity(X509Ptr certificate, X509StackPtr chain, PkeyPtr key, std::string fingerprint)
      : certificate_(std::move(certificate)),
        chain_(std::move(chain)),
        key_(std::move(key)),
        fingerprint_(std::move(fingerprint)) {}

  // False if OpenSSL does not take it (a key too small for its security level).
  bool use(SSL* ssl) const { return SSL_use_cert_and_key(ssl, certificate_.get(), key_.get(), chain_.get(), 1) == 1; }
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  X509Ptr certificate_;
  X509StackPtr chain_;
  PkeyPtr key_;
  std::string fingerprint_;
};

}  // namespace sluice::tls

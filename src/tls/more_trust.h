// Private to tls: a store of CAs for some origins: what a ClientContext trusts, and more.
#pragma once

#include <string>

#include "tls/openssl.h"
#include "tls/session.h"

namespace sluice::tls {

using X509StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;

class MoreTrust {
 public:
  // `base`: its certificates are shared, not copied. `system_store`: they are looked for in the system's folder, too.
  static Result<MoreTrustPtr> create(X509_STORE* base, bool system_store, const PemText& pem);
  MoreTrust(X509StorePtr store, std::string fingerprint)
      : store_(std::move(store)), fingerprint_(std::move(fingerprint)) {}

  // False if there is no memory.
  bool use(SSL* ssl) const { return SSL_set1_verify_cert_store(ssl, store_.get()) == 1; }
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  X509StorePtr store_;
  std::string fingerprint_;
};

}  // namespace sluice::tls

// Private to tls: owners for OpenSSL's objects, and its error queue. OpenSSL's types stay in this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/clock.h"

namespace sluice::tls {

template <auto kFree>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using SslCtxPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

struct X509StackFreer {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using X509StackPtr = std::unique_ptr<STACK_OF(X509), X509StackFreer>;

// A certificate with its key. Immutable, shared by the connections that present it; OpenSSL counts references itself.
class Leaf {
 public:
  Leaf(X509Ptr certificate, PkeyPtr key, WallTime not_after, X509Ptr issuer = nullptr)
      : certificate_(std::move(certificate)), issuer_(std::move(issuer)), key_(std::move(key)), not_after_(not_after) {}
  X509* certificate() const { return certificate_.get(); }
  X509* issuer() const { return issuer_.get(); }  // presented as well; may be null
  EVP_PKEY* key() const { return key_.get(); }
  WallTime not_after() const { return not_after_; }

 private:
  X509Ptr certificate_, issuer_;
  PkeyPtr key_;
  WallTime not_after_;
};

// The words of the oldest entry of this thread's error queue, which is emptied. For errors of setup, never of a peer.
std::string take_openssl_error();

}  // namespace sluice::tls

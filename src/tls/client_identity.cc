#include "tls/client_identity.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "tls/certificate_summary.h"

namespace sluice::tls {
namespace {

Result<Secret> load(const std::string& path) {
  SystemFileSystem files;
  SLUICE_TRY(std::string text, files.load_file(path, kMostPem));
  Secret secret(text);
  OPENSSL_cleanse(text.data(), text.size());
  return secret;
}

BioPtr open(const PemText& pem) {
  return BioPtr(BIO_new_mem_buf(pem.content.data(), static_cast<int>(pem.content.size())));
}

// OpenSSL would ask the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Result<ClientIdentityPtr> load_client_identity(const std::string& certificate_file, const std::string& key_file) {
  SLUICE_TRY(const Secret certificate, load(certificate_file));
  SLUICE_TRY(const Secret key, load(key_file));
  return read_client_identity({certificate_file, certificate.view()}, {key_file, key.view()});
}

Result<ClientIdentityPtr> read_client_identity(const PemText& certificates, const PemText& keys) {
  use_openssl_without_config();
  ERR_clear_error();
  BioPtr from = open(certificates);
  X509Ptr certificate(PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr));
  X509StackPtr chain(sk_X509_new_null());
  while (certificate && chain) {
    X509Ptr next(PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr));
    if (!next || sk_X509_push(chain.get(), next.get()) == 0) break;
    (void)next.release();
  }
  from = open(keys);
  PkeyPtr key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, nullptr));
  const bool match = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();  // the end of the file is an error, too
  if (!certificate || !chain) return fail(Code::kInvalid, certificates.name + ": no PEM certificate could be read");
  if (!key && keys.content.find("ENCRYPTED") != Bytes::npos) {
    return fail(Code::kInvalid, keys.name + ": the key has a passphrase; `openssl pkey` writes one without");
  }
  if (!key) return fail(Code::kInvalid, keys.name + ": no PEM key could be read");
  if (!match) return fail(Code::kInvalid, keys.name + ": the key does not belong to the certificate");
  std::string fingerprint = summarise(certificate.get()).sha256;
  return std::make_shared<const ClientIdentity>(std::move(certificate), std::move(chain), std::move(key),
                                                std::move(fingerprint));
}

const std::string& fingerprint_of(const ClientIdentity& identity) { return identity.fingerprint(); }

}  // namespace sluice::tls

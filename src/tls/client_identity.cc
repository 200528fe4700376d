#include "tls/client_identity.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "base/text.h"
#include "tls/certificate_summary.h"

namespace sluice::tls {
namespace {

constexpr ByteCount kMostPem = 256 * kKiB;

// The content of a PEM file, wiped when it goes.
class PemText {
 public:
  static Result<PemText> load(const std::string& path) {
    SystemFileSystem files;
    SLUICE_TRY(std::string text, files.load_file(path, kMostPem));
    return PemText(std::move(text));
  }
  explicit PemText(std::string text) : text_(std::move(text)) {}
  PemText(PemText&&) = default;
  PemText(const PemText&) = delete;
  ~PemText() { OPENSSL_cleanse(text_.data(), text_.size()); }
  BioPtr open() const { return BioPtr(BIO_new_mem_buf(text_.data(), static_cast<int>(text_.size()))); }
  bool is_encrypted() const { return text_.find("ENCRYPTED") != std::string::npos; }

 private:
  std::string text_;
};

// OpenSSL would ask the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Result<ClientIdentityPtr> load_client_identity(const std::string& certificate_file, const std::string& key_file) {
  use_openssl_without_config();
  SLUICE_TRY(const PemText certificates, PemText::load(certificate_file));
  SLUICE_TRY(const PemText keys, PemText::load(key_file));
  ERR_clear_error();
  BioPtr from = certificates.open();
  X509Ptr certificate(PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr));
  X509StackPtr chain(sk_X509_new_null());
  while (certificate && chain) {
    X509Ptr next(PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr));
    if (!next || sk_X509_push(chain.get(), next.get()) == 0) break;
    (void)next.release();
  }
  from = keys.open();
  PkeyPtr key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, nullptr));
  const bool match = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();  // the end of the file is an error, too
  if (!certificate || !chain) return fail(Code::kInvalid, certificate_file + ": no PEM certificate could be read");
  if (!key && keys.is_encrypted()) {
    return fail(Code::kInvalid, key_file + ": the key has a passphrase; `openssl pkey` writes one without");
  }
  if (!key) return fail(Code::kInvalid, key_file + ": no PEM key could be read");
  if (!match) return fail(Code::kInvalid, key_file + ": the key does not belong to the certificate");
  std::string fingerprint = summarise(certificate.get()).sha256;
  return std::make_shared<const ClientIdentity>(std::move(certificate), std::move(chain), std::move(key),
                                                std::move(fingerprint));
}

const std::string& fingerprint_of(const ClientIdentity& identity) { return identity.fingerprint(); }

}  // namespace sluice::tls

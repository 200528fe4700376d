#include "tls/more_trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include "base/text.h"
#include "tls/certificate_summary.h"

namespace sluice::tls {
namespace {

int no_passphrase(char*, int, int, void*) { return -1; }

// A store locks inside; its list does not.
bool share_certificates(X509_STORE* from, X509_STORE* to) {
  if (X509_STORE_lock(from) != 1) return false;
  bool ok = true;
  STACK_OF(X509_OBJECT)* const all = X509_STORE_get0_objects(from);
  for (int i = 0; ok && i < sk_X509_OBJECT_num(all); ++i) {
    X509* const one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
    ok = one == nullptr || X509_STORE_add_cert(to, one) == 1;
  }
  X509_STORE_unlock(from);
  return ok;
}

// The certificates of a file, each added; their prints, or an error.
Result<std::string> add_certificates(X509_STORE* store, const PemText& pem) {
  const BioPtr from(BIO_new_mem_buf(pem.content.data(), static_cast<int>(pem.content.size())));
  std::string prints;
  ERR_clear_error();
  while (X509Ptr next{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)}) {
    if (X509_STORE_add_cert(store, next.get()) != 1)
      return fail(Code::kInternal, "adding a CA: " + take_openssl_error());
    prints += summarise(next.get()).sha256;
  }
  const bool damaged = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;  // else: the end
  ERR_clear_error();
  if (prints.empty()) return fail(Code::kInvalid, pem.name + ": no PEM certificates could be read");
  if (damaged) return fail(Code::kInvalid, pem.name + ": a PEM certificate in it is damaged");
  return prints;
}

}  // namespace

Result<MoreTrustPtr> MoreTrust::create(X509_STORE* base, bool system_store, const PemText& pem) {
  X509StorePtr store(X509_STORE_new());
  bool ok = store && share_certificates(base, store.get());
  if (ok && system_store) {  // what is not in the system's one file is looked for by name when it is needed
    X509_LOOKUP* const folder = X509_STORE_add_lookup(store.get(), X509_LOOKUP_hash_dir());
    ok = folder && X509_LOOKUP_add_dir(folder, nullptr, X509_FILETYPE_DEFAULT) == 1;
  }
  if (!ok) return fail(Code::kInternal, "making a store of CAs: " + take_openssl_error());
  SLUICE_TRY(const std::string prints, add_certificates(store.get(), pem));
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(prints.data()), prints.size(), digest);
  return std::make_shared<const MoreTrust>(std::move(store),
                                           hex_encode(Bytes(reinterpret_cast<const char*>(digest), sizeof digest)));
}

const std::string& fingerprint_of(const MoreTrust& trust) { return trust.fingerprint(); }

}  // namespace sluice::tls

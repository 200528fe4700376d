#include "tls/authority.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "base/url.h"
#include "tls/authority_impl.h"
#include "tls/certificate_builder.h"
#include "tls/certificate_summary.h"
#include "tls/session.h"

namespace sluice::tls {
namespace {

using std::chrono::hours;

constexpr hours kBackdated{24};  // clocks of clients that are late
constexpr hours kAuthorityLife{24 * 3650};
constexpr hours kLeafLife{24 * 197};  // in all; browsers refuse more than 398 days, and this limit shrinks
constexpr std::size_t kSerialOctets = 16;

class AuthorityImpl final : public CertificateAuthority {
 public:
  AuthorityImpl(X509Ptr certificate, PkeyPtr key, PkeyPtr leaf_key)
      : certificate_(std::move(certificate)), key_(std::move(key)), ecdsa_key_(std::move(leaf_key)) {}

  Status describe();

  const std::string& certificate_pem() const override { return pem_; }
  const std::string& certificate_der() const override { return der_; }
  const std::string& spki_sha256_base64() const override { return spki_; }
  std::string sha256_fingerprint() const override;
  std::string subject() const override { return one_line(X509_get_subject_name(certificate_.get())); }
  WallTime not_after() const override { return not_after_; }
  Result<LeafPtr> mint(const std::string& host, KeyKind kind, WallTime now) const override;
  LeafPtr reopen(Bytes der, KeyKind kind, WallTime not_after) const override;

 private:
  LeafPtr assemble(X509Ptr certificate, PkeyPtr key, WallTime not_after) const;
  Result<PkeyPtr> leaf_key(KeyKind kind) const;

  X509Ptr certificate_;
  PkeyPtr key_;
  PkeyPtr ecdsa_key_;  // one for all leaves of this process: minting costs one signature
  mutable std::mutex rsa_mutex_;
  mutable PkeyPtr rsa_key_;  // made when the first client asks for it: it takes a tenth of a second
  std::string pem_, der_, spki_;
  WallTime not_after_;
};

Status AuthorityImpl::describe() {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate_.get(), &der);
  if (size <= 0) return fail(Code::kInternal, "encoding the CA certificate: " + take_openssl_error());
  der_.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_X509(out.get(), certificate_.get()) != 1) {
    return fail(Code::kInternal, "encoding the CA certificate: " + take_openssl_error());
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  pem_.assign(text, static_cast<std::size_t>(length));
  spki_ = base64_encode(sha256_of_spki(certificate_.get()));
  SLUICE_TRY(not_after_, wall_time_of(X509_get0_notAfter(certificate_.get())));
  return {};
}

std::string AuthorityImpl::sha256_fingerprint() const {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(der_.data()), der_.size(), digest);
  std::string text;
  for (const unsigned char octet : digest) fmt::format_to(std::back_inserter(text), "{:02X}:", octet);
  text.pop_back();
  return text;
}

Result<PkeyPtr> AuthorityImpl::leaf_key(KeyKind kind) const {
  EVP_PKEY* key = ecdsa_key_.get();
  if (kind == KeyKind::kRsa2048) {
    const std::lock_guard lock(rsa_mutex_);
    if (!rsa_key_) rsa_key_ = generate_leaf_key(KeyKind::kRsa2048);
    key = rsa_key_.get();
  }
  if (key == nullptr) return fail(Code::kInternal, "making a key: " + take_openssl_error());
  EVP_PKEY_up_ref(key);
  return PkeyPtr(key);
}

Result<LeafPtr> AuthorityImpl::mint(const std::string& host, KeyKind kind, WallTime now) const {
  LeafFacts facts;
  facts.host = to_lower(host);
  if (!facts.host.empty() && facts.host.back() == '.') facts.host.pop_back();  // DNS SANs have no trailing dot
  if (!is_valid_host(facts.host)) return fail(Code::kInvalid, "no certificate can be made for this host name");
  facts.kind = kind;
  facts.validity.from = now - kBackdated;
  facts.validity.to = std::min(facts.validity.from + kLeafLife, not_after_);
  facts.serial.resize(kSerialOctets);
  SLUICE_TRY(PkeyPtr key, leaf_key(kind));
  if (RAND_bytes(reinterpret_cast<unsigned char*>(facts.serial.data()), kSerialOctets) != 1) {
    return fail(Code::kInternal, "minting a certificate: " + take_openssl_error());
  }
  X509Ptr made = build_leaf(facts, key.get(), certificate_.get(), key_.get());
  if (!made) return fail(Code::kInternal, "minting a certificate: " + take_openssl_error());
  return assemble(std::move(made), std::move(key), facts.validity.to);
}

LeafPtr AuthorityImpl::reopen(Bytes der, KeyKind kind, WallTime not_after) const {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  Result<PkeyPtr> key = leaf_key(kind);
  if (!certificate || !key) {
    (void)take_openssl_error();
    return nullptr;
  }
  return assemble(std::move(certificate), *std::move(key), not_after);
}

LeafPtr AuthorityImpl::assemble(X509Ptr certificate, PkeyPtr key, WallTime not_after) const {
  X509_up_ref(certificate_.get());
  return std::make_shared<const Leaf>(std::move(certificate), std::move(key), not_after, X509Ptr(certificate_.get()));
}

}  // namespace

Result<AuthorityPtr> make_authority(X509Ptr certificate, PkeyPtr key) {
  PkeyPtr leaf_key = generate_leaf_key(KeyKind::kEcdsaP256);
  if (!leaf_key) return fail(Code::kInternal, "making a key: " + take_openssl_error());
  auto made = std::make_shared<AuthorityImpl>(std::move(certificate), std::move(key), std::move(leaf_key));
  SLUICE_CHECK(made->describe());
  return made;
}

Result<X509Ptr> self_sign(EVP_PKEY* key, const Clock& clock, Entropy& entropy) {
  std::string serial(kSerialOctets, '\0');
  entropy.fill(serial);
  const WallTime from = clock.wall() - kBackdated;
  // The name follows from the key: a certificate made anew for the same key still matches what clients trust.
  unsigned char* spki = nullptr;
  const int size = i2d_PUBKEY(key, &spki);
  if (size <= 0) return fail(Code::kInternal, "making the CA: " + take_openssl_error());
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(spki, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(digest.data()));
  OPENSSL_free(spki);
  X509Ptr made = build_authority(key, "Sluice CA " + hex_encode(Bytes(digest).substr(0, 4)),
                                 {from, from + kBackdated + kAuthorityLife}, serial);
  if (!made) return fail(Code::kInternal, "making the CA: " + take_openssl_error());
  return made;
}

Result<WallTime> wall_time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return fail(Code::kInvalid, "a certificate's time cannot be read");
  const std::time_t seconds = timegm(&parts);
  // Beyond 2262 nanoseconds overflow; no CA of ours lives so long, others are cut there.
  constexpr std::time_t kLast = 9'000'000'000;
  return WallTime(std::chrono::seconds(std::min(seconds, kLast)));
}

Result<AuthorityPtr> CertificateAuthority::create(const Clock& clock, Entropy& entropy) {
  use_openssl_without_config();
  PkeyPtr key = generate_key(KeyKind::kEcdsaP256);
  if (!key) return fail(Code::kInternal, "making the CA's key: " + take_openssl_error());
  SLUICE_TRY(X509Ptr certificate, self_sign(key.get(), clock, entropy));
  return make_authority(std::move(certificate), std::move(key));
}

}  // namespace sluice::tls

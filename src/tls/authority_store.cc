// The CA on disk: one for all processes that share a home, never replaced silently.
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <thread>

#include "tls/authority_impl.h"
#include "tls/certificate_builder.h"
#include "tls/session.h"

namespace sluice::tls {
namespace {

constexpr ByteCount kMaxPem = 64 * kKiB;
// Another process holds the lock only while it makes one key and two small files.
constexpr std::chrono::milliseconds kLockStep{10};
constexpr int kLockTries = 1'000;

struct Paths {
  std::string key, certificate, lock;
};

std::string start_anew(const Paths& paths) {
  return fmt::format(
      "restore it from a copy, or move {} and {} away: a new CA is then made at the next start, and clients have to "
      "trust it anew",
      paths.key, paths.certificate);
}

BioPtr bio_of(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

int no_passphrase(char*, int, int, void*) { return -1; }  // without it OpenSSL would ask on the terminal

Result<PkeyPtr> load_key(FileSystem& files, const Paths& paths) {
  SLUICE_TRY(const auto file, files.open(paths.key, OpenMode::kRead));
  SLUICE_TRY(const unsigned permissions, file->permissions());
  if ((permissions & 077) != 0) {
    return fail(
        Code::kRefused,
        fmt::format("{}: other users can read or write it (mode {:04o}); run `chmod 600 {}`, or, if somebody may "
                    "have read it, {}",
                    paths.key, permissions, paths.key, start_anew(paths)));
  }
  SLUICE_TRY(std::string text, files.load_file(paths.key, kMaxPem));
  ERR_clear_error();
  PkeyPtr key(PEM_read_bio_PrivateKey(bio_of(text).get(), nullptr, no_passphrase, nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (!key || (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC && EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)) {
    ERR_clear_error();
    return fail(Code::kInvalid,
                fmt::format("{}: not an unencrypted EC or RSA private key in PEM; {}", paths.key, start_anew(paths)));
  }
  return key;
}

// X509_check_ca also fills in what the extensions say.
Status check(X509* certificate, EVP_PKEY* key, const Clock& clock, const Paths& paths) {
  const auto invalid = [&](std::string_view what) {
    return fail(Code::kInvalid, fmt::format("{}: {}; {}", paths.certificate, what, start_anew(paths)));
  };
  if (X509_check_ca(certificate) != 1 || X509_get0_subject_key_id(certificate) == nullptr ||
      (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) == 0) {
    return invalid("not the certificate of a CA with a subject key identifier");
  }
  if (X509_check_private_key(certificate, key) != 1) {
    ERR_clear_error();
    return invalid(fmt::format("does not belong to {}", paths.key));
  }
  SLUICE_TRY(const WallTime from, wall_time_of(X509_get0_notBefore(certificate)));
  SLUICE_TRY(const WallTime to, wall_time_of(X509_get0_notAfter(certificate)));
  if (clock.wall() >= to) return invalid("expired on " + iso8601_ms(to));
  if (clock.wall() < from) return invalid("not valid before " + iso8601_ms(from) + ": is this machine's clock right?");
  return {};
}

Result<AuthorityPtr> load(FileSystem& files, const Paths& paths, const Clock& clock) {
  if (!files.exists(paths.key)) {
    return fail(Code::kInvalid,
                fmt::format("{}: the key of {} is missing; {}", paths.key, paths.certificate, start_anew(paths)));
  }
  SLUICE_TRY(PkeyPtr key, load_key(files, paths));
  SLUICE_TRY(const std::string text, files.load_file(paths.certificate, kMaxPem));
  ERR_clear_error();
  X509Ptr certificate(PEM_read_bio_X509(bio_of(text).get(), nullptr, no_passphrase, nullptr));
  if (!certificate) {
    ERR_clear_error();
    return fail(Code::kInvalid, fmt::format("{}: not a PEM certificate; {}", paths.certificate, start_anew(paths)));
  }
  SLUICE_CHECK(check(certificate.get(), key.get(), clock, paths));
  return make_authority(std::move(certificate), std::move(key));
}

Status save_key(FileSystem& files, const Paths& paths, EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail(Code::kInternal, "writing the CA's key: " + take_openssl_error());
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return files.save_file(paths.key, {text, static_cast<std::size_t>(size)});
}

Result<AuthorityPtr> create_files(FileSystem& files, const Paths& paths, const Clock& clock, Entropy& entropy) {
  PkeyPtr key;
  if (files.exists(paths.key)) {
    // Creation was cut between the two files: the certificate is made for the key that is there.
    SLUICE_TRY(key, load_key(files, paths));
  } else {
    key = generate_key(KeyKind::kEcdsaP256);
    if (!key) return fail(Code::kInternal, "making the CA's key: " + take_openssl_error());
    SLUICE_CHECK(save_key(files, paths, key.get()));
  }
  SLUICE_TRY(X509Ptr certificate, self_sign(key.get(), clock, entropy));
  SLUICE_TRY(AuthorityPtr made, make_authority(std::move(certificate), std::move(key)));
  SLUICE_CHECK(files.save_file(paths.certificate, made->certificate_pem()));
  return made;
}

Status acquire(File& lock, const Paths& paths) {
  for (int attempt = 0; attempt < kLockTries; ++attempt) {
    const Status locked = lock.lock();
    if (locked || locked.error().code != Code::kConflict) return locked;
    std::this_thread::sleep_for(kLockStep);
  }
  return fail(Code::kTimeout, fmt::format("{}: another process has held this lock for {} seconds", paths.lock,
                                          kLockTries * kLockStep.count() / 1000));
}

}  // namespace

Result<AuthorityPtr> CertificateAuthority::load_or_create(FileSystem& files, const std::string& directory,
                                                          const Clock& clock, Entropy& entropy) {
  use_openssl_without_config();
  const Paths paths{directory + "/ca-key.pem", directory + "/ca-cert.pem", directory + "/lock"};
  const auto in_context = [](Error error) { return fail(std::move(error).with_context("opening the CA")); };
  if (const Status made = files.make_directories(directory); !made) return in_context(made.error());
  auto lock = files.open(paths.lock, OpenMode::kAppend);
  if (lock) {
    if (const Status locked = acquire(**lock, paths); !locked) return in_context(locked.error());
  } else if (!files.exists(paths.certificate)) {
    return in_context(lock.error());  // a CA that is there can be used from a directory that cannot be written
  }
  auto authority =
      files.exists(paths.certificate) ? load(files, paths, clock) : create_files(files, paths, clock, entropy);
  if (!authority) return in_context(std::move(authority).error());
  return authority;
}

}  // namespace sluice::tls

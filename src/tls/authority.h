// The CA that signs the leaves, and the leaves. ECDSA P-256; the CA lives ten years in `<home>/ca`, a leaf at most
// 197 days from one day back (engine.md 3). Leaves pass `openssl verify -x509_strict`, GnuTLS, Go, Java and Chromium:
// basicConstraints and keyUsage critical, SAN always (DNS, or IP for literals), EKU serverAuth, AKI/SKI, random 128-bit
// serials, a CN that fits 64 octets. Thread-safety: CertificateAuthority is immutable after loading and may be used
// from any thread; a LeafCache belongs to one worker.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/result.h"

namespace sluice::tls {

enum class KeyKind { kEcdsaP256, kRsa2048 };

// A certificate with its key, ready for a handshake. Immutable; shared by the connections that use it.
class Leaf;
using LeafPtr = std::shared_ptr<const Leaf>;

class CertificateAuthority {
 public:
  // Loads `directory`/{ca-key.pem,ca-cert.pem}, or creates them: under an flock on `directory`/lock, complete files
  // renamed into place, so that processes started together end up with one CA; waits for the lock, in short sleeps, up
  // to 10 s (kTimeout). A corrupt, mismatched or expired pair (kInvalid) or a key that others can read (kRefused) is an
  // error that names the file and says what to do; it is never replaced silently. A key without a certificate is a
  // creation that was cut: the certificate is made anew, with the name that follows from the key. `entropy` is used
  // during the call only, for the CA's serial; keys and the leaves' serials come from OpenSSL's generator.
  static Result<std::shared_ptr<const CertificateAuthority>> load_or_create(FileSystem& files,
                                                                            const std::string& directory,
                                                                            const Clock& clock, Entropy& entropy);
  // In memory only, for tests.
  static Result<std::shared_ptr<const CertificateAuthority>> create(const Clock& clock, Entropy& entropy);

  virtual ~CertificateAuthority() = default;
  virtual const std::string& certificate_pem() const = 0;
  virtual const std::string& certificate_der() const = 0;
  virtual const std::string& spki_sha256_base64() const = 0;  // what Chromium's SPKI list takes
  virtual std::string sha256_fingerprint() const = 0;         // AA:BB:… of the certificate
  virtual std::string subject() const = 0;
  virtual WallTime not_after() const = 0;
  // A leaf for one DNS name or IP literal (no brackets). kInvalid: no name that a certificate could hold.
  virtual Result<LeafPtr> mint(const std::string& host, KeyKind kind, WallTime now) const = 0;
  // A leaf that mint() made, of its certificate alone; null: that is none.
  virtual LeafPtr reopen(Bytes der, KeyKind kind, WallTime not_after) const = 0;
};

// One worker's leaves: signs once per name, forgets the oldest beyond `capacity` (each is some 0.8 KB, the latest 32
// 2.5 KB, and signing takes a fraction of a millisecond), renews a day before expiry.
class LeafCache {
 public:
  LeafCache(const CertificateAuthority& authority, const Clock& clock, std::size_t capacity = 512);
  ~LeafCache();
  Result<LeafPtr> find_or_mint(const std::string& host, KeyKind kind);

 private:
  const CertificateAuthority& authority_;
  const Clock& clock_;
  std::size_t capacity_;
  struct Entries;
  std::unique_ptr<Entries> entries_;
};

}  // namespace sluice::tls

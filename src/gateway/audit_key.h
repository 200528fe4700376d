// The key that signs the audit log's heads: Ed25519 (RFC 8032), in a file of the home, 0600. It is only as safe as that
// file: who can read it can write a log anew and sign it. From it the key of the arguments' HMAC is derived.
// Immutable; copies share the key; thread-safe. No function hands the private key out.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "base/entropy.h"
#include "base/file.h"
#include "base/result.h"

namespace sluice::gateway {

class AuditKey {
 public:
  // Made if the file is absent; whoever calls this holds a lock against a second maker. kRefused: others can read it.
  static Result<AuditKey> load_or_create(FileSystem& files, const std::string& path, Entropy& entropy);
  // To verify with: a private key as above or a public one (PEM).
  static Result<AuditKey> load(FileSystem& files, const std::string& path);

  // 64 octets over `message`; kInternal without the private key.
  Result<std::string> sign(Bytes message) const;
  bool can_sign() const { return can_sign_; }
  bool verify(Bytes message, Bytes signature) const;
  std::string public_pem() const;
  std::string id() const;  // 16 hex digits of the public key's SHA-256
  // 32 octets for another purpose, which do not give the key away.
  std::string derive(std::string_view purpose) const;

 private:
  explicit AuditKey(std::shared_ptr<EVP_PKEY> key);
  std::shared_ptr<EVP_PKEY> key_;
  bool can_sign_ = false;
};

}  // namespace sluice::gateway

// Encryption of recordings at rest (docs/formats/session.md, "Encryption"). The operator's key seals no traffic: it
// seals a key that each recording has of its own and keeps in its manifest, sealed.
//
//   auto operator_key = OperatorKey::parse(text);          // of --sessions-key-file, of SLUICE_SESSIONS_KEY
//   auto key = operator_key->make(id, name, entropy, manifest.encryption);     // a new recording
//   auto key = operator_key->open(id, *manifest.encryption);                   // one that is there
//
// All of it is thread-safe, says the same each time, and is wiped from memory with the object.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/entropy.h"
#include "base/file.h"
#include "base/result.h"
#include "base/secret.h"

namespace sluice::session {

// What a manifest says of it; octets.
struct Encryption {
  std::string key_check;    // tells the operator's keys apart, and nothing else of them
  std::string wrapped_key;  // the recording's own
  std::string sealed_name;  // empty: it has no name
};

// The key of one recording; what is sealed with it is sealed with keys that are made of it.
class SessionKey {
 public:
  SessionKey(std::string id, Secret key) : id_(std::move(id)), key_(std::move(key)) {}

  // For one thing and, by its salt, for one file.
  Secret derive(std::string_view purpose, Bytes salt) const;
  // Of segments, which are opened again and again: the last few are kept.
  Secret segment_key(Bytes salt) const;
  // nullopt: it has none, or it was altered.
  std::optional<std::string> open_name(const Encryption& encryption) const;
  // Whole files beside the segments: `purpose` tells kinds of them apart.
  std::shared_ptr<FileSystem> seal_files(std::shared_ptr<FileSystem> files, std::string_view purpose) const;

 private:
  friend class OperatorKey;
  std::string seal_name(const std::string& name, Entropy& entropy) const;

  struct Kept {
    std::string salt;
    Secret key;
  };
  static constexpr std::size_t kMostKept = 32;

  const std::string id_;
  const Secret key_;
  mutable std::mutex mutex_;
  mutable std::deque<Kept> kept_;  // the newest first
};
using SessionKeyPtr = std::shared_ptr<const SessionKey>;

class OperatorKey {
 public:
  // 32 octets: 64 hexadecimal digits, base64, or as they are. kInvalid: anything else; the text is in no error.
  static Result<std::shared_ptr<const OperatorKey>> parse(Bytes text);

  // A new recording's key. kInternal: there is no memory.
  Result<SessionKeyPtr> make(const std::string& id, const std::optional<std::string>& name, Entropy& entropy,
                             std::optional<Encryption>& encryption) const;
  // kRefused: it was made with another key; kInvalid: what is kept of its key was altered.
  Result<SessionKeyPtr> open(const std::string& id, const Encryption& encryption) const;

 private:
  explicit OperatorKey(Bytes key);

  Secret wrapping_;
  std::string check_;
};
using OperatorKeyPtr = std::shared_ptr<const OperatorKey>;

// "The recording ID is encrypted: …" kRefused.
Error needs_key(const std::string& id);

}  // namespace sluice::session

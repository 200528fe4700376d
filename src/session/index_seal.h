// What an index holds of an encrypted recording: rows and blocks sealed one by one, and ids that nobody can look up
// without the key. An index has a key of its own, made of a salt that it keeps, and one writer, which counts: no nonce
// comes twice. Belongs to one thread. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/aead.h"
#include "base/siphash.h"
#include "session/keys.h"

namespace sluice::session {

inline constexpr std::size_t kIndexSalt = 16;

enum class SealedPart : char { kRow = 'r', kBlock = 'b' };

class IndexSeal {
 public:
  IndexSeal(const SessionKey& key, Bytes salt);
  ~IndexSeal();

  // By the writer alone. Empty: there is no memory.
  std::string seal(SealedPart part, std::int64_t number, Bytes plain);
  // Valid until the next call; nullopt: it was altered, or is another one's.
  std::optional<Bytes> open(SealedPart part, std::int64_t number, Bytes sealed);
  const SipKey& ids() const { return ids_; }

 private:
  Aead aead_;
  SipKey ids_{};
  std::uint64_t sealed_ = 0;
  std::string opened_;
};

}  // namespace sluice::session

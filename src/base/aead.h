// AES-256-GCM (NIST SP 800-38D) and keys made of keys (HKDF with SHA-256, RFC 5869).
//
//   Aead aead(derive_key(key.view(), salt, "what it is for").view());
//   aead.seal(counter_nonce(1), "what it belongs to", plain, out);    // out: plain.size() + kTagSize octets
//
// Two messages under one key must never have the same nonce: whoever calls makes sure of it, and says how.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

struct evp_cipher_ctx_st;

namespace sluice {

inline constexpr std::size_t kKeySize = 32, kNonceSize = 12, kTagSize = 16;

using Nonce = std::array<char, kNonceSize>;
// The number in its first eight octets, little-endian, and `domain` behind it.
Nonce counter_nonce(std::uint64_t number, std::uint32_t domain = 0);

// One key, set up once. Belongs to one thread. What it holds of the key is wiped with it.
class Aead {
 public:
  enum class Use { kSeal, kOpen, kBoth };
  explicit Aead(Bytes key, Use use = Use::kBoth);  // kKeySize octets
  ~Aead();
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;

  // `out` has room for plain.size() + kTagSize octets; it may be where `plain` stands. False: nothing can be sealed
  // (no memory), and `out` is not to be used.
  [[nodiscard]] bool seal(const Nonce& nonce, Bytes associated, Bytes plain, char* out);
  // `out` has room for sealed.size() - kTagSize octets. False: it is not what was sealed with this key, nonce and
  // associated data; nothing of it stands in `out` then.
  [[nodiscard]] bool open(const Nonce& nonce, Bytes associated, Bytes sealed, char* out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  using Context = std::unique_ptr<evp_cipher_ctx_st, Free>;
  Context seal_, open_;  // null: it is not used, or could not be set up
};

// kKeySize octets; empty: there is no memory.
Secret derive_key(Bytes key, Bytes salt, Bytes info);

}  // namespace sluice

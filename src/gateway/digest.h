// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) of what each call brings. OpenSSL's own one-line functions look the
// algorithm up by its name each time, which takes longer than the work. std::runtime_error: OpenSSL has no memory.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <string_view>

typedef struct evp_mac_ctx_st EVP_MAC_CTX;

namespace sluice::gateway {

using Sha256 = std::array<char, 32>;

// Of all pieces, one behind the other. Thread-safe.
Sha256 sha256(std::initializer_list<std::string_view> pieces);

// With one key, which it keeps. One thread at a time.
class KeyedSha256 {
 public:
  explicit KeyedSha256(std::string_view key);
  Sha256 of(std::string_view octets);

 private:
  struct Free {
    void operator()(EVP_MAC_CTX* context) const;
  };
  std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

}  // namespace sluice::gateway

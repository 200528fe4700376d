// The only source of randomness. Seeded in tests, getrandom(2) in production. Thread-safe.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "base/bytes.h"

namespace sluice {

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(MutableBytes out) = 0;
};

class SystemEntropy final : public Entropy {
 public:
  void fill(MutableBytes out) override;
};

// The same octets for the same seed. Not thread-safe; for tests.
class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::mt19937_64 engine_;
};

std::uint64_t random_number(Entropy& entropy);
// `octets` random octets in base64url without padding: for tokens (32 octets) and handles (16).
std::string random_token(Entropy& entropy, std::size_t octets);

}  // namespace sluice

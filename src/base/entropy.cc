#include "base/entropy.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace sluice {

void SystemEntropy::fill(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // a system without randomness cannot run a TLS proxy
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

void SeededEntropy::fill(MutableBytes out) {
  for (char& octet : out) octet = static_cast<char>(engine_());
}

std::uint64_t random_number(Entropy& entropy) {
  char octets[8];
  entropy.fill(octets);
  std::uint64_t number = 0;
  std::memcpy(&number, octets, sizeof(number));
  return number;
}

std::string random_token(Entropy& entropy, std::size_t octets) {
  std::string raw(octets, '\0');
  entropy.fill(raw);
  return base64url_encode(raw);
}

}  // namespace sluice

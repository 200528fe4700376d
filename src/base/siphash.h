// SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash. Whoever does not know the key can neither foretell
// nor check it. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace sluice {

using SipKey = std::array<char, 16>;

std::uint64_t siphash(const SipKey& key, Bytes octets);

}  // namespace sluice

// SipHash-2-4: a keyed 64-bit hash, enough to make a cursor unforgeable (J.-P. Aumasson and D. J. Bernstein, 2012).
// Not for secrets. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::mcp {

std::uint64_t siphash24(const std::array<std::uint64_t, 2>& key, Bytes message);

}  // namespace sluice::mcp

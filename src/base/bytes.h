// Octets as they travel. `Bytes` is a view of octets, not of text: it may hold NUL and any encoding.
// A view never owns and does not survive a suspension point unless its owner does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

using Bytes = std::string_view;
using MutableBytes = std::span<char>;

// A number of octets. Limits and sizes are of this type, so that they are not mixed up with counts.
using ByteCount = std::uint64_t;
inline constexpr ByteCount kKiB = 1024;
inline constexpr ByteCount kMiB = 1024 * kKiB;
inline constexpr ByteCount kGiB = 1024 * kMiB;

}  // namespace sluice

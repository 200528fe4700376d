#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

namespace sluice {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Slicing by eight: tables[k][octet] is the CRC of the octet with k zero octets behind it.
constexpr Table make_tables() {
  Table tables{};
  for (std::uint32_t octet = 0; octet < 256; ++octet) {
    std::uint32_t crc = octet;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][octet] = crc;
  }
  for (std::uint32_t octet = 0; octet < 256; ++octet) {
    for (std::size_t k = 1; k < 8; ++k) {
      const std::uint32_t crc = tables[k - 1][octet];
      tables[k][octet] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}
constexpr Table kTables = make_tables();

#if defined(__x86_64__)
#define SLUICE_CRC_TARGET __attribute__((target("sse4.2,pclmul")))

// The instruction takes three cycles and one can begin in each: three lanes side by side, joined behind each block.
// Long lanes for bodies, short ones for heads; a block is three of them.
constexpr std::size_t kLongLane = 2048, kShortLane = 128;

// x^power modulo the polynomial, reflected as a CRC is.
constexpr std::uint32_t power_of_x(std::size_t power) {
  std::uint32_t value = 0x80000000;
  for (; power > 0; --power) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
  return value;
}

// The CRC with `kZeros` zero octets behind it: times x^(8 kZeros). A product of two reflected values is one place low,
// and the instruction multiplies by x^32, hence the 33.
template <std::size_t kZeros>
SLUICE_CRC_TARGET std::uint64_t moved_by(std::uint64_t crc) {
  constexpr std::uint32_t kFactor = power_of_x(8 * kZeros - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)),
                                               _mm_cvtsi32_si128(static_cast<int>(kFactor)), 0);
  return _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)));
}

SLUICE_CRC_TARGET inline std::uint64_t step(std::uint64_t crc, const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return _mm_crc32_u64(crc, word);
}

// Takes whole blocks off `octets`.
template <std::size_t kLane>
SLUICE_CRC_TARGET std::uint64_t in_lanes(Bytes& octets, std::uint64_t crc) {
  while (octets.size() >= 3 * kLane) {
    const char* const at = octets.data();
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < kLane; i += 8) {
      crc = step(crc, at + i);
      second = step(second, at + kLane + i);
      third = step(third, at + 2 * kLane + i);
    }
    crc = moved_by<2 * kLane>(crc) ^ moved_by<kLane>(second) ^ third;
    octets.remove_prefix(3 * kLane);
  }
  return crc;
}

SLUICE_CRC_TARGET std::uint32_t crc32c_by_instruction(Bytes octets, std::uint32_t before) {
  std::uint64_t crc = ~before;
  crc = in_lanes<kLongLane>(octets, crc);
  crc = in_lanes<kShortLane>(octets, crc);
  for (; octets.size() >= 8; octets.remove_prefix(8)) crc = step(crc, octets.data());
  auto narrow = static_cast<std::uint32_t>(crc);
  if (octets.size() >= 4) {
    std::uint32_t word;
    std::memcpy(&word, octets.data(), sizeof(word));
    narrow = _mm_crc32_u32(narrow, word);
    octets.remove_prefix(4);
  }
  for (const char octet : octets) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(octet));
  return ~narrow;
}
#undef SLUICE_CRC_TARGET
#endif

}  // namespace

std::uint32_t detail::crc32c_by_table(Bytes octets, std::uint32_t before) {
  std::uint32_t crc = ~before;
  const char* at = octets.data();
  std::size_t left = octets.size();
  if constexpr (std::endian::native == std::endian::little) {
    for (; left >= 8; left -= 8, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      word ^= crc;
      crc = 0;
      for (std::size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
    }
  }
  for (; left > 0; --left, ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(Bytes octets, std::uint32_t before) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
    return crc32c_by_instruction(octets, before);
#endif
  return detail::crc32c_by_table(octets, before);
}

}  // namespace sluice

// CRC-32C (Castagnoli): RFC 3720 §12.1 and appendix B.4. Uses the SSE4.2 instruction, in
// three lanes joined by PCLMULQDQ, where the processor has both; else tables.
// Pure; thread-safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sluice {

// crc32c("123456789") == 0xe3069283. `before` continues: crc32c(ab) == crc32c(b, crc32c(a)).
std::uint32_t crc32c(Bytes octets, std::uint32_t before = 0);

namespace detail {
// Without the instruction; for tests.
std::uint32_t crc32c_by_table(Bytes octets, std::uint32_t before);
}  // namespace detail

}  // namespace sluice

#include "capture/needle.h"

#include <bit>

#include "base/text.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::capture {

Needle::Needle(std::string_view text) : lower_(to_lower(text)) {}

bool Needle::fits(const char* at) const {
  for (std::size_t i = 0; i < lower_.size(); ++i) {
    if (ascii_lower(at[i]) != lower_[i]) return false;
  }
  return true;
}

#if defined(__SSE2__)
namespace {

// Octets of `block` that are `lower` in either case.
__m128i equal_any_case(__m128i block, __m128i lower, __m128i upper) {
  return _mm_or_si128(_mm_cmpeq_epi8(block, lower), _mm_cmpeq_epi8(block, upper));
}

char upper_of(char lower) { return lower >= 'a' && lower <= 'z' ? static_cast<char>(lower - 32) : lower; }

}  // namespace
#endif

std::size_t Needle::find_in(Bytes haystack) const {
  if (lower_.empty()) return 0;
  if (haystack.size() < lower_.size()) return Bytes::npos;
  const std::size_t places = haystack.size() - lower_.size() + 1;
  std::size_t at = 0;
#if defined(__SSE2__)
  const char last = lower_.back();
  const __m128i first_lower = _mm_set1_epi8(lower_.front()), first_upper = _mm_set1_epi8(upper_of(lower_.front()));
  const __m128i last_lower = _mm_set1_epi8(last), last_upper = _mm_set1_epi8(upper_of(last));
  for (; at + 16 <= places; at += 16) {
    const char* const here = haystack.data() + at;
    const __m128i begins = _mm_loadu_si128(reinterpret_cast<const __m128i*>(here));
    const __m128i ends = _mm_loadu_si128(reinterpret_cast<const __m128i*>(here + lower_.size() - 1));
    const __m128i both =
        _mm_and_si128(equal_any_case(begins, first_lower, first_upper), equal_any_case(ends, last_lower, last_upper));
    for (auto mask = static_cast<unsigned>(_mm_movemask_epi8(both)); mask != 0; mask &= mask - 1) {
      const auto offset = static_cast<std::size_t>(std::countr_zero(mask));
      if (fits(here + offset)) return at + offset;
    }
  }
#endif
  for (; at < places; ++at) {
    if (fits(haystack.data() + at)) return at;
  }
  return Bytes::npos;
}

}  // namespace sluice::capture

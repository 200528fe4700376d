// What one segment of a path is by its spelling alone: a word, or a value of some kind. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::analysis {

enum class SegmentKind : std::uint8_t {
  kWord,     // anything else
  kVersion,  // v1, v2.1
  kLocale,   // en, de-CH, pt_BR
  kYear,     // 1900 … 2099: a value only beside others
  kInteger,  // 0 … 19 digits
  kUuid,     // RFC 9562
  kUlid,
  kDate,      // 2024-02-29
  kDateTime,  // RFC 3339
  kEmail,
  kHash,   // 16 hexadecimal digits and more
  kToken,  // long and mixed: base64url, JWT, cus_9s6XKzkNRiz8i3
  kSlug,   // a word with "-" or digits: a value where siblings are alike
};
// `segment` is percent-decoded.
SegmentKind segment_kind(std::string_view segment);
// Kinds that say "value" without siblings.
constexpr bool is_value(SegmentKind kind) { return kind >= SegmentKind::kInteger && kind <= SegmentKind::kToken; }
std::string_view to_string(SegmentKind kind);  // "integer", "uuid", …

bool is_uuid(std::string_view text);
bool is_date(std::string_view text);       // RFC 3339 full-date
bool is_date_time(std::string_view text);  // RFC 3339 date-time
bool is_email(std::string_view text);      // what people call one

}  // namespace sluice::analysis

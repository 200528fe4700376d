#include "analysis/segment.h"

#include <gtest/gtest.h>

namespace sluice::analysis {
namespace {

TEST(Segment, W14IsToldByItsSpelling) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"42", "integer"},
      {"9007199254740993", "integer"},
      {"2024", "year"},
      {"2124", "integer"},
      {"v1", "version"},
      {"V2.1", "version"},
      {"en", "locale"},
      {"pt-BR", "locale"},
      {"me", "word"},
      {"users", "word"},
      {"550e8400-e29b-41d4-a716-446655440000", "uuid"},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAV", "ulid"},
      {"507f1f77bcf86cd799439011", "hash"},
      {"da39a3ee5e6b4b0d3255bfef95601890afd80709", "hash"},
      {"2024-02-29", "date"},
      {"2024-02-29T10:00:00Z", "date-time"},
      {"2024-02-29T10:00:00.123+01:00", "date-time"},
      {"2024-13-29", "word"},
      {"ann@example.com", "email"},
      {"cus_9s6XKzkNRiz8i3", "token"},
      {"dGhpcyBpcyBhIHRlc3Q", "token"},
      {"internationalization-settings", "slug"},
      {"internationalizationsettings", "word"},
      {"red-shoes-42", "slug"},
      {"deadbeefdeadbeef", "word"},
      {"@handle", "word"},
      {"12\n", "word"},
      {"\xef\xbc\x91\xef\xbc\x92", "word"},
      {"", "word"},
  };
  for (const auto& [segment, kind] : kCases) EXPECT_EQ(to_string(segment_kind(segment)), kind) << segment;
}

}  // namespace
}  // namespace sluice::analysis

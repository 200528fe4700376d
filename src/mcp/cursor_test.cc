#include "mcp/cursor.h"

#include <gtest/gtest.h>

namespace sluice::mcp {
namespace {

TEST(Cursor, ComesBackAsItWasMade) {
  SeededEntropy entropy(1);
  const CursorKey key = CursorKey::create(entropy);
  for (const std::uint32_t offset : {0u, 1u, 255u, 256u, 4'000'000'000u}) {
    EXPECT_EQ(parse_cursor(key, "tools/list", "g", write_cursor(key, "tools/list", "g", offset)), offset);
  }
}

TEST(Cursor, IsBoundToItsListItsGrantAndItsKey) {
  SeededEntropy entropy(1);
  const CursorKey key = CursorKey::create(entropy);
  const CursorKey other = CursorKey::create(entropy);
  const std::string cursor = write_cursor(key, "tools/list", "g", 7);
  EXPECT_FALSE(parse_cursor(key, "resources/list", "g", cursor));
  EXPECT_FALSE(parse_cursor(key, "tools/list", "h", cursor));
  EXPECT_FALSE(parse_cursor(key, "tools/lis", "tg", cursor));
  EXPECT_FALSE(parse_cursor(other, "tools/list", "g", cursor));
}

TEST(Cursor, RefusesEveryAlteredOctet) {
  const CursorKey key{{3, 4}};
  const std::string cursor = write_cursor(key, "tools/list", "g", 7);
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    std::string altered = cursor;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(parse_cursor(key, "tools/list", "g", altered)) << i;
  }
  for (const char* nonsense : {"", "A", "!!!", "0", "AAAA"}) {
    EXPECT_FALSE(parse_cursor(key, "tools/list", "g", nonsense));
  }
}

}  // namespace
}  // namespace sluice::mcp

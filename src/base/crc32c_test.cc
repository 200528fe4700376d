#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace sluice {
namespace {

std::string counting_up(int count) {
  std::string octets;
  for (int i = 0; i < count; ++i) octets.push_back(static_cast<char>(i));
  return octets;
}

TEST(Crc32c, AgreesWithRfc3720) {
  // Appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string octets = counting_up(32);
  EXPECT_EQ(crc32c(octets), 0x46dd794eu);
  std::reverse(octets.begin(), octets.end());
  EXPECT_EQ(crc32c(octets), 0x113fdb5cu);
  // An iSCSI read command.
  std::string command(48, '\0');
  command[0] = '\x01', command[1] = '\xc0';
  command[16] = '\x14', command[22] = '\x04', command[27] = '\x14', command[31] = '\x18', command[32] = '\x28';
  command[40] = '\x02';
  EXPECT_EQ(crc32c(command), 0xd9963a56u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(Crc32c, ContinuesAtEverySplit) {
  const std::string octets = counting_up(100);
  for (std::size_t at = 0; at <= octets.size(); ++at) {
    EXPECT_EQ(crc32c(Bytes(octets).substr(at), crc32c(Bytes(octets).substr(0, at))), crc32c(octets));
  }
}

TEST(Crc32c, IsTheSameWithAndWithoutTheInstruction) {
  const std::string octets = counting_up(200);
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; size + from <= octets.size(); ++size) {
      const Bytes part = Bytes(octets).substr(from, size);
      ASSERT_EQ(crc32c(part, 0x12345678), detail::crc32c_by_table(part, 0x12345678));
    }
  }
}

// Around the lengths at which lanes begin and end: three of 128 octets, three of 2,048, several of each.
TEST(Crc32c, LanesAreJoinedToWhatOneLaneSays) {
  std::mt19937 random(5);
  std::string octets(40'000, '\0');
  for (char& octet : octets) octet = static_cast<char>(random());
  for (const std::size_t block : {384u, 768u, 6'144u, 6'528u, 12'288u, 30'720u}) {
    for (std::size_t size = block - 9; size < block + 10; ++size) {
      const Bytes part = Bytes(octets).substr(size % 7, size);
      ASSERT_EQ(crc32c(part, 0x9abcdef0), detail::crc32c_by_table(part, 0x9abcdef0)) << size;
    }
  }
}

}  // namespace
}  // namespace sluice

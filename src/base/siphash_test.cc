#include "base/siphash.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

// Appendix A of the paper, and the first vectors of its reference implementation: key and message are 00 01 02 ….
TEST(SipHash, AgreesWithThePaper) {
  SipKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<char>(i);
  std::string message;
  for (char c = 0; c < 15; ++c) message.push_back(c);
  EXPECT_EQ(siphash(key, message), 0xa129ca6149be45e5u);
  EXPECT_EQ(siphash(key, ""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(key, message.substr(0, 1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(siphash(key, message.substr(0, 8)), 0x93f5f5799a932462u);
}

}  // namespace
}  // namespace sluice

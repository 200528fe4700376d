#include "gateway/digest.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::gateway {
namespace {

std::string hex(const Sha256& digest) { return hex_encode(Bytes(digest.data(), digest.size())); }

// FIPS 180-4's examples.
TEST(Digest, Sha256IsThatOfAllPiecesTogether) {
  const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(hex(sha256({"abc"})), abc);
  EXPECT_EQ(hex(sha256({"a", "", "bc"})), abc);
  EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 4231 §4.2, §4.3.
TEST(Digest, AKeyIsUsedAgainAndAgain) {
  KeyedSha256 jefe("Jefe");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(hex(jefe.of("what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  }
  EXPECT_EQ(hex(KeyedSha256(std::string(20, '\x0b')).of("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

}  // namespace
}  // namespace sluice::gateway

#include "base/aead.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice {
namespace {

std::string hex(std::string_view text) { return hex_decode(text).value(); }

// The Galois/Counter Mode of Operation (McGrew and Viega), test cases 13 to 16: AES-256.
struct Case {
  const char *key, *nonce, *plain, *associated, *sealed;
};
const Case kCases[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b391aafd255",
     "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f662898015adb094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b"}};

Nonce nonce_of(const std::string& octets) {
  Nonce nonce;
  octets.copy(nonce.data(), nonce.size());
  return nonce;
}

TEST(AeadTest, SealsAndOpensWhatThePublishedCasesSay) {
  for (const Case& one : kCases) {
    Aead aead(hex(one.key));
    const std::string plain = hex(one.plain), sealed = hex(one.sealed), associated = hex(one.associated);
    for (int again = 0; again < 2; ++again) {  // the key is set up once
      std::string out(plain.size() + kTagSize, '\0');
      ASSERT_TRUE(aead.seal(nonce_of(hex(one.nonce)), associated, plain, out.data()));
      EXPECT_EQ(hex_encode(out), one.sealed);
      std::string back(plain.size(), '\0');
      ASSERT_TRUE(aead.open(nonce_of(hex(one.nonce)), associated, sealed, back.data()));
      EXPECT_EQ(back, plain);
    }
  }
}

TEST(AeadTest, OpensNothingThatWasAltered) {
  const Case& one = kCases[3];
  Aead aead(hex(one.key));
  const std::string sealed = hex(one.sealed), associated = hex(one.associated);
  const Nonce nonce = nonce_of(hex(one.nonce));
  std::string plain(sealed.size() - kTagSize, 'x');
  const auto opens = [&](const Nonce& with, const std::string& bound, const std::string& octets) {
    plain.assign(octets.size() < kTagSize ? 0 : octets.size() - kTagSize, 'x');
    const bool good = aead.open(with, bound, octets, plain.data());
    EXPECT_TRUE(good || plain.find_first_not_of('\0') == std::string::npos) << "nothing of it is left";
    return good;
  };
  ASSERT_TRUE(opens(nonce, associated, sealed));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string hurt = sealed;
    hurt[bit / 8] = static_cast<char>(hurt[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(opens(nonce, associated, hurt)) << bit;
  }
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    EXPECT_FALSE(opens(nonce, associated, sealed.substr(0, length))) << length;
  }
  EXPECT_FALSE(opens(nonce, associated + "x", sealed));
  EXPECT_FALSE(opens(nonce, "", sealed));
  EXPECT_FALSE(opens(counter_nonce(1), associated, sealed));
  EXPECT_TRUE(opens(nonce, associated, sealed)) << "a failure spoils nothing";
}

TEST(AeadTest, SealsInPlace) {
  Aead aead(std::string(kKeySize, 'k'));
  std::string apart(5 + kTagSize, '\0'), in_place = "hello" + std::string(kTagSize, '\0');
  ASSERT_TRUE(aead.seal(counter_nonce(7), "", "hello", apart.data()));
  ASSERT_TRUE(aead.seal(counter_nonce(7), "", Bytes(in_place).substr(0, 5), in_place.data()));
  EXPECT_EQ(apart, in_place);
}

TEST(AeadTest, DoesNothingWithoutAWholeKey) {
  for (const std::size_t size : {0u, 16u, 31u, 33u}) {
    Aead aead(std::string(size, 'k'));
    char out[32];
    EXPECT_FALSE(aead.seal(counter_nonce(1), "", "plain", out)) << size;
    EXPECT_FALSE(aead.open(counter_nonce(1), "", std::string(20, 'x'), out)) << size;
  }
}

TEST(AeadTest, NoncesDifferByNumberAndByDomain) {
  EXPECT_NE(counter_nonce(1), counter_nonce(2));
  EXPECT_NE(counter_nonce(1), counter_nonce(1, 1));
  EXPECT_NE(counter_nonce(1), counter_nonce(std::uint64_t{1} << 40));
}

// RFC 5869, appendix A.1 and A.3, of which our keys are the beginning.
TEST(AeadTest, DerivesTheKeysOfRfc5869) {
  const std::string key(22, '\x0b');
  EXPECT_EQ(hex_encode(derive_key(key, hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9")).view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  EXPECT_EQ(hex_encode(derive_key(key, {}, {}).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

}  // namespace
}  // namespace sluice

#include "session/keys.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::session {
namespace {

struct KeysTest : testing::Test {
  SeededEntropy entropy{3};
  const std::string id = "20250101000000_abcdefgh";

  std::string octets(std::uint64_t seed = 1) {
    SeededEntropy chance(seed);
    std::string made(32, '\0');
    chance.fill(made);
    return made;
  }
  OperatorKeyPtr operator_key(std::uint64_t seed = 1) { return *OperatorKey::parse(octets(seed)); }
  Encryption make(const OperatorKeyPtr& key, const std::optional<std::string>& name = std::nullopt) {
    std::optional<Encryption> encryption;
    EXPECT_TRUE(key->make(id, name, entropy, encryption));
    return *encryption;
  }
};

TEST_F(KeysTest, AKeyIsReadInEachOfItsForms) {
  const std::string raw = octets();
  const Encryption made = make(*OperatorKey::parse(raw));
  for (const std::string& text :
       {hex_encode(raw), to_upper(hex_encode(raw)), hex_encode(raw) + "\n", "  " + hex_encode(raw) + " \r\n",
        base64_encode(raw), base64_encode(raw) + "\n", base64url_encode(raw)}) {
    const auto key = OperatorKey::parse(text);
    ASSERT_TRUE(key) << text.size();
    EXPECT_TRUE((*key)->open(id, made)) << text.size();
  }
}

TEST_F(KeysTest, WhatIsNoWholeKeyIsRefusedAndNotRepeated) {
  const std::string raw = octets();
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("correct horse battery staple"), raw.substr(1), raw + "x",
        hex_encode(raw).substr(1), hex_encode(raw) + "0", hex_encode(raw).substr(0, 32),  // half a key
        std::string("a password of 32 octets is none!"), base64_encode(raw.substr(1)), std::string(64, 'g')}) {
    const auto key = OperatorKey::parse(text);
    ASSERT_FALSE(key) << text.size();
    EXPECT_EQ(key.error().code, Code::kInvalid);
    if (!text.empty() && text != "\n") EXPECT_EQ(key.error().message.find(text), std::string::npos);
  }
}

TEST_F(KeysTest, EachRecordingHasAKeyOfItsOwn) {
  const auto key = operator_key();
  std::optional<Encryption> one, two;
  const auto first = key->make(id, std::nullopt, entropy, one), second = key->make(id, std::nullopt, entropy, two);
  EXPECT_NE((*first)->derive("segment", "").view(), (*second)->derive("segment", "").view());
  EXPECT_NE(one->wrapped_key, two->wrapped_key);
  EXPECT_EQ(one->key_check, two->key_check);
  EXPECT_EQ((*key->open(id, *one))->derive("segment", "").view(), (*first)->derive("segment", "").view());
  EXPECT_NE((*first)->derive("segment", "1").view(), (*first)->derive("segment", "2").view());
  EXPECT_NE((*first)->derive("segment", "1").view(), (*first)->derive("index", "1").view());
}

TEST_F(KeysTest, KeysOfSegmentsAreTheSameWhetherTheyWereKeptOrNot) {
  const auto key = operator_key();
  std::optional<Encryption> encryption;
  const auto own = *key->make(id, std::nullopt, entropy, encryption);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string salt = "salt " + std::to_string(i);
      for (int again = 0; again < 2; ++again)
        EXPECT_EQ(own->segment_key(salt).view(), own->derive("segment", salt).view());
    }
  }
}

TEST_F(KeysTest, AnotherKeyIsToldFromDamage) {
  const Encryption made = make(operator_key(), "the name");
  const auto other = operator_key(2)->open(id, made);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kRefused);
  EXPECT_NE(other.error().message.find("another key"), std::string::npos);
  for (std::size_t at = 0; at < made.wrapped_key.size(); ++at) {
    Encryption hurt = made;
    hurt.wrapped_key[at] = static_cast<char>(hurt.wrapped_key[at] ^ 1);
    EXPECT_EQ(operator_key()->open(id, hurt).error().code, Code::kInvalid) << at;
  }
  for (const std::size_t length : {0u, 1u, 27u, 28u, 59u}) {
    Encryption cut = made;
    cut.wrapped_key.resize(length);
    EXPECT_EQ(operator_key()->open(id, cut).error().code, Code::kInvalid) << length;
  }
}

TEST_F(KeysTest, AKeyIsThatOfItsRecordingAlone) {
  const Encryption made = make(operator_key());
  EXPECT_EQ(operator_key()->open("20250101000000_abcdefgi", made).error().code, Code::kInvalid);
}

TEST_F(KeysTest, NamesAreSealedAndTellNothing) {
  const auto key = operator_key();
  const Encryption named = make(key, "login of a customer"), empty = make(key, ""), none = make(key);
  EXPECT_EQ(named.sealed_name.find("customer"), std::string::npos);
  EXPECT_EQ((*key->open(id, named))->open_name(named), "login of a customer");
  EXPECT_EQ((*key->open(id, empty))->open_name(empty), "");
  EXPECT_EQ((*key->open(id, none))->open_name(none), std::nullopt);
  Encryption mixed = named;
  mixed.sealed_name = empty.sealed_name;
  EXPECT_EQ((*key->open(id, named))->open_name(mixed), std::nullopt);
}

}  // namespace
}  // namespace sluice::session

#include "regex/regex.h"

#include <gtest/gtest.h>

namespace sluice::regex {
namespace {

TEST(Regex, MatchesSayWhereTheyStandAndGoOnFromThere) {
  const auto regex = Regex::compile("b+", {});
  ASSERT_TRUE(regex);
  const auto first = regex->match("abba b");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->at, 1u);
  EXPECT_EQ(first->size, 2u);
  const auto second = regex->match("abba b", first->at + first->size);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->at, 5u);
  EXPECT_FALSE(regex->match("abba b", 6));
  EXPECT_FALSE(regex->match("abba b", 7)) << "behind the end";
}

TEST(Regex, WhatStandsBeforeTheBeginningIsSeen) {
  const auto regex = Regex::compile("^b|\\bc", {});
  ASSERT_TRUE(regex);
  EXPECT_FALSE(regex->match("abc", 1));
}

}  // namespace
}  // namespace sluice::regex

#include "tools/re2_syntax.h"

#include <gtest/gtest.h>

namespace sluice::tools {
namespace {

TEST(Re2Syntax, WhatJavaScriptSpellsOtherwiseIsTranslated) {
  EXPECT_EQ(*js_pattern_of("a.*b"), "a.*b");
  EXPECT_EQ(*js_pattern_of("(?i)abc"), "(?i:abc)");
  EXPECT_EQ(*js_pattern_of(R"(\Ax(?P<id>\d+)\z)"), R"(^x(?<id>\d+)$)");
  EXPECT_EQ(*js_pattern_of(R"([]a][\]A]\\A)"), R"([\]a][\]A]\\A)");
  EXPECT_EQ(*js_pattern_of("[(?P<]"), "[(?P<]");
}

TEST(Re2Syntax, WhatWouldMeanSomethingElseIsRefused) {
  for (const char* pattern : {R"(\Qa.b\E)", R"(\C)", R"(\pN)", "[[:alpha:]]"})
    EXPECT_FALSE(js_pattern_of(pattern)) << pattern;
}

TEST(Re2Syntax, ReplacementsThereAndBack) {
  EXPECT_EQ(js_replacement_of(R"(a\1$2)"), R"(a\1$$2)");
  EXPECT_EQ(js_replacement_of(R"(\g<n>-\g<2>)"), "$<n>-$2");
  EXPECT_EQ(re2_replacement_of("$<n>-$2$$"), R"(\g<n>-\2$)");
}

}  // namespace
}  // namespace sluice::tools

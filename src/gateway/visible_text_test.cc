#include "gateway/visible_text.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(VisibleText, WhatWouldDeceiveTheEyeIsEscaped) {
  EXPECT_EQ(visible_text("plain ÄÖ 漢字 😀"), "plain ÄÖ 漢字 😀");
  EXPECT_EQ(visible_text("a\x1b[2Jb\r\nc"), "a\\u001b[2Jb\\u000d\\u000ac");
  EXPECT_EQ(visible_text("\xe2\x80\xae"
                         "evil"),
            "\\u202eevil");                                                 // right-to-left override
  EXPECT_EQ(visible_text("\xe2\x81\xa6x\xe2\x81\xa9"), "\\u2066x\\u2069");  // isolates
  EXPECT_EQ(visible_text("a\xe2\x80\x8b"
                         "b"),
            "a\\u200bb");  // of no width
  EXPECT_EQ(visible_text("\xc2\x9b"
                         "31m"),
            "\\u009b31m");                                        // CSI in one character
  EXPECT_EQ(visible_text("\xf3\xa0\x81\x81"), "\\udb40\\udc41");  // a tag
  EXPECT_EQ(visible_text("\xff"), "\\ufffd");
}

TEST(VisibleText, ValuesAreQuotedAndCutVisibly) {
  EXPECT_EQ(visible_json(Json{{"a", "b\" , \"c"}}, 100), R"({"a":"b\" , \"c"})");
  const std::string cut = visible_json(Json(std::string(500, 'x')), 10);
  EXPECT_EQ(cut, "\"xxxxxxxxx … CUT: 492 more characters");
}

}  // namespace
}  // namespace sluice::gateway

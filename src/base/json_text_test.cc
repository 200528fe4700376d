#include "base/json_text.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace sluice {
namespace {

TEST(JsonText, IsWrittenAsTheDumpWritesIt) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  for (const std::string& text : {std::string(), every, every.substr(0, 128), std::string("\"\\\b\f\n\r\t/\x7f"),
                                  std::string("\0a\0", 3), std::string("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
                                  std::string("ab\xf0\x9f\x98"), std::string("\xc3\"")}) {
    std::string out = "\"";
    append_json_text(out, text);
    EXPECT_EQ(out + "\"", dump_json(Json(text)));
  }
}

}  // namespace
}  // namespace sluice

#include "pac/answer.h"

#include <gtest/gtest.h>

namespace sluice::pac {
namespace {

using Kind = Choice::Kind;

std::string read(std::string_view text) {
  const auto choices = parse_answer(text);
  if (!choices) return "error: " + choices.error().message;
  std::string list;
  for (const Choice& choice : *choices) list += (list.empty() ? "" : "; ") + to_string(choice);
  return list;
}

TEST(PacAnswer, TakesEveryKindOfEntryInItsOrder) {
  const auto choices = parse_answer("PROXY a:8080; HTTP b:81; HTTPS c:444; SOCKS d:1; SOCKS4 e:2; SOCKS5 f:3; DIRECT");
  ASSERT_TRUE(choices);
  const std::vector<Choice> expected{{Kind::kHttp, "a", 8080}, {Kind::kHttp, "b", 81},  {Kind::kHttps, "c", 444},
                                     {Kind::kSocks4, "d", 1},  {Kind::kSocks4, "e", 2}, {Kind::kSocks5, "f", 3},
                                     {Kind::kDirect, "", 0}};
  EXPECT_EQ(*choices, expected);
}

TEST(PacAnswer, FillsInThePortOfTheKind) {
  EXPECT_EQ(read("PROXY a"), "PROXY a:80");
  EXPECT_EQ(read("HTTP a"), "PROXY a:80");
  EXPECT_EQ(read("HTTPS a"), "HTTPS a:443");
  EXPECT_EQ(read("SOCKS a"), "SOCKS4 a:1080");
  EXPECT_EQ(read("SOCKS4 a"), "SOCKS4 a:1080");
  EXPECT_EQ(read("SOCKS5 a"), "SOCKS5 a:1080");
  EXPECT_EQ(read("PROXY a:"), "PROXY a:80");
}

TEST(PacAnswer, ReadsAnyCaseAndAnyBlanks) {
  EXPECT_EQ(read("proxy A.Example:8080;direct"), "PROXY a.example:8080; DIRECT");
  EXPECT_EQ(read("  \t PROXY \t a:1 \n;;; ;\r\n socks5  b:2 ;"), "PROXY a:1; SOCKS5 b:2");
}

TEST(PacAnswer, ReadsAddressesOfBothFamilies) {
  EXPECT_EQ(read("PROXY 10.0.0.1:3128; PROXY [2001:DB8::1]:3128; SOCKS5 [::1]"),
            "PROXY 10.0.0.1:3128; PROXY [2001:db8::1]:3128; SOCKS5 [::1]:1080");
}

TEST(PacAnswer, PassesOverJunkWhileSomethingIsLeft) {
  EXPECT_EQ(read("QUIC q:443; PROXY; PROXY a b; PROXY b:2"), "PROXY b:2");
  EXPECT_EQ(read("PROXY x:0; PROXY x:65536; PROXY x:-1; PROXY x:+1; PROXY x:80x; DIRECT"), "DIRECT");
}

TEST(PacAnswer, RefusesWhatNamesNothingAndIsNeverDirectByAccident) {
  for (const char* junk :
       {"DIRECT x",           "DIRECTLY",           "PROXY",        "PROXY ;",    "PROXYa:80",     "a:80",
        "PROXY http://a:80",  "PROXY u:p@a:80",     "PROXY ::1:80", "PROXY [::1", "PROXY [::1]80", "PROXY a/b:80",
        "PROXY a:80:90",      "PROXY a%00:80",      "FTP a:21",     "null",       "undefined",     "PROXY \xc3\xa9:80",
        "DIRECT, PROXY a:80", "PROXY a:80, DIRECT", "PROXY .",      "PROXY a..b"}) {
    EXPECT_EQ(read(junk).substr(0, 16), "error: returned ") << junk;
  }
  for (const char* empty : {"", " ", ";", " ; ;\t"}) {
    EXPECT_EQ(read(empty), "error: returned nothing where it should name a proxy or DIRECT");
  }
  EXPECT_FALSE(parse_answer(std::string_view("DIRECT\0", 7)));
  EXPECT_FALSE(parse_answer(std::string_view("PROXY a\0:80", 11)));
}

TEST(PacAnswer, AnErrorShowsWhatStoodThereSafely) {
  EXPECT_EQ(read("\x1b[31mhello\xff"),
            "error: returned \" [31mhello\xef\xbf\xbd\", which names no proxy and is not DIRECT");
  EXPECT_LT(read(std::string(100'000, 'x')).size(), 250u);
}

TEST(PacAnswer, LooksAtSoManyEntriesAndNoMore) {
  std::string many;
  for (int i = 1; i <= 1000; ++i) many += "PROXY a:" + std::to_string(i) + ";";
  EXPECT_EQ(parse_answer(many)->size(), kMostChoices);
}

}  // namespace
}  // namespace sluice::pac

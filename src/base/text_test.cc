#include "base/text.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice {
namespace {

using namespace std::string_view_literals;

TEST(Text, ComparesAndFindsInAnyCase) {
  EXPECT_TRUE(iequals("Content-Length", "content-LENGTH"));
  EXPECT_FALSE(iequals("a", "ab"));
  EXPECT_FALSE(iequals("@", "`")) << "only letters have a case";
  EXPECT_EQ(to_lower("ABCz[\xc3\x84"), "abcz[\xc3\x84") << "ASCII only";
  EXPECT_EQ(to_upper("abcZ{"), "ABCZ{");
  EXPECT_EQ(ifind("xxChunkedxx", "chunked"), 2u);
  EXPECT_EQ(ifind("chunked", "chunked", 1), std::string_view::npos);
  EXPECT_EQ(ifind("abc", ""), 0u);
  EXPECT_EQ(ifind("abc", "", 3), 3u);
  EXPECT_EQ(ifind("abc", "", 4), std::string_view::npos);
  EXPECT_EQ(ifind("", "a"), std::string_view::npos);
}

TEST(Text, ComparesWithoutCaseAtEveryPlaceAlike) {
  for (int left = 0; left < 256; ++left) {
    for (int right = 0; right < 256; ++right) {
      const bool same = ascii_lower(static_cast<char>(left)) == ascii_lower(static_cast<char>(right));
      for (const std::size_t place : {0u, 3u, 7u, 8u, 10u}) {
        std::string a = "Aa@[`{zZ\xC1\x80x", b = "aA@[`{Zz\xC1\x80X";
        a[place] = static_cast<char>(left);
        b[place] = static_cast<char>(right);
        ASSERT_EQ(iequals(a, b), same) << left << " " << right << " at " << place;
      }
    }
  }
}

TEST(Text, TrimsSpacesAndTabsOnly) {
  EXPECT_EQ(trim(" \t a b \t"), "a b");
  EXPECT_EQ(trim("\r\na\v"), "\r\na\v");
  EXPECT_EQ(trim(" \t"), "");
}

TEST(Text, SplitsAtEverySeparator) {
  EXPECT_EQ(split("a,,b,", ','), (std::vector{"a"sv, ""sv, "b"sv, ""sv}));
  EXPECT_EQ(split("", ','), std::vector{""sv});
}

TEST(Encoding, HexGoesThereAndBack) {
  EXPECT_EQ(hex_encode("\x00\x7f\xff"sv), "007fff");
  EXPECT_EQ(hex_decode("007FfF").value(), "\x00\x7f\xff"sv);
  EXPECT_EQ(hex_decode(""), "");
  EXPECT_EQ(hex_decode("0"), std::nullopt);
  EXPECT_EQ(hex_decode("0g"), std::nullopt);
}

TEST(Encoding, Base64AgreesWithRfc4648) {
  const std::array<std::pair<std::string, std::string>, 7> vectors = {{{"", ""},
                                                                       {"f", "Zg=="},
                                                                       {"fo", "Zm8="},
                                                                       {"foo", "Zm9v"},
                                                                       {"foob", "Zm9vYg=="},
                                                                       {"fooba", "Zm9vYmE="},
                                                                       {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base64_encode(plain), coded);
    EXPECT_EQ(base64_decode(coded), plain);
    const std::string bare = coded.substr(0, coded.find('='));
    EXPECT_EQ(base64url_encode(plain), bare);
    EXPECT_EQ(base64_decode(bare), plain);
  }
  EXPECT_EQ(base64_encode("\xfb\xff\xbf"), "+/+/");
  EXPECT_EQ(base64url_encode("\xfb\xff\xbf"), "-_-_");
  EXPECT_EQ(base64_decode("-_+/"), "\xfb\xff\xbf");
}

TEST(Encoding, Base64RefusesWhatIsNone) {
  for (const char* bad :
       {"Z", "Zg=", "Zg===", "Zg==\n", "Z g=", "=", "====", "Zg==Zg==", "Zm9v=", "Zh==", "Zm9=", "Zm9vZ"}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
}

TEST(Encoding, Base64KeepsEveryOctet) {
  std::string octets;
  for (int i = 0; i < 256; ++i) {
    octets.push_back(static_cast<char>(i));
    EXPECT_EQ(base64_decode(base64_encode(octets)), octets);
    EXPECT_EQ(base64_decode(base64url_encode(octets)), octets);
    EXPECT_EQ(hex_decode(hex_encode(octets)), octets);
  }
}

TEST(Encoding, PercentDecodingLeavesMalformedEscapes) {
  EXPECT_EQ(percent_decode("a%20b%2Fc%2f"), "a b/c/");
  EXPECT_EQ(percent_decode("%00"), "\0"sv);
  EXPECT_EQ(percent_decode("100%"), "100%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%zz%41%%41"), "%zzA%A");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
}

TEST(Utf8, IsToldFromOtherOctets) {
  for (std::string_view good :
       {""sv, "plain"sv, "\0"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv, "\xee\x80\x80"sv,
        "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "longer than eight octets \xc3\xa9 and on and on"sv}) {
    EXPECT_TRUE(is_utf8(good)) << good;
    EXPECT_EQ(repair_utf8(good), good);
  }
  for (std::string_view bad :
       {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xc3"sv, "\xe2\x82"sv, "12345678\xff"sv}) {
    EXPECT_FALSE(is_utf8(bad)) << hex_encode(bad);
    EXPECT_TRUE(is_utf8(repair_utf8(bad)));
  }
}

TEST(Utf8, RepairReplacesEachMaximalPart) {
  // Unicode 15, tables 3-8 to 3-11 (U+FFFD written as '?').
  const auto shown = [](std::string_view octets) {
    std::string text = repair_utf8(octets);
    for (std::size_t at; (at = text.find("\xef\xbf\xbd")) != std::string::npos;) text.replace(at, 3, "?");
    return text;
  };
  EXPECT_EQ(shown("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), "????????A");
  EXPECT_EQ(shown("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), "????????A");
  EXPECT_EQ(shown("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), "?????A??B");
  EXPECT_EQ(shown("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "????A");
  EXPECT_EQ(shown("ab\xf0\x9f\x98"), "ab?");
}

TEST(Utf16, CountsCodeUnits) {
  EXPECT_EQ(utf16_length(""), 0u);
  EXPECT_EQ(utf16_length("a\xc3\xa9\xe2\x82\xac"), 3u);
  EXPECT_EQ(utf16_length("\xf0\x9f\x98\x80"), 2u);
}

TEST(Utf16, PrefixEndsBetweenCharacters) {
  const std::string_view text = "a\xc3\xa9\xf0\x9f\x98\x80z";
  EXPECT_EQ(utf16_prefix(text, 0), "");
  EXPECT_EQ(utf16_prefix(text, 1), "a");
  EXPECT_EQ(utf16_prefix(text, 2), "a\xc3\xa9");
  EXPECT_EQ(utf16_prefix(text, 3), "a\xc3\xa9") << "half a surrogate pair does not fit";
  EXPECT_EQ(utf16_prefix(text, 4), "a\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(utf16_prefix(text, 5), text);
  EXPECT_EQ(utf16_prefix(text, 50), text);
}

TEST(ConstantTime, EqualMeansEqual) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("token", "token"));
  EXPECT_FALSE(constant_time_equal("token", "tokem"));
  EXPECT_FALSE(constant_time_equal("token", "xoken"));
  EXPECT_FALSE(constant_time_equal("token", "token1"));
  EXPECT_FALSE(constant_time_equal("token1", "token"));
  EXPECT_FALSE(constant_time_equal("", "t"));
  EXPECT_FALSE(constant_time_equal("t", ""));
  EXPECT_FALSE(constant_time_equal(""sv, "\0"sv));
  EXPECT_FALSE(constant_time_equal("t"sv, "tt"sv));
}

TEST(Nearest, FindsSlipsOfTheFinger) {
  const std::array names = {"proxy-port"sv, "control-port"sv, "policy"sv, "quiet"sv};
  EXPECT_EQ(nearest("proxy-prot", names), "proxy-port");
  EXPECT_EQ(nearest("Policy", names), "policy");
  EXPECT_EQ(nearest("quit", names), "quiet");
  EXPECT_EQ(nearest("proxyport", names), "proxy-port");
  EXPECT_EQ(nearest("controlport", names), "control-port");
}

TEST(Nearest, FindsNothingFar) {
  const std::array names = {"proxy-port"sv, "quiet"sv, "x"sv};
  EXPECT_EQ(nearest("banana", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest("y", names), std::nullopt) << "one letter for another is another name";
  EXPECT_EQ(nearest(std::string(10'000, 'a'), names), std::nullopt);
  EXPECT_EQ(nearest("quiet", {}), std::nullopt);
}

}  // namespace
}  // namespace sluice

#include "base/known_secrets.h"

#include <gtest/gtest.h>

#include "base/redact.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::string_view kValue = "p\"ss/w+rd =<7f3&9>";

std::string masked(const KnownSecrets& known, std::string_view text) {
  std::string out(text);
  known.replace(
      text, [](std::string_view) { return std::string("#"); }, out);
  return out;
}

TEST(KnownSecrets, FindsAValueHoweverItIsWritten) {
  KnownSecrets known;
  EXPECT_TRUE(known.empty());
  ASSERT_TRUE(known.add(kValue));
  EXPECT_FALSE(known.empty());
  for (const char* written :
       {R"(p"ss/w+rd =<7f3&9>)", "p%22ss%2Fw%2Brd%20%3D%3C7f3%269%3E", "p%22ss%2fw%2brd%20%3d%3c7f3%269%3e",
        "p%22ss%2Fw%2Brd+%3D%3C7f3%269%3E", R"(p\"ss/w+rd =<7f3&9>)", R"(p\"ss\/w+rd =<7f3&9>)",
        R"(p\\\"ss/w+rd =<7f3&9>)", "p&quot;ss/w+rd =&lt;7f3&amp;9&gt;"}) {
    EXPECT_EQ(masked(known, "<" + std::string(written) + ">"), "<#>") << written;
  }
  EXPECT_EQ(masked(known, hex_encode(kValue)), "#");
  EXPECT_EQ(masked(known, to_upper(hex_encode(kValue))), "#");
  EXPECT_EQ(masked(known, "nothing of the kind"), "nothing of the kind");
}

TEST(KnownSecrets, FindsAValueInsideBase64AtAnyOffset) {
  KnownSecrets known;
  ASSERT_TRUE(known.add(kValue));
  for (const std::string before : {"", "u", "us", "use", "user:"}) {
    for (const std::string behind : {"", "x", "xy", "xyz"}) {
      const std::string plain = before + std::string(kValue) + behind;
      for (const std::string& text : {base64_encode(plain), base64url_encode(plain)}) {
        const std::string out = masked(known, text);
        EXPECT_NE(out.find('#'), out.npos) << text;
        EXPECT_LE(out.size(), (before.size() + behind.size()) * 4 / 3 + 6) << out;
      }
    }
  }
}

TEST(KnownSecrets, TheLongerOneOfTwoThatBeginAlikeIsMasked) {
  KnownSecrets known;
  ASSERT_TRUE(known.add("token-12"));
  ASSERT_TRUE(known.add("token-1234"));
  EXPECT_EQ(masked(known, "token-1234 token-123"), "# #3");
}

TEST(KnownSecrets, RefusesWhatCannotBeToldFromOtherTextAndWhatHasNoRoom) {
  KnownSecrets known;
  EXPECT_EQ(known.add("1234567").error().code, Code::kInvalid);
  EXPECT_EQ(known.add(std::string(KnownSecrets::kLongest + 1, 'x')).error().code, Code::kInvalid);
  EXPECT_TRUE(known.empty());
  KnownSecrets large;
  std::size_t taken = 0;
  while (large.add(std::to_string(taken) + std::string(KnownSecrets::kLongest - 8, 'x'))) ++taken;
  EXPECT_EQ(taken, KnownSecrets::kMostOctets / (KnownSecrets::kLongest - 8 + 3)) << "octets are bounded, too";
  KnownSecrets many;
  for (std::size_t i = 0; i < KnownSecrets::kMost; ++i) ASSERT_TRUE(many.add("value-number-" + std::to_string(i)));
  const Status full = many.add("one-too-many");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kTooLarge);
  EXPECT_EQ(full.error().message.find("one-too-many"), std::string::npos);
  EXPECT_TRUE(many.add("value-number-7")) << "it is known already";
  EXPECT_EQ(masked(many, "value-number-7!"), "#!");
}

TEST(KnownSecrets, ARedactorMasksThemInEveryKindOfText) {
  SeededEntropy entropy(1);
  KnownSecrets known;
  const Redactor redactor(entropy, &known);
  const std::string value = "plain-words-9";
  EXPECT_EQ(redactor.mask_text("it is " + value).text, "it is " + value);
  ASSERT_TRUE(known.add(value));
  for (const Redacted& one :
       {redactor.mask_text("it is " + value), redactor.mask_body("<b>" + value, "text/html"),
        redactor.mask_url("http://a.test/" + value + "?q=" + value), redactor.mask_header_value("x-any", value),
        redactor.mask_member("any", value), redactor.mask_head("GET /" + value + " HTTP/1.1\r\n\r\n"),
        redactor.mask_body("a=" + value, "application/x-www-form-urlencoded")}) {
    EXPECT_TRUE(one.masked);
    EXPECT_EQ(one.text.find(value), one.text.npos) << one.text;
    EXPECT_TRUE(holds_mask(one.text)) << one.text;
  }
}

TEST(KnownSecrets, AWatchedRedactorTellsWhatIsBehindEachMask) {
  SeededEntropy entropy(1);
  const Redactor redactor(entropy);
  std::vector<std::pair<std::string, std::string>> seen;
  const Redactor::Watch watch = [&](std::string_view mask, std::string_view value) { seen.emplace_back(mask, value); };
  const Redacted masked = redactor.watched(watch).mask_header_value("Cookie", "a=first-value; b=second");
  EXPECT_EQ(masked.text, redactor.mask_header_value("Cookie", "a=first-value; b=second").text);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].second, "first-value");
  EXPECT_NE(masked.text.find(seen[0].first), masked.text.npos);
}

}  // namespace
}  // namespace sluice

#include "regex/required.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "regex/regex.h"

namespace sluice::regex {
namespace {

TEST(RequiredText, IsTheLongestPieceThatEachMatchHolds) {
  const std::pair<const char*, const char*> cases[] = {
      {"token", "token"},
      {"\"token\": ?\"[0-9a-f]+\"", "\"token\":"},
      {"api\\.example\\.com/v[12]/users", "api.example.com/v"},
      {"id=\\d+&name=.*", "&name="},
      {"(foo|bar)bazzz", "bazzz"},
      {"(?i)secret", "secret"},
      {"abc+def", "abc"},
      {"abcd*ef", "abc"},
      {"abcd{0}ef", "abc"},
      {"abcd{0,2}efgh", "efgh"},
      {"^GET$", "GET"},
      {"[]abc]def", "def"},
      {"[[:alpha:]]def", "def"},
      {"(a[)]b(c))xy", "xy"},
      {"a{b", "b"},
      {"stra\xC3\x9F"
       "e",
       "stra"},
  };
  for (const auto& [pattern, text] : cases) EXPECT_EQ(required_text(pattern), text) << pattern;
}

TEST(RequiredText, IsNoneWhereNothingIsSure) {
  for (const char* pattern : {"", "a|b", "foo|", "(foo|bar)", "[abc]+", "\\d{3}", "\\Qa|b\\E", "\\x41bc",
                              "\\p{Greek}ab", "(?:a\\Q)\\E)b", "x*", "abc\\"}) {
    EXPECT_EQ(required_text(pattern), "") << pattern;
  }
}

TEST(RequiredText, EveryMatchHoldsIt) {
  constexpr std::array<const char*, 24> kParts{
      "a",    "b", "C", "ab", "\\.", "\\|",   ".",  "[ab]", "[^]]", "(a|b)", "(ab)",   "(?:c)",
      "(?i)", "*", "+", "?",  "{0}", "{1,2}", "{,", "|",    "\\b",  "^",     "[a\\]]", "[[:^alpha:]c]"};
  std::mt19937 random(7);
  std::size_t compiled = 0, matched = 0, helped = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string pattern, text;
    for (int parts = 1 + static_cast<int>(random() % 6); parts > 0; --parts)
      pattern += kParts[random() % kParts.size()];
    const auto regex = Regex::compile(pattern, {.any_case = true});
    if (!regex) continue;
    ++compiled;
    const std::string required = required_text(pattern);
    if (!required.empty()) ++helped;
    for (int tries = 0; tries < 10; ++tries) {
      text.clear();
      for (int left = static_cast<int>(random() % 10); left > 0; --left) text += "abcABC.|]"[random() % 9];
      if (!regex->is_in(text)) continue;
      ++matched;
      const auto lower = [](std::string of) {
        for (char& c : of) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        return of;
      };
      EXPECT_NE(lower(text).find(lower(required)), std::string::npos) << pattern << " in " << text << ": " << required;
    }
  }
  EXPECT_GT(compiled, 5'000u);
  EXPECT_GT(matched, 5'000u);
  EXPECT_GT(helped, 2'000u);
}

}  // namespace
}  // namespace sluice::regex

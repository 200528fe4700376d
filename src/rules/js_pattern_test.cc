#include "rules/js_pattern.h"

#include <gtest/gtest.h>

#include <string>

#include "rules/pattern.h"

namespace sluice::rules {
namespace {

using namespace std::string_literals;

bool matches(std::string_view js, std::string_view text) {
  auto pattern = Pattern::compile(js);
  if (!pattern) {
    ADD_FAILURE() << js << ": " << pattern.error().message;
    return false;
  }
  return pattern->matches(text);
}

std::string refusal(std::string_view js) {
  auto pattern = Pattern::compile(js);
  return pattern ? "" : pattern.error().message;
}

struct Row {
  std::string pattern, text;
  bool matches;
};

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(matches(row.pattern, row.text), row.matches) << row.pattern << " on " << row.text;
  }
}

TEST(JsPattern, SearchesAnywhere) {
  expect_rows({{"/api/", "https://a.example/api/v1", true},
               {"", "anything", true},
               {"^/api", "https://a.example/api", false},
               {"v1$", "/api/v1", true},
               {"v1$", "/api/v1/x", false},
               {"API", "/api", false},
               {"(?i:API)", "/api", true},
               {"(?i:A(?-i:P)I)", "/aPi", true},
               {"(?i:A(?-i:P)I)", "/api", false}});
}

TEST(JsPattern, DollarIsTheEndOfTextAndDotNoLineEnd) {
  expect_rows({{"a$", "a\n", false},
               {"^b", "a\nb", false},
               {"a.b", "a\nb", false},
               {"a.b", "a\rb", false},
               {"a.b", "a\u2028b", false},
               {"a.b", "a\u2029b", false},
               {"a.b", "a\u0085b", true},
               {"^a.b$", "a\U0001F600b", true}});
}

TEST(JsPattern, EmptyClassesMeanNothingAndEverything) {
  expect_rows({{"a[]", "a", false},
               {"a[]|b", "b", true},
               {"^a[^]b$", "a\nb", true},
               {"^[^]$", "\u00e9", true},
               {"^[^]*$", "", true}});
}

TEST(JsPattern, ReadsCodePointEscapes) {
  expect_rows({{R"(\x41)", "A", true},
               {R"(^\u0041\u00e9$)", "A\u00e9", true},
               {R"(^\u{1F600}$)", "\U0001F600", true},
               {R"(^\uD83D\uDE00$)", "\U0001F600", true},
               {R"(^[\uD83D\uDE00]$)", "\U0001F600", true},
               {R"(^[\u0041-\u0043]+$)", "ABC", true},
               {R"(\cJ)", "\n", true},
               {R"(^\cj$)", "\n", true},
               {R"(^\c1$)", "\\c1", true},
               {R"(^[\c1]$)", "\x11", true},
               {R"(^[\c]$)", "\\", true},
               {R"(^[\c]$)", "c", true},
               {R"(\0)", "a\0b"s, true},
               {R"(^\t\n\v\f\r$)", "\t\n\v\f\r", true},
               {R"(^\101$)", "A", true},
               {R"(^\8$)", "8", true},
               {R"(^\400$)", " 0", true},
               {R"(^\x4$)", "x4", true},
               {R"(^\u41$)", "u41", true}});
}

TEST(JsPattern, TakesEveryIdentityEscapeLiterally) {
  expect_rows({{R"(^\/\-\_\:\"\'\@\%\&\=\~\`\!\#\,\;\<\>$)", R"(/-_:"'@%&=~`!#,;<>)", true},
               {R"(^\a\e\A\z\Z\Q\E\C\G\h\R\X$)", "aeAzZQECGhRX", true},
               {R"(^a\.b$)", "axb", false},
               {R"(^[\A\-\]\^]+$)", "A-]^", true},
               {R"(^\é$)", "é", true}});
}

TEST(JsPattern, ClassesOfCharacters) {
  expect_rows({{R"(^\d+$)", "0123456789", true},
               {R"(^\d$)", "\u0663", false},
               {R"(^\w+$)", "aZ_9", true},
               {R"(^\w$)", "é", false},
               {R"(^\W$)", "é", true},
               {R"(^\s$)", "\u00a0", true},
               {R"(^\s$)", "\v", true},
               {R"(^\s$)", "\ufeff", true},
               {R"(^\s$)", "\u200b", false},
               {R"(^\S$)", "\u200b", true},
               {R"(^\S$)", "\u3000", false},
               {R"(^\S$)", "\n", false},
               {R"(^[\s\d]+$)", "\u20281", true},
               {R"(^[^\s]$)", "\u2028", false},
               {R"(^[\S]$)", " ", false},
               {R"(^[^\S]$)", " ", true},
               {R"(^[\w-z]$)", "-", true},
               {R"(^[a-\d]$)", "-", true},
               {R"(^[a-]$)", "-", true},
               {R"(^[-a]$)", "-", true},
               {R"(^[[:alpha:]]$)", "a]", true},
               {R"(^[a&&b]$)", "&", true},
               {R"([\b])", "\b", true},
               {R"(^[^a]$)", "\n", true},
               {R"(^\p{Lu}\p{Script=Greek}$)", "Aα", true}});
}

TEST(JsPattern, WordBoundaries) {
  expect_rows({{R"(\bapi\b)", "/api/", true}, {R"(\bapi\b)", "/apis/", false}, {R"(\Bpi\B)", "/apis", true}});
}

TEST(JsPattern, GroupsAndQuantifiers) {
  expect_rows({{"^(?<year>\\d{4})-(?<y_2>x)?$", "2024-", true},
               {"^(?<$a>b)$", "b", true},
               {"^(?<ä>b)$", "b", true},
               {"^(?:ab){2,}$", "ababab", true},
               {"^(?:ab){2}?$", "abab", true},
               {"^a{,2}$", "a{,2}", true},
               {"^a{$", "a{", true},
               {"^{$", "{", true},
               {"^a{x}$", "a{x}", true},
               {"^a]}$", "a]}", true},
               {"^a{0}$", "", true},
               {"^(|a)*$", "aaa", true},
               {"a|", "", true}});
}

TEST(JsPattern, RefusesByNameWhatRe2CannotDo) {
  EXPECT_EQ(refusal("foo(?=bar)"),
            "look-ahead (?=…) is not supported: RE2 matches in linear time and therefore cannot look around");
  EXPECT_NE(refusal("foo(?!bar)").find("negative look-ahead (?!…)"), std::string::npos);
  EXPECT_NE(refusal("(?<=a)b").find("look-behind (?<=…)"), std::string::npos);
  EXPECT_NE(refusal("(?<!a)b").find("negative look-behind (?<!…)"), std::string::npos);
  EXPECT_NE(refusal(R"((a)\1)").find("back-reference \\1"), std::string::npos);
  EXPECT_NE(refusal(R"(\1(a))").find("back-reference \\1"), std::string::npos);
  EXPECT_NE(refusal(R"((?<n>a)\k<n>)").find("back-reference \\k<name>"), std::string::npos);
  EXPECT_NE(refusal("a{1001}").find("1000"), std::string::npos);
  EXPECT_NE(refusal("((a{100}){100}){100}").find("1000"), std::string::npos);
  EXPECT_NE(refusal(R"(\uD83D)").find("surrogate"), std::string::npos);
}

TEST(JsPattern, RefusesWhatJavaScriptRefuses) {
  for (const std::string_view bad :
       {"(",    ")",    "(a",    "a)",     "[a",   "[a\\",    "*a",       "a**",         "a+*",
        "^*",   "\\b+", "a|*",   "(*a)",   "(?a)", "(?i)a",   "(?<>a)",   "(?<1>a)",     "(?<n>a)(?<n>b)",
        "(?<n", "(?",   "[b-a]", "a{2,1}", "\\",   "a{1}{2}", "(?P<n>a)", "[\\k](?<n>a)"}) {
    EXPECT_NE(refusal(bad), "") << bad;
  }
  EXPECT_NE(refusal("\xff"), "");
  EXPECT_NE(refusal(std::string(kMaxPatternLength + 1, 'a')), "");
  EXPECT_NE(refusal(std::string(1000, '(') + std::string(1000, ')')), "");
}

TEST(JsPattern, TakesLargePatternsUpToALimit) {
  EXPECT_TRUE(matches("^.{0,100}x$", "abcx"));
  EXPECT_TRUE(matches(std::string(kMaxPatternLength, 'a'), std::string(kMaxPatternLength, 'a')));
  EXPECT_NE(refusal("((\\p{L}{30}){30}|a)").find("too large"), std::string::npos);
}

TEST(JsPattern, KnowsWhetherTheTextBeforeMatters) {
  EXPECT_FALSE(translate_js_pattern("/api$")->looks_left);
  EXPECT_TRUE(translate_js_pattern("^/api")->looks_left);
  EXPECT_TRUE(translate_js_pattern("\\bapi")->looks_left);
  EXPECT_FALSE(translate_js_pattern("[\\b^]")->looks_left);
  EXPECT_TRUE(translate_js_pattern("^a(b|c)")->anchored);
  EXPECT_FALSE(translate_js_pattern("^a|b")->anchored);
  EXPECT_FALSE(translate_js_pattern("(^a)")->anchored);
}

TEST(Pattern, BoundsWhatAnAnchoredPatternCanMatch) {
  const auto pattern = Pattern::compile(R"(^https://api\.example\.com/v\d)");
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(pattern->may_match_from("https://api.example.com"));
  EXPECT_FALSE(pattern->may_match_from("https://www.example.com"));
  EXPECT_FALSE(pattern->may_match_from("/"));
  EXPECT_TRUE(Pattern::compile("example")->may_match_from("/"));
  EXPECT_TRUE(Pattern::compile("^.*x")->may_match_from("https://"));
  EXPECT_TRUE(Pattern::compile("^")->may_match_from("/"));
  EXPECT_TRUE(Pattern::compile("^(?i:HTTPS)://a")->may_match_from("https://a"));
}

TEST(PatternSet, FindsAllThatMatch) {
  std::vector<Pattern> patterns;
  for (const std::string_view js : {"a", "b$", "^c", "[^]"}) patterns.push_back(*Pattern::compile(js));
  std::vector<const Pattern*> pointers;
  for (const Pattern& pattern : patterns) pointers.push_back(&pattern);
  const auto set = PatternSet::compile(pointers);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->find("cab"), (std::vector<std::uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(set->find("x"), (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(set->find(""), std::vector<std::uint32_t>());
}

}  // namespace
}  // namespace sluice::rules

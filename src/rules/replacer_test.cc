#include "rules/replacer.h"

#include <gtest/gtest.h>

namespace sluice::rules {
namespace {

std::string replaced(std::string_view pattern, std::string_view with, std::string text) {
  auto replacer = Replacer::compile(pattern, with);
  if (!replacer) return "refused: " + replacer.error().message;
  const auto done = replacer->replace(text, 1 * kMiB);
  return done ? text : "failed: " + done.error().message;
}

TEST(Replacer, ReplacesEveryMatch) {
  EXPECT_EQ(replaced("a", "b", "banana"), "bbnbnb");
  EXPECT_EQ(replaced("x", "b", "banana"), "banana");
  EXPECT_EQ(replaced("^", ">", "text"), ">text");
  EXPECT_EQ(replaced("$", "<", "text"), "text<");
  EXPECT_EQ(replaced("", "-", "aé"), "-a-é-") << "between characters, never inside of one";
  EXPECT_EQ(replaced("a*", "-", "baac"), "-b--c-") << "as JavaScript: the end of a match is a place for an empty one";
}

TEST(Replacer, KnowsGroupsAsJavaScriptAndRe2WriteThem) {
  EXPECT_EQ(replaced(R"((\w+)@(\w+))", "$2 at $1", "me@home"), "home at me");
  EXPECT_EQ(replaced(R"((\w+)@(\w+))", R"(\2 at \1)", "me@home"), "home at me");
  EXPECT_EQ(replaced(R"((?<user>\w+)@(?<host>\w+))", "$<host>/$<user>", "me@home"), "home/me");
  EXPECT_EQ(replaced("b", "[$&$$$`$']", "abc"), "a[b$ac]c");
  EXPECT_EQ(replaced("(a)", "$10", "a"), "a0") << "one digit where there are not ten groups";
  EXPECT_EQ(replaced("(a)|(b)", "<$2>", "ab"), "<><b>") << "a group that took no part is empty";
  EXPECT_EQ(replaced("a", "$0 $x $", "a"), "$0 $x $");
  EXPECT_EQ(replaced("a", R"(\n\\)", "a"), R"(\n\\)") << "a backslash is text, but before a digit";
}

TEST(Replacer, RefusesWhatItCannotMean) {
  EXPECT_EQ(replaced("(a)", "$2", "a"), "refused: the replacement names group 2, the pattern has 1");
  EXPECT_EQ(replaced("(?<x>a)", "$<y>", "a"),
            "refused: the replacement names a group that the pattern does not have: $<y>");
  EXPECT_TRUE(replaced("(", "", "a").starts_with("refused: "));
  EXPECT_TRUE(replaced("(?=a)", "", "a").starts_with("refused: "));
}

TEST(Replacer, DoesNotGrowBeyondItsLimit) {
  auto replacer = Replacer::compile("a", "$`$'");
  ASSERT_TRUE(replacer);
  std::string text(4096, 'a');
  const auto done = replacer->replace(text, 64 * kKiB);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kTooLarge);
  EXPECT_EQ(text, std::string(4096, 'a')) << "what fails leaves the text";
}

}  // namespace
}  // namespace sluice::rules

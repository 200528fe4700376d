#include <gtest/gtest.h>

#include "analysis/filter.h"
#include "analysis/filter_terms.h"

namespace sluice::analysis {
namespace {

std::string parsed(std::string_view text) {
  const auto expression = FilterExpression::parse(text);
  if (!expression) return "error: " + expression.error().message;
  const std::string printed = expression->text();
  const auto again = FilterExpression::parse(printed);
  EXPECT_TRUE(again) << text << " became " << printed << ": " << (again ? "" : again.error().message);
  if (again) EXPECT_EQ(again->text(), printed) << text;
  return printed;
}

TEST(FilterParse, ReadsWhatMitmproxyReads) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"~q", "~q"},
      {"~c 404", "~c 404"},
      {"example", "~u example"},                             // a pattern alone is for the URL
      {"!~q", "!~q"},                                        //
      {"! ~q", "!~q"},                                       //
      {"!!~q", "!!~q"},                                      //
      {"~q & ~b test", "~q & ~b test"},                      // the manual's examples
      {"!(~q & ~t \"text/html\")", "!(~q & ~t text/html)"},  //
      {"google\\.com", "~u google\\.com"},                   //
      {"~m POST ~d a | ~d b", "~m POST & (~d a | ~d b)"},    // side by side binds least
      {"~d a | ~d b & ~d c", "~d a | ~d b & ~d c"},          // & before |
      {"(~d a | ~d b) & ~d c", "(~d a | ~d b) & ~d c"},      //
      {"!~d a & ~d b", "!~d a & ~d b"},                      // ! before &
      {"!(~d a & ~d b)", "!(~d a & ~d b)"},                  //
      {"~d a |~d b", "~d a | ~d b"},                         //
      {"~u a|b", "~u a|b"},                                  // inside a word they belong to the pattern
      {"~u a&b", "~u a&b"},                                  //
      {"~b !important", "~b \"!important\""},                //
      {"~b 'it is' ~b \"so\"", "~b \"it is\" & ~b so"},      //
      {"~b \"say \\\"so\\\"\"", "~b \"say \\\"so\\\"\""},    //
      {"\t~q\n\r ~s ", "~q & ~s"},                           //
  };
  for (const auto& [text, printed] : kCases) EXPECT_EQ(parsed(text), printed) << text;
}

TEST(FilterParse, TakesMoreThanMitmproxyWhereThatIsSafe) {
  EXPECT_EQ(parsed("(~q ~s)"), "~q & ~s") << "side by side inside parentheses";
  EXPECT_EQ(parsed("(~q)"), "~q");
  EXPECT_EQ(parsed("~u \"\\d+\""), "~u \\d+") << "a backslash in quotes stays";
  EXPECT_EQ(parsed("~u \"\\\\d+\""), "~u \\d+") << "and doubled as mitmproxy wants it";
  EXPECT_EQ(parsed("((~q & ~s) & ~e)"), "~q & ~s & ~e");
}

TEST(FilterParse, ArgumentsAreChecked) {
  for (const char* text :
       {"~c 404",      "~c 400-499",   "~c 5..",        "~c 5xx",        "~c 40x",       "~c >=400",   "~c <500",
        "~size 0",     "~size >10k",   "~size <=1.5MB", "~size 1k-2KiB", "~sizeq =7",    "~sizes >1g", "~dur >500",
        "~dur >=1.5s", "~dur 10ms-2m", "~dur <250us",   "~rule 3",       "~rule rule_3", "~rule *"}) {
    EXPECT_EQ(parsed(text), text);
  }
}

TEST(FilterParse, ErrorsPointAndSuggest) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"", "column 1: a term is missing at the end; ~all is every exchange"},
      {"~d a &", "column 7: a term is missing at the end"},
      {"& ~q", "column 1: a term is missing before '&'"},
      {"~q | | ~s", "column 6: a term is missing before '|'"},
      {"()", "column 2: a term is missing before ')'"},
      {"(~q", "column 1: this '(' has no ')'"},
      {"~q)", "column 3: there is no '(' for this ')'"},
      {"~hots a", "column 1: there is no term ~hots"},
      {"~q ~websoket", "column 4: there is no term ~websoket; did you mean ~websocket?"},
      {"~marked", "column 1: mitmproxy's ~marked is not known here"},
      {"~c404", "column 1: a blank is missing behind ~c"},
      {"~", "column 1: '~' stands before a term's name"},
      {"~Q", "column 1: there is no term ~Q; did you mean ~"},
      {"~d", "column 3: ~d needs a pattern"},
      {"~d ~q", "column 4: ~d needs a pattern"},
      {"~u (a|b)", "column 4: ~u needs a pattern; one with blanks, quotes, '~' or parentheses stands in quotes"},
      {"~c )", "column 4: ~c needs a value"},
      {"~u a(b)", "column 5: a blank is missing before '('"},
      {"~u a~b", "column 5: a blank is missing before '~'"},
      {"~u 'a'b", "column 7: a blank is missing before 'b'"},
      {"~d a| ~d b", "column 5: '|' touches a pattern"},
      {"~d &a", "column 4: '&' touches a pattern"},
      {"~b 'open", "column 4: this quote has no end"},
      {"~d \xc3\xa9\xc3\xa9 ~x", "column 7: there is no term ~x"},  // characters are counted
      {"~b \"[a\"", "column 4: RE2 does not take the pattern: missing ]"},
      {"~b (?=x)", "column 4: ~b needs a pattern"},
      {"~b \"(?=x)\"", "column 4: RE2 does not take the pattern"},
      {"~c 4.4", "column 4: ~c takes a status such as 404"},
      {"~c abc", "column 4: ~c takes a status"},
      {"~c 500-400", "column 4: ~c takes a status"},
      {"~size > 10k", "column 7: ~size takes a size such as >10k, <=1.5m, 0 or 1k-2k, without a blank behind the sign"},
      {"~size 10q", "column 7: ~size takes a size"},
      {"~dur >", "column 6: ~dur takes a time"},
      {"~rule three", "column 7: ~rule takes a rule's id such as rule_3, or * for any"},
  };
  for (const auto& [text, part] : kCases) {
    const std::string said = parsed(text);
    EXPECT_TRUE(said.starts_with("error: The filter is wrong at column ")) << text << ": " << said;
    EXPECT_NE(said.find(part), std::string::npos) << text << ": " << said;
  }
}

TEST(FilterParse, IsBounded) {
  const auto repeated = [](std::string_view part, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) text += part;
    return text;
  };
  EXPECT_EQ(parsed(repeated("(", 50) + "~q" + repeated(")", 50)), "~q");
  EXPECT_NE(parsed(repeated("(", 51) + "~q" + repeated(")", 51)).find("inside each other"), std::string::npos);
  EXPECT_EQ(parsed(repeated("!", 50) + "~q"), repeated("!", 50) + "~q");
  EXPECT_NE(parsed(repeated("!", 51) + "~q").find("inside each other"), std::string::npos);
  EXPECT_NE(parsed(repeated("(", 3'000)).find("inside each other"), std::string::npos);
  EXPECT_TRUE(FilterExpression::parse(repeated("~q ", 100)));
  EXPECT_NE(parsed(repeated("~q ", 101)).find("column 301: a filter has at most 100 terms"), std::string::npos);
  EXPECT_EQ(FilterExpression::parse(std::string(4'001, 'a')).error().code, Code::kTooLarge);
  EXPECT_NE(parsed(std::string(2'001, 'a')).find("at most 2000 octets"), std::string::npos);
  EXPECT_NE(parsed("~b \"((a{100}){100}){100}\"").find("column 4"), std::string::npos) << "RE2's own bounds";
}

TEST(FilterParse, KnowsEveryTermByItsOwnName) {
  for (const FilterTerm& term : filter_terms()) {
    const std::string text = "~" + std::string(term.code) +
                             (term.argument == TermArgument::kNone   ? ""
                              : term.argument == TermArgument::kRule ? " *"
                                                                     : " 1");
    EXPECT_EQ(parsed(text), text);
  }
}

}  // namespace
}  // namespace sluice::analysis

#include "analysis/html_texts.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "analysis/html_texts_test_support.h"

namespace sluice::analysis {
namespace {

TEST(TextsAside, StandAsideAndComeBack) {
  const std::string_view page =
      "<!doctype html><title>A title of the page</title>\n<p class=\"of the first\">\n   A paragraph, <b>bold as can "
      "be</b> &amp; "
      "more\r\n <i>\r\n in lines</i><svg viewBox='0 0 1 1'><path d=M/></svg>after a picture</p>";
  const TextsAside aside(page);
  for (const std::string_view gone : {"A paragraph", "bold as can be", "in lines", "after a picture"}) {
    EXPECT_EQ(aside.shortened().find(gone), std::string_view::npos) << gone;
  }
  for (const std::string_view kept : {"A title of the page", "of the first", "&amp; more"}) {
    EXPECT_NE(aside.shortened().find(kept), std::string_view::npos) << kept;
  }
  EXPECT_EQ(tree_of(page, true), tree_of(page, false));
}

TEST(TextsAside, AreManyInOnePage) {
  std::string page;
  for (int i = 0; i < 70'000; ++i) page += "<p>paragraph " + std::to_string(i);
  EXPECT_LT(TextsAside(page).shortened().size(), page.size());
  EXPECT_EQ(tree_of(page, true), tree_of(page, false));
}

// Where what a page says could be taken for a sign, nothing stands aside.
TEST(TextsAside, AreNotTakenForWhatThePageSays) {
  for (const std::string_view own : {"\U000F0000", "\U000F8001\U000F0000", "&#983040;", "&#xF0000;", "&#0000983040",
                                     "&#x0f0000 ", "\U0010FFFD", "&#99999999999999999999;"}) {
    const std::string page = "<p>the first paragraph<p>" + std::string(own) + " and the second";
    EXPECT_EQ(TextsAside(page).shortened(), page) << own;
    EXPECT_EQ(tree_of(page, true), tree_of(page, false)) << own;
  }
  const std::string_view harmless = "<p>the first paragraph &#128512; &#x1F600; &# &#x";
  EXPECT_EQ(tree_of(harmless, true), tree_of(harmless, false));
  EXPECT_NE(TextsAside("<p>the first paragraph<p>&#x1F600;").shortened().find("\xF3\xB0\x80\x80"),
            std::string_view::npos);
}

// Tags that change how the rest is read, in all kinds of wrong places.
TEST(TextsAside, MakeTheSameTreeOfAnyMarkup) {
  static constexpr std::array kPieces = std::to_array<std::string_view>({"a longer text",
                                                                         " \n\t",
                                                                         "x",
                                                                         "\r\n",
                                                                         "&amp;",
                                                                         "&#65;",
                                                                         "\xC2\xA0 text here",
                                                                         "\xC2\x80 odd",
                                                                         "\xEF\xBF\xBE!!",
                                                                         "\xF0\x9F\xBF\xBE! text",
                                                                         "\xF0\x9F\x98\x80 a face",
                                                                         "<p>",
                                                                         "</p>",
                                                                         "<b>",
                                                                         "</b>",
                                                                         "<a href=\"a > b\">",
                                                                         "<a title='",
                                                                         "<a title=\"",
                                                                         "\">",
                                                                         "'>",
                                                                         "<div/>",
                                                                         "<br>",
                                                                         "</br>",
                                                                         "<table>",
                                                                         "</table>",
                                                                         "<tr>",
                                                                         "<td>",
                                                                         "<caption>",
                                                                         "<colgroup>",
                                                                         "<col>",
                                                                         "<select>",
                                                                         "</select>",
                                                                         "<option>",
                                                                         "<input>",
                                                                         "<template>",
                                                                         "</template>",
                                                                         "<svg>",
                                                                         "</svg>",
                                                                         "<svg/>",
                                                                         "<svg a=b/>",
                                                                         "<path d=1/>",
                                                                         "<g>",
                                                                         "</g>",
                                                                         "<foreignObject>",
                                                                         "<desc>",
                                                                         "<math>",
                                                                         "<mi>",
                                                                         "</math>",
                                                                         "<title>",
                                                                         "</title>",
                                                                         "<style>",
                                                                         "</style>",
                                                                         "<script>",
                                                                         "</script>",
                                                                         "<!--",
                                                                         "-->",
                                                                         "--!>",
                                                                         "<!-->",
                                                                         "<textarea>",
                                                                         "</textarea>",
                                                                         "<xmp>",
                                                                         "</xmp >",
                                                                         "<iframe>",
                                                                         "</iframe>",
                                                                         "<noscript>",
                                                                         "</noscript>",
                                                                         "<noframes>",
                                                                         "</noframes>",
                                                                         "<frameset>",
                                                                         "<frame>",
                                                                         "<plaintext>",
                                                                         "<body>",
                                                                         "</body>",
                                                                         "</html>",
                                                                         "<head>",
                                                                         "</head>",
                                                                         "<pre>",
                                                                         "<![CDATA[",
                                                                         "]]>",
                                                                         "<!doctype html>",
                                                                         "<?x ?>",
                                                                         "</ x>",
                                                                         "< b",
                                                                         "<form>",
                                                                         "<button>",
                                                                         "<li>",
                                                                         "<SCRIPT\r\n>",
                                                                         "</ScRiPt\t>",
                                                                         "<style/>",
                                                                         "<p a='1'b=\"2\"c>",
                                                                         "<p =x>",
                                                                         "<p a= >",
                                                                         "<isindex prompt=a>",
                                                                         "<font color=a>",
                                                                         "</font>",
                                                                         "<image>",
                                                                         "<ruby><rt>",
                                                                         "<h1>",
                                                                         "<dd>",
                                                                         "<applet>"});
  std::mt19937 chance(20261123);
  for (int round = 0; round < 20'000; ++round) {
    std::string page;
    for (std::size_t i = chance() % 30; i > 0; --i) page += kPieces[chance() % kPieces.size()];
    page += "the last text";
    ASSERT_EQ(tree_of(page, true), tree_of(page, false)) << page;
  }
}

}  // namespace
}  // namespace sluice::analysis

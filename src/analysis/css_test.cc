#include "analysis/css.h"

#include <gtest/gtest.h>

#undef NDEBUG
#include <cassert>
#include <ctime>

namespace sluice::analysis {
namespace {

constexpr std::string_view kShop = R"(<!doctype html><title>Shop</title>
<div id=main class="a shop"><h1>Offers</h1>
<table class=prices><tr><th>Name<th>Price<tr><td>Tea<td data-cents=250>2.50<tr><td>Milk<td data-cents=99>0.99</table>
<form><input name=csrf type=hidden value="T&amp;1"><input type=checkbox checked disabled><select><option selected>x<option>y</select></form>
<p lang=en-GB>one <b>two</b></p><p></p><a href="/next?a=1&amp;b=2" rel="nofollow NEXT">next</a></div>)";

std::string found(std::string_view selector, std::string_view html = kShop) {
  const auto parsed = CssSelector::parse(selector);
  if (!parsed) return parsed.error().message;
  const auto page = HtmlPage::parse(html);
  EXPECT_TRUE(page);
  std::string out;
  for (const HtmlNode* node : parsed->find(*page, 100).elements) {
    out += (out.empty() ? "" : "|") + std::string(node->name) + ":" + text_of(*node);
  }
  return out;
}

TEST(Css, TypesClassesIdsAndCombinators) {
  EXPECT_EQ(found("h1"), "h1:Offers");
  EXPECT_EQ(found("#main > h1, TITLE"), "title:Shop|h1:Offers");
  EXPECT_EQ(found("div.shop.a table.prices td"), "td:Tea|td:2.50|td:Milk|td:0.99");
  EXPECT_EQ(found("table > tr"), "") << "the parser puts in a tbody";
  EXPECT_EQ(found("table > tbody > tr + tr > td:first-child"), "td:Tea|td:Milk");
  EXPECT_EQ(found("h1 ~ p"), "p:one two|p:");
  EXPECT_EQ(found("div:not(.shop)"), "");
}

TEST(Css, Attributes) {
  EXPECT_EQ(found("[data-cents]"), "td:2.50|td:0.99");
  EXPECT_EQ(found("td[data-cents='99']"), "td:0.99");
  EXPECT_EQ(found("a[rel~=nofollow]"), "a:next");
  EXPECT_EQ(found("a[rel~=next]"), "");
  EXPECT_EQ(found("a[rel~=next i]"), "a:next");
  EXPECT_EQ(found("p[lang|=en]"), "p:one two");
  EXPECT_EQ(found("a[href^='/next'][href$='b=2'][href*='&']"), "a:next");
  EXPECT_EQ(found("[class^='']"), "");
}

TEST(Css, PseudoClasses) {
  EXPECT_EQ(found("tr:nth-child(2n+1) td"), "td:Milk|td:0.99");
  EXPECT_EQ(found("td:nth-last-child(1)"), "td:2.50|td:0.99");
  EXPECT_EQ(found("p:nth-of-type(2)"), "p:");
  EXPECT_EQ(found("tr:nth-child(-n+2) th:last-of-type"), "th:Price");
  EXPECT_EQ(found("tr:nth-child(1 of :has(td)) td:first-child"), "td:Tea");
  EXPECT_EQ(found("p:empty"), "p:");
  EXPECT_EQ(found(":checked"), "input:|option:x");
  EXPECT_EQ(found("input:enabled"), "input:");
  EXPECT_EQ(found("tr:has(> td[data-cents='250']) td:first-child"), "td:Tea");
  EXPECT_EQ(found("h1:has(+ table)"), "h1:Offers");
  EXPECT_EQ(found(":is(h1, title):not(:root *)"), "");
  EXPECT_EQ(found("b:only-child, :any-link"), "b:two|a:next");
}

TEST(Css, WhatCannotBeSelectedIsRefusedByName) {
  for (const char* selector :
       {"",      " ",  "a,", "a >", "> a", "a::before", "a:hover", "svg|a", "*|a", "[a=]", "[a", ":nth-child()",
        ":not(", "a{", "#",  ".",   "..a", "a b >",     ":has(",   "'a'",   "1a"}) {
    EXPECT_FALSE(CssSelector::parse(selector)) << selector;
  }
  std::string deep = "a";
  for (int i = 0; i < 30; ++i) deep = ":not(" + deep + ")";
  EXPECT_FALSE(CssSelector::parse(deep));
}

TEST(Html, ElementsAreWrittenSoThatTheyReadTheSame) {
  const auto page = HtmlPage::parse(kShop);
  const auto selector = CssSelector::parse("input[name=csrf], a");
  const auto nodes = selector->find(*page, 10).elements;
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(outer_html(*nodes[0], 1'000), R"(<input name="csrf" type="hidden" value="T&amp;1">)");
  EXPECT_EQ(outer_html(*nodes[1], 1'000), R"(<a href="/next?a=1&amp;b=2" rel="nofollow NEXT">next</a>)");
}

TEST(Html, HostilePagesCostABoundedPrice) {
  std::string deep;
  for (int i = 0; i < 5'000; ++i) deep += "<div>";
  const auto nested = HtmlPage::parse(deep);
  ASSERT_TRUE(nested);
  EXPECT_TRUE(nested->is_cut());
  EXPECT_LE(nested->elements().size(), kMaxHtmlDepth + 3);
  EXPECT_EQ(found("div div:not(:has(*)) ~ x", deep), "");
  EXPECT_FALSE(HtmlPage::parse(std::string(9 * kMiB, 'x')));
  int asked = 0;
  const auto endless = HtmlPage::parse(deep, [&asked] { return ++asked == 3; });
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, Code::kTimeout);
  EXPECT_EQ(asked, 3);
  std::string bytes;
  for (int i = 0; i < 4'096; ++i) bytes += static_cast<char>(i * 7919 >> 3);
  EXPECT_TRUE(HtmlPage::parse(bytes));
  EXPECT_TRUE(HtmlPage::parse(""));
}

TEST(Html, PagesOfEachSizeAreReadAlike) {
  // Below and above what takes large blocks, and one text that no block holds.
  for (const std::size_t rows : {100u, 15'000u}) {
    std::string page = "<table>";
    for (std::size_t i = 0; i < rows; ++i) {
      page += "<tr class='r" + std::to_string(i % 7) + "'><td><a href=/p/" + std::to_string(i) + ">one</a><x-own>two";
    }
    page += "</table><p id=last>" + std::string(3 * kMiB, 'z');
    const auto parsed = HtmlPage::parse(page);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->elements().size(), 3 + 1 + 1 + rows * 4 + 1);
    const auto last = CssSelector::parse("#last")->find(*parsed, 2).elements;
    ASSERT_EQ(last.size(), 1u);
    EXPECT_EQ(text_of(*last[0]).size(), 3 * kMiB);
    const auto links = CssSelector::parse("tr.r3 > td a[href]")->find(*parsed, rows).elements;
    ASSERT_EQ(links.size(), (rows + 3) / 7);
    EXPECT_EQ(*links.back()->attribute("href"), "/p/" + std::to_string((links.size() - 1) * 7 + 3));
    EXPECT_EQ(links.back()->next->name, "x-own");
  }
}

// What such a text left of its block went to pieces that were taken for others when they came back, by octets of the
// text.
TEST(Html, ATextLargerThanABlockLiesAlone) {
  for (const std::size_t size : {300'000u, 2'500'000u}) {
    std::string page = "<script>" + std::string(size, 'a') + "</script>";
    for (int i = 0; i < 200; ++i) page += "<p title=\"" + std::string(20, 't') + "\" class=c>" + std::to_string(i);
    const auto parsed = HtmlPage::parse(page);
    ASSERT_TRUE(parsed);
    const auto found = CssSelector::parse("p.c[title^=ttt]")->find(*parsed, 1'000).elements;
    ASSERT_EQ(found.size(), 200u);
    EXPECT_EQ(text_of(*found.back()), "199");
  }
}

// gumbo's assertions are in Debian's package of it, and this page makes one fail. It ended the program.
TEST(Html, APageThatMakesGumboFailIsAnError) {
  const auto page = HtmlPage::parse("<table><svg><select><foreignObject><select><tr>");
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, Code::kInvalid);
  EXPECT_TRUE(HtmlPage::parse("<table><tr>"));
}

TEST(HtmlDeathTest, OtherAssertionsStillEndTheProgram) {
  EXPECT_DEATH(assert(time(nullptr) == 0), "assertion failed: time");
}

}  // namespace
}  // namespace sluice::analysis

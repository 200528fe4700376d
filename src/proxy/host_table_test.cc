#include "proxy/host_table.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

TEST(HostTable, TheMostSpecificPatternWins) {
  HostTable table;
  EXPECT_TRUE(table.empty());
  EXPECT_FALSE(table.find("example.com"));
  ASSERT_TRUE(table.add("*", 0));
  ASSERT_TRUE(table.add("*.example.com", 1));
  ASSERT_TRUE(table.add("*.api.example.com", 2));
  ASSERT_TRUE(table.add("one.api.example.com", 3));
  EXPECT_EQ(table.find("one.api.example.com"), 3u);
  EXPECT_EQ(table.find("two.api.example.com"), 2u);
  EXPECT_EQ(table.find("a.b.api.example.com"), 2u);
  EXPECT_EQ(table.find("api.example.com"), 1u);
  EXPECT_EQ(table.find("example.org"), 0u);
  EXPECT_FALSE(table.empty());
}

TEST(HostTable, ASuffixIsWholeLabelsAndNotItself) {
  HostTable table;
  ASSERT_TRUE(table.add("*.bank.example", 1));
  EXPECT_TRUE(table.find("www.bank.example"));
  EXPECT_FALSE(table.find("bank.example"));
  EXPECT_FALSE(table.find("notbank.example"));
  EXPECT_FALSE(table.find("www.bank.example.evil.test"));
  EXPECT_FALSE(table.find(".bank.examples"));
}

TEST(HostTable, CaseTrailingDotsAndBracketsDoNotMatter) {
  HostTable table;
  ASSERT_TRUE(table.add("Bank.Example.", 1));
  ASSERT_TRUE(table.add("[::1]", 2));
  ASSERT_TRUE(table.add("10.0.0.1", 3));
  EXPECT_EQ(table.find("BANK.example"), 1u);
  EXPECT_EQ(table.find("bank.example."), 1u);
  EXPECT_EQ(table.find("::1"), 2u);
  EXPECT_EQ(table.find("10.0.0.1"), 3u);
}

TEST(HostTable, AnAddressIsNoNameBelowASuffix) {
  HostTable table;
  ASSERT_TRUE(table.add("*.0.0.1", 1));
  EXPECT_FALSE(table.find("10.0.0.1"));
}

TEST(HostTable, RefusesWhatIsNoPattern) {
  for (const char* pattern : {"", ".", "*.", "**", "a.*", "*a.example", "https://a.example", "a.example:443", "a b",
                              "a..b", ".a", "*.*.a", "b\xc3\xbc.example", "a.example/x"}) {
    const Status refused = HostTable().add(pattern, 0);
    ASSERT_FALSE(refused) << pattern;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  HostTable table;
  ASSERT_TRUE(table.add("a.example", 0));
  EXPECT_EQ(table.add("A.example.", 1).error().message, "'A.example.' is given twice");
  EXPECT_EQ(table.find("a.example"), 0u);
}

}  // namespace
}  // namespace sluice::proxy

#include "http/fields.h"

#include <gtest/gtest.h>

#include "http/message.h"

namespace sluice::http {
namespace {

FieldList sample() {
  FieldList fields;
  fields.append_raw("Host:  a \r\n", 4, 7, 1);
  fields.append("Accept", "x, Y");
  fields.append_raw("accept:z\n", 6, 7, 1);
  return fields;
}

TEST(FieldList, KeepsOrderCaseAndDuplicates) {
  const auto fields = sample();
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields.name(2), "accept");
  EXPECT_EQ(fields.value(0), "a");
  EXPECT_EQ(fields.raw_line(0), "Host:  a \r\n");
  EXPECT_TRUE(fields.raw_line(1).empty());
}

TEST(FieldList, FindsInAnyCase) {
  const auto fields = sample();
  EXPECT_EQ(fields.find("ACCEPT"), "x, Y");
  EXPECT_EQ(fields.find("none"), std::nullopt);
  EXPECT_EQ(fields.count("accept"), 2u);
  EXPECT_EQ(fields.joined("accept"), "x, Y, z");
  EXPECT_EQ(fields.joined("none"), std::nullopt);
}

TEST(FieldList, FindsTokensInLists) {
  FieldList fields;
  fields.append("Connection", "close ,\tUpgrade,");
  fields.append("connection", "TE");
  for (const char* token : {"close", "upgrade", "te"}) EXPECT_TRUE(fields.has_token("CONNECTION", token)) << token;
  for (const char* token : {"clos", "close ,", "keep-alive"}) {
    EXPECT_FALSE(fields.has_token("connection", token)) << token;
  }
}

TEST(FieldList, WalksTheFieldsOfOneName) {
  const auto fields = sample();
  EXPECT_EQ(fields.next_named("ACCEPT"), 1u);
  EXPECT_EQ(fields.next_named("accept", 2), 2u);
  EXPECT_EQ(fields.next_named("accept", 3), 3u);
  EXPECT_EQ(fields.next_named("accepted"), fields.size());
  EXPECT_EQ(FieldList().next_named("host"), 0u);
}

TEST(FieldList, TellsNamesApartThatLookAlike) {
  FieldList fields;
  for (const char* name : {"x-abc-y", "x-aBc-z", "x-bbc-y", "X-Abd-Y", "", "x", "[", "{"}) fields.append(name, name);
  EXPECT_EQ(fields.find("X-ABC-Y"), "x-abc-y");
  EXPECT_EQ(fields.find("x-abd-y"), "X-Abd-Y");
  EXPECT_EQ(fields.find("x-acc-y"), std::nullopt);
  EXPECT_EQ(fields.find(""), "");
  EXPECT_EQ(fields.find("{"), "{") << "only letters have a case";
}

TEST(FieldList, KeepsTheLinesOfAHeadAtOnce) {
  FieldList fields;
  fields.append("First", "1");
  const std::string lines = "Host: a\r\nAccept:  b \r\n";
  const std::size_t at = fields.keep(lines);
  fields.append_kept({at, 9, 4, 6, 1});
  fields.append_kept({at + 9, 13, 6, 9, 1});
  EXPECT_EQ(fields.name(1), "Host");
  EXPECT_EQ(fields.value(1), "a");
  EXPECT_EQ(fields.raw_line(2), "Accept:  b \r\n");
  EXPECT_EQ(fields.find("accept"), "b");
  EXPECT_EQ(fields.raw_line(1).data() + 9, fields.raw_line(2).data()) << "writers copy neighbours at once";
  fields.clear();
  EXPECT_EQ(fields.find("host"), std::nullopt);
}

TEST(FieldList, SetsTheFirstAndRemovesTheRest) {
  auto fields = sample();
  fields.set("ACCEPT", "new");
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields.name(1), "Accept");
  EXPECT_EQ(fields.value(1), "new");
  fields.set("host", "b");
  EXPECT_TRUE(fields.raw_line(0).empty());
  EXPECT_EQ(fields.name(0), "Host");
  fields.set("X", "1");
  EXPECT_EQ(fields.find("x"), "1");
  EXPECT_EQ(fields.erase("accept"), 1u);
  EXPECT_EQ(fields.erase("accept"), 0u);
  fields.erase_at(0);
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields.name(0), "X");
}

TEST(FieldList, TakesItsOwnViewsAsArguments) {
  FieldList fields;
  fields.append("A", "1");
  for (int i = 0; i < 200; ++i) fields.append(fields.name(0), fields.value(fields.size() - 1));
  EXPECT_EQ(fields.count("a"), 201u);
  fields.set(fields.name(5), fields.value(7));
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields.value(0), "1");
}

TEST(FieldList, KnowsTokensAndValues) {
  EXPECT_TRUE(is_token("X-a_b!#$%&'*+.^`|~9"));
  for (const char* text : {"", "a b", "a:", "(a)", "a\t", "\xc3\xa4", "a/b", "\"a\""}) {
    EXPECT_FALSE(is_token(text)) << text;
  }
  EXPECT_TRUE(is_field_value("a\tb\xff"));
  EXPECT_FALSE(is_field_value("a\rb"));
  EXPECT_FALSE(is_field_value("a\nb"));
  EXPECT_FALSE(is_field_value(std::string_view("a\0b", 3)));
}

TEST(FieldValue, IsJudgedByEachOctetWhereverItStands) {
  for (std::size_t size = 1; size <= 20; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int octet = 0; octet < 256; ++octet) {
        std::string text(size, at % 2 == 0 ? 'a' : '\t');
        text[at] = static_cast<char>(octet);
        const bool good = octet != '\0' && octet != '\r' && octet != '\n';
        ASSERT_EQ(is_field_value(text), good) << size << " " << at << " " << octet;
      }
    }
  }
}

TEST(Anomaly, EveryOneHasAName) {
  for (std::uint32_t i = 0; i <= 14; ++i) EXPECT_NE(to_string(static_cast<Anomaly>(1u << i)), "unknown") << i;
}

}  // namespace
}  // namespace sluice::http

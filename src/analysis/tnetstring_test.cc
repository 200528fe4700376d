#include "analysis/tnetstring.h"

#include <gtest/gtest.h>

#include "analysis/flow_file.h"

namespace sluice::analysis {
namespace {

using Type = TnetValue::Type;

std::string text_of(const TnetText& text) {
  std::string out;
  for (const std::string& part : text.parts()) out += part;
  return out;
}
std::string error(std::string_view text) {
  const auto value = parse_tnet(text);
  return value ? "" : value.error().message;
}

TEST(Tnetstring, WhatIsWrittenIsReadAgain) {
  const std::string text = text_of(TnetText::dictionary(
      {{"octets", TnetText::octets(std::string("\0\xFF:,", 4))},
       {"text", TnetText::text("grün")},
       {"list", TnetText::list({TnetText::integer(-7), TnetText::number(1'772'359'200.125), TnetText::flag(true),
                                TnetText::nothing(), TnetText::list({})})}}));
  const auto value = parse_tnet(text);
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->find("octets")->text, std::string_view("\0\xFF:,", 4));
  EXPECT_EQ(value->find("text")->type, Type::kText);
  const std::vector<TnetValue>& list = value->find("list")->items;
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[0].integer, -7);
  EXPECT_EQ(list[1].number, 1'772'359'200.125);
  EXPECT_EQ(list[2].integer, 1);
  EXPECT_EQ(list[3].type, Type::kNothing);
  EXPECT_EQ(value->find("none"), nullptr);
}

TEST(Tnetstring, DamageIsNamed) {
  for (const char* bad : {"", "1", ":", "a:", "2:x,", "1:xx", "3:1:a}", "1:x?", "1:x~", "1:x#", "3:nan^", "3:yes!",
                          "4:1:a,}", "7:1:a#1:b,}", "0:,x", "9999999999999:x,", "-1:x,", "1 :x,"}) {
    EXPECT_NE(error(bad), "") << bad;
  }
}

TEST(Tnetstring, NestingAndNumbersAreBounded) {
  std::string deep = "0:]";
  for (int i = 0; i < 33; ++i) deep = std::to_string(deep.size()) + ":" + deep + "]";
  EXPECT_EQ(error(deep), "nested too deep.");
  std::string many;
  for (int i = 0; i < 1'000'001; ++i) many += "0:~";
  EXPECT_EQ(error(std::to_string(many.size()) + ":" + many + "]"), "more than a million values.");
}

TEST(Tnetstring, ValuesAreFoundWhereverTheOctetsAreCut) {
  const std::string text = "3:abc,0:~12:1:a,2:bc,0:~]5:12345#";
  const std::vector<std::string> wanted = {"3:abc,", "0:~", "12:1:a,2:bc,0:~]", "5:12345#"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    TnetValues values;
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size(); at += step) {
      ASSERT_TRUE(values.feed(std::string_view(text).substr(at, step)));
      while (auto value = values.next()) found.push_back(*std::move(value));
    }
    EXPECT_TRUE(values.finish());
    EXPECT_EQ(found, wanted) << step;
  }
  TnetValues cut;
  ASSERT_TRUE(cut.feed(text.substr(0, text.size() - 1)));
  EXPECT_FALSE(cut.finish());
  TnetValues large(10);
  EXPECT_FALSE(large.feed("11:"));
  EXPECT_FALSE(large.feed("0:~")) << "the same answer ever after";
}

TEST(FlowFile, OnlyHttpOfKnownFormatsIsRead) {
  const auto flow = [](int version, const char* type) {
    return text_of(TnetText::dictionary({{"version", TnetText::integer(version)}, {"type", TnetText::text(type)}}));
  };
  EXPECT_EQ(read_flow(flow(16, "http")).error().code, Code::kConflict);
  EXPECT_EQ(read_flow(flow(22, "http")).error().code, Code::kConflict);
  EXPECT_EQ(read_flow(flow(17, "http")).error().code, Code::kInvalid);
  const auto tcp = read_flow(flow(21, "tcp"));
  EXPECT_TRUE(tcp && !*tcp);
}

}  // namespace
}  // namespace sluice::analysis

#include "analysis/protobuf.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::analysis {
namespace {

std::string shape(const std::vector<ProtoField>& fields) {
  std::string text;
  for (const ProtoField& field : fields) {
    if (!text.empty()) text += ' ';
    text += std::to_string(field.number) + ":";
    switch (field.type) {
      case ProtoType::kText:
        text += "'" + std::string(field.octets) + "'";
        break;
      case ProtoType::kBytes:
        text += "b" + std::to_string(field.octets.size());
        break;
      case ProtoType::kMessage:
        text += "{" + shape(field.fields) + "}";
        break;
      case ProtoType::kFixed32:
      case ProtoType::kFixed64:
        text += "f";
        [[fallthrough]];
      case ProtoType::kVarint:
        text += std::to_string(field.value);
        break;
    }
  }
  return text;
}

std::string parse(std::string_view octets, const ProtoLimits& limits = {}) {
  const auto fields = parse_protobuf(octets, limits);
  return fields ? shape(*fields) : "none";
}

// The examples of protobuf.dev/programming-guides/encoding.
TEST(Protobuf, TheGuidesExamplesAreReadAsItSays) {
  EXPECT_EQ(parse("\x08\x96\x01"), "1:150");
  EXPECT_EQ(parse("\x12\x07testing"), "2:'testing'");
  EXPECT_EQ(parse("\x1a\x03\x08\x96\x01"), "3:{1:150}");
  EXPECT_EQ(parse("\x32\x06\x03\x8e\x02\x9e\xa7\x05"), "6:b6") << "packed numbers are not to be told from octets";
}

TEST(Protobuf, FixedNumbersAreLittleEndian) {
  EXPECT_EQ(parse(std::string("\x0d\x01\x02\0\0\x11\x01\0\0\0\0\0\0\x80", 14)), "1:f513 2:f9223372036854775809");
}

TEST(Protobuf, MessagesInMessagesAreLookedInto) {
  EXPECT_EQ(parse("\x0a\x09\x12\x07\x0a\x05\x08\x01\x10\x80\x02"), "1:{2:{1:{1:1 2:256}}}");
  EXPECT_EQ(parse("\x0a\x09\x12\x07\x0a\x05\x08\x01\x10\x80\x02", {.depth = 1}), "1:{2:b7}");
  EXPECT_EQ(parse(std::string("\x0a\0", 2)), "1:''");
  EXPECT_EQ(parse(""), "");
}

TEST(Protobuf, WhatIsNoneIsNoneFromEndToEnd) {
  EXPECT_EQ(parse("{\"json\":true}"), "none");
  EXPECT_EQ(parse("\x08"), "none");
  EXPECT_EQ(parse(std::string("\0\0", 2)), "none") << "there is no field 0";
  EXPECT_EQ(parse("\x12\x08testing"), "none") << "longer than what is there";
  EXPECT_EQ(parse("\x0b\x0c"), "none") << "groups";
  EXPECT_EQ(parse("\x0d\x01\x02"), "none");
  EXPECT_EQ(parse("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "1:18446744073709551615");
  EXPECT_EQ(parse("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "none") << "beyond 64 bits";
}

TEST(Protobuf, LimitsHold) {
  std::string many;
  for (int i = 0; i < 10; ++i) many += "\x08\x01";
  EXPECT_EQ(parse(many, {.fields = 9}), "none");
  EXPECT_NE(parse(many, {.fields = 10}), "none");
  std::string deep = "\x08\x01";
  for (int i = 0; i < 5; ++i) deep = std::string("\x0a") + static_cast<char>(deep.size()) + deep;
  EXPECT_EQ(parse(deep), "1:{1:{1:{1:{1:{1:1}}}}}");
  EXPECT_EQ(parse(deep, {.depth = 3}), "1:{1:{1:{1:b4}}}");
}

}  // namespace
}  // namespace sluice::analysis

#include "analysis/har_entries.h"

#include <gtest/gtest.h>

namespace sluice::analysis {
namespace {

struct Read {
  std::vector<std::string> texts;
  std::string error;
};

Read read(std::string_view text, std::size_t step, ByteCount most = HarEntries::kMostEntry) {
  HarEntries entries(most);
  Read out;
  const auto take = [&] {
    while (auto entry = entries.next()) out.texts.push_back(entry->too_large ? "(too large)" : entry->text);
  };
  for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    const std::string piece(text.substr(0, step));
    const Status fed = entries.feed(piece);
    take();
    if (!fed) {
      out.error = fed.error().message;
      EXPECT_FALSE(entries.finish());
      return out;
    }
  }
  if (const Status ended = entries.finish(); !ended) out.error = ended.error().message;
  take();
  return out;
}

TEST(HarEntries, AreFoundWhereverTheOctetsAreCut) {
  const std::string text =
      "\xEF\xBB\xBF {\"x\":[[{\"entries\":[9]}]], \"log\" : {\"pages\":[{\"entries\":[8]}],\"v\":\"\\\"{[\\u00e4\","
      "\"entries\": [ {\"a\":[1,{\"b\":\"]}\"}]} , 12.5e3, \"s\\\\\", null,[],{}\t], \"z\":true},\"entries\":[7]} \n";
  const std::vector<std::string> wanted = {R"({"a":[1,{"b":"]}"}]})", "12.5e3", R"("s\\")", "null", "[]", "{}"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const Read found = read(text, step);
    EXPECT_EQ(found.error, "") << step;
    EXPECT_EQ(found.texts, wanted) << step;
  }
}

TEST(HarEntries, OneThatIsTooLongIsSaidAndTheRestIsRead) {
  const Read found = read(R"({"log":{"entries":["12345678901234567890",{"a":1},"12345678901234567890"]}})", 7, 15);
  EXPECT_EQ(found.error, "");
  EXPECT_EQ(found.texts, (std::vector<std::string>{"(too large)", R"({"a":1})", "(too large)"}));
}

TEST(HarEntries, WhatIsNoHarIsRefusedWithTheOctet) {
  for (const std::string_view bad : {"",
                                     " ",
                                     "7",
                                     "[]",
                                     "{}",
                                     R"({"log":[]})",
                                     R"({"log":{"entries":7}})",
                                     R"({"log":{"entries":[]})",
                                     R"({"log":{"entries":[]}}x)",
                                     R"({"log":{"entries":[}})",
                                     R"({"log":{"entries":[,]}})",
                                     R"({"log":{"entries":[1,]}})",
                                     R"({"log" {}})",
                                     R"({"log":{"a":1,}})",
                                     R"({"log":tru})",
                                     R"({"log":"\x"})",
                                     R"({"log":"\u12g4"})",
                                     "{\"log\":\"\n\"}",
                                     "{\"log\":\"\xFF\"}",
                                     "\xFF\xFE{",
                                     R"({"log":{"entries":[],"entries":[]}})",
                                     R"({log:1})",
                                     R"({"log":01})"}) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
      EXPECT_TRUE(read(bad, step).error.starts_with("Invalid HAR")) << bad << " " << read(bad, step).error;
    }
  }
  EXPECT_EQ(read(R"({"log":{]})", 100).error, "Invalid HAR JSON: a bracket that opens nothing (octet 9).");
}

TEST(HarEntries, NestingIsBounded) {
  const auto nested = [](std::size_t depth) {
    return R"({"log":{"entries":[)" + std::string(depth, '[') + std::string(depth, ']') + "]}}";
  };
  EXPECT_EQ(read(nested(64), 100).error, "");
  EXPECT_NE(read(nested(65), 100).error.find("nested too deep"), std::string::npos);
}

}  // namespace
}  // namespace sluice::analysis

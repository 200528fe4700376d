#include "tools/visible_names.h"

#include <gtest/gtest.h>

namespace sluice::tools {
namespace {

const IsUnseen kUnseen = [](std::string_view word) { return word == "proxy_start" || word == "wipe"; };

TEST(VisibleNames, SentencesThatNameWhatIsNotSeenAreLeftOut) {
  EXPECT_EQ(without_unseen("Lists rules. As proxy_start does. Nothing else.", kUnseen), "Lists rules. Nothing else.");
  EXPECT_EQ(without_unseen("Lists rules. See proxy_start.", kUnseen), "Lists rules.");
  EXPECT_EQ(without_unseen("Start with `proxy_start`", kUnseen), "Start with `another tool`");
  EXPECT_EQ(without_unseen("wipe, proxy_start.", kUnseen), "another tool, another tool.");
}

TEST(VisibleNames, WholeWordsCount) {
  EXPECT_EQ(without_unseen("proxy_start_transparent and swipe.", kUnseen), "proxy_start_transparent and swipe.");
  EXPECT_EQ(without_unseen("", kUnseen), "");
}

TEST(VisibleNames, EachDescriptionOfAnEntryIsLookedAtAndNothingElse) {
  Json entry = {{"name", "wipe"},
                {"description", "Shows. Then wipe."},
                {"inputSchema", {{"properties", {{"id", {{"description", "from proxy_start"}, {"type", "string"}}}}}}},
                {"anyOf", Json::array({Json{{"title", "wipe"}}})},
                {"enum", {"wipe"}}};
  drop_unseen(entry, kUnseen);
  EXPECT_EQ(
      entry,
      (Json{{"name", "wipe"},
            {"description", "Shows."},
            {"inputSchema", {{"properties", {{"id", {{"description", "from another tool"}, {"type", "string"}}}}}}},
            {"anyOf", Json::array({Json{{"title", "another tool"}}})},
            {"enum", {"wipe"}}}));
}

}  // namespace
}  // namespace sluice::tools

#include "gateway/pin_store.h"

#include <gtest/gtest.h>

#include "gateway/test_rows.h"

namespace sluice::gateway {
namespace {

struct Pins : RowsTest {
  PinStore::Checked check(std::vector<PinStore::Seen> tools, PinStore::First first = PinStore::First::kAccept,
                          const std::string& target = "cmd") {
    auto checked = store.check("files", target, tools, first, 1);
    EXPECT_TRUE(checked) << (checked ? "" : checked.error().message);
    return checked ? *std::move(checked) : PinStore::Checked{};
  }
  const std::unique_ptr<GateRows> rows = open(), other_rows = open();
  PinStore store{*rows}, others{*other_rows};
};
INSTANTIATE_EVERYWHERE(Pins);

using Names = std::set<std::string>;

TEST_P(Pins, TheFirstListIsAcceptedAndWhatChangesLaterIsNot) {
  EXPECT_TRUE(check({{"a", "1"}, {"b", "1"}}).quarantined.empty());
  EXPECT_TRUE(check({{"a", "1"}, {"b", "1"}}).quarantined.empty());
  const auto changed = check({{"a", "2"}, {"b", "1"}, {"c", "1"}});
  EXPECT_EQ(changed.quarantined, (Names{"a", "c"}));
  EXPECT_EQ(changed.news, (std::vector<std::string>{"a", "c"}));
  EXPECT_TRUE(check({{"a", "2"}, {"c", "1"}}).news.empty()) << "told once";
}

TEST_P(Pins, AToolThatGoesBackToWhatWasAcceptedIsFree) {
  check({{"a", "1"}});
  EXPECT_EQ(check({{"a", "2"}}).quarantined, Names{"a"});
  EXPECT_TRUE(check({{"a", "1"}}).quarantined.empty());
}

TEST_P(Pins, AToolThatWasAwayIsStillKnown) {
  check({{"a", "1"}});
  check({});
  EXPECT_TRUE(check({{"a", "1"}}).quarantined.empty());
  EXPECT_EQ(check({{"a", "2"}}).quarantined, Names{"a"});
}

TEST_P(Pins, AServerThatBeganWithoutToolsIsNotNewForEver) {
  EXPECT_TRUE(check({}).first);
  EXPECT_EQ(check({{"a", "1"}}).quarantined, Names{"a"});
}

TEST_P(Pins, StrictPinsQuarantineTheFirstList) {
  EXPECT_EQ(check({{"a", "1"}}, PinStore::First::kQuarantine).quarantined, Names{"a"});
}

TEST_P(Pins, AnotherCommandIsAnotherServer) {
  check({{"a", "1"}});
  EXPECT_TRUE(check({{"a", "2"}}, PinStore::First::kAccept, "other").first);
}

TEST_P(Pins, WhatIsAcceptedIsWhatWasSeenLast) {
  check({{"a", "1"}});
  check({{"a", "2"}});
  const auto before = store.revision();
  EXPECT_EQ(store.accept("files", {"a"}), 1u);
  EXPECT_GT(*store.revision(), *before) << "other processes look again";
  EXPECT_TRUE(check({{"a", "2"}}).quarantined.empty());
  EXPECT_EQ(check({{"a", "3"}}).quarantined, Names{"a"});
  EXPECT_EQ(check({{"a", "1"}}).quarantined, Names{"a"}) << "the one before, too";
}

TEST_P(Pins, OnlyWhatIsInQuarantineCanBeAcceptedAndAllOrNothing) {
  check({{"a", "1"}, {"b", "1"}});
  check({{"a", "2"}, {"b", "1"}});
  EXPECT_EQ(store.accept("files", {"a", "b"}).error().code, Code::kNotFound);
  EXPECT_EQ(check({{"a", "2"}}).quarantined, Names{"a"});
  EXPECT_EQ(store.accept("files", {}), 1u);
  EXPECT_EQ(store.accept("files", {}), 0u);
}

TEST_P(Pins, ARejectedToolStaysInQuarantine) {
  check({{"a", "1"}});
  check({{"a", "2"}});
  EXPECT_EQ(store.reject("files", {"a"}), 1u);
  EXPECT_EQ(check({{"a", "2"}}).quarantined, Names{"a"});
  const auto pins = store.load();
  ASSERT_EQ(pins->size(), 1u);
  EXPECT_EQ(pins->front().rejected, "2");
}

TEST_P(Pins, WhatOneProcessAcceptedIsAcceptedForAll) {
  check({{"a", "1"}});
  EXPECT_TRUE(others.check("files", "cmd", std::vector<PinStore::Seen>{{"a", "1"}}, PinStore::First::kAccept, 2)
                  ->quarantined.empty());
  EXPECT_EQ(check({{"a", "2"}}).quarantined, Names{"a"});
  const auto before = *store.revision();
  EXPECT_EQ(others.accept("files", {}), 1u);
  EXPECT_GT(*store.revision(), before);
  EXPECT_TRUE(check({{"a", "2"}}).quarantined.empty());
}

TEST_P(Pins, UnreadableOnesAreNotNone) {
  check({{"a", "1"}});
  spoil();
  EXPECT_FALSE(store.revision());
  mend();
  EXPECT_TRUE(check({{"a", "1"}}).quarantined.empty());
}

std::vector<PinStore::Seen> invented(const std::string& prefix, std::size_t count) {
  std::vector<PinStore::Seen> tools;
  for (std::size_t i = 0; i < count; ++i) tools.push_back({prefix + std::to_string(i), "1"});
  return tools;
}

TEST_P(Pins, AttackAServerThatInventsNamesFillsNothing) {
  check({{"a", "1"}, {"b", "1"}});
  for (const char* prefix : {"x", "y", "z"}) {
    auto tools = invented(prefix, PinStore::kMostNew);
    tools.push_back({"a", "1"});
    const auto checked = check(tools);
    EXPECT_EQ(checked.quarantined.size(), PinStore::kMostNew) << prefix;
    EXPECT_EQ(checked.news.size(), PinStore::kMostNew) << "they took the place of those that are gone";
    EXPECT_FALSE(checked.full);
    EXPECT_LE(store.load()->size(), PinStore::kMostNew + 2);
  }
  EXPECT_TRUE(check({{"a", "1"}, {"b", "1"}}).quarantined.empty()) << "what was accepted is never pushed out";
}

TEST_P(Pins, WhatDoesNotFitIsInQuarantineWithoutARowAndIsSaidOnce) {
  check({{"a", "1"}});
  const auto many = invented("x", PinStore::kMostNew + 10);
  const auto checked = check(many);
  EXPECT_TRUE(checked.full);
  EXPECT_EQ(checked.quarantined.size(), PinStore::kMostNew + 10);
  EXPECT_EQ(checked.news.size(), PinStore::kMostNew);
  EXPECT_EQ(store.load()->size(), PinStore::kMostNew + 1);
  const auto again = check(many);
  EXPECT_FALSE(again.full) << "told once";
  EXPECT_TRUE(again.news.empty());
  EXPECT_EQ(again.quarantined.size(), PinStore::kMostNew + 10);
  EXPECT_EQ(store.accept("files", {many.back().tool}).error().code, Code::kNotFound);
  EXPECT_EQ(store.accept("files", {"x0"}), 1u) << "and makes room for one of the others";
  EXPECT_EQ(check(many).news, std::vector<std::string>{many[PinStore::kMostNew].tool});
  EXPECT_FALSE(check({{"a", "1"}}).full);
  EXPECT_FALSE(check(invented("y", PinStore::kMostNew + 1)).full) << "whoever saw a shorter list made no room";
  EXPECT_EQ(store.accept("files", {}), PinStore::kMostNew);
  EXPECT_FALSE(check({{"a", "1"}}).full);
  EXPECT_TRUE(check(invented("z", PinStore::kMostNew + 1)).full) << "and now somebody did";
}

TEST_P(Pins, LongTextsThatNobodyAcceptedAreKeptToABound) {
  const std::string longer(PinStore::kMostText / 2 + 1, 'x');
  check({{"a", "1"}, {"b", "1"}});
  const auto checked = check({{"a", longer}, {"b", longer}});
  EXPECT_TRUE(checked.full);
  EXPECT_EQ(checked.quarantined, (Names{"a", "b"}));
  EXPECT_EQ(checked.news, std::vector<std::string>{"a"});
  EXPECT_EQ(store.accept("files", {}), 1u);
  EXPECT_EQ(check({{"a", longer}, {"b", longer}}).quarantined, Names{"b"}) << "which fits now";
  EXPECT_EQ(store.reject("files", {"b"}), 1u);
  EXPECT_EQ(check({{"b", longer + "y"}}).quarantined, Names{"b"});
  EXPECT_TRUE(check({{"a", longer}, {"b", "1"}}).quarantined.empty()) << "what was accepted first";
}

TEST_P(Pins, AttackJunkDoesNotHideThatAnAcceptedToolHasChanged) {
  check({{"x", "1"}});
  std::vector<PinStore::Seen> junk;
  const std::string text(PinStore::kMostText / PinStore::kMostNew, 'j');
  for (std::size_t i = 0; i < PinStore::kMostNew + 10; ++i) junk.push_back({"junk" + std::to_string(i), text});
  auto tools = junk;
  tools.push_back({"x", "1"});
  check(tools);
  tools.back().text = "2";
  EXPECT_EQ(check(tools).news, std::vector<std::string>{"x"});
  EXPECT_TRUE(check(junk).news.empty()) << "it has left the list for a while";
  EXPECT_EQ(check(tools).quarantined.count("x"), 1u);
  EXPECT_EQ(store.accept("files", {"x"}), 1u);
  EXPECT_EQ(check(tools).quarantined.count("x"), 0u);
}

TEST_P(Pins, WhatWasRejectedIsTheLastToMakeRoom) {
  check({});
  check({{"bad", "1"}});
  EXPECT_EQ(store.reject("files", {"bad"}), 1u);
  check(invented("x", PinStore::kMostNew - 1));
  check({{"y", "1"}});
  const auto pins = *store.load();
  EXPECT_EQ(pins.size(), PinStore::kMostNew);
  EXPECT_EQ(pins.front().tool, "bad");
}

TEST_P(Pins, TheTextHoldsWhatAModelReadsAndNothingElse) {
  const auto text = [](const char* json) { return PinStore::text_of(*parse_json(json)); };
  const std::string one = text(R"({"name":"a","description":"d","inputSchema":{"b":1,"a":2}})");
  EXPECT_EQ(one, text(R"({"inputSchema":{"a":2,"b":1},"description":"d","name":"a","_meta":{"x":1},"icons":[]})"));
  for (const char* other :
       {R"({"name":"b","description":"d","inputSchema":{"b":1,"a":2}})",
        R"({"name":"a","description":"e","inputSchema":{"b":1,"a":2}})",
        R"({"name":"a","description":"d","inputSchema":{"b":1,"a":3}})",
        R"({"name":"a","description":"d","inputSchema":{"b":1,"a":2},"outputSchema":{}})",
        R"({"name":"a","description":"d","inputSchema":{"b":1,"a":2},"annotations":{"readOnlyHint":true}})"}) {
    EXPECT_NE(text(other), one) << other;
  }
}

}  // namespace
}  // namespace sluice::gateway

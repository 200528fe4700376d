#include "tools/replay_board.h"

#include <gtest/gtest.h>

#include <condition_variable>

namespace sluice::tools {
namespace {

using Owner = ReplayBoard::Owner;

// Goes on until it is asked to end.
ReplayBoard::Work endless() {
  return [](const std::stop_token& stop, const ReplayBoard::Progress& progress) -> Result<Json> {
    progress(2, 5);
    std::mutex mutex;
    std::condition_variable_any asked;
    std::unique_lock lock(mutex);
    asked.wait(lock, stop, [] { return false; });
    return Json{{"executedCount", 2}};
  };
}

ReplayBoard::State ended(const ReplayBoard& board, const std::string& grant, const std::string& id) {
  for (;;) {
    const auto state = board.find(grant, id);
    if (!state || state->state != "running") return state.value_or(ReplayBoard::State{});
    std::this_thread::yield();
  }
}

TEST(ReplayBoard, WhatAGrantThatHasEndedBeganEndsAndSaysWhyAndNothingElseDoes) {
  ReplayBoard board;
  const std::string gone = *board.begin({"gone", "hash"}, "s", {}, endless());
  const std::string kept = *board.begin({"kept", "hash"}, "s", {}, endless());
  while (board.find("gone", gone)->done == 0) std::this_thread::yield();
  EXPECT_TRUE(board.end_unless([](const Owner&) { return true; }, "never").empty());
  const auto may_go_on = [](const Owner& owner) { return owner.grant == "kept"; };
  const auto told = board.end_unless(may_go_on, "its grant has ended");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].grant, "gone");
  EXPECT_EQ(told[0].id, gone);
  EXPECT_EQ(told[0].done, 2u);
  EXPECT_EQ(told[0].total, 5u);
  const auto state = ended(board, "gone", gone);
  EXPECT_EQ(state.state, "cancelled");
  EXPECT_EQ(state.error, "its grant has ended");
  EXPECT_TRUE(board.end_unless(may_go_on, "its grant has ended").empty()) << "told once";
  EXPECT_EQ(board.find("kept", kept)->state, "running");
}

TEST(ReplayBoard, WhoseTokenWasRotatedIsToldByTheTokenThatBeganIt) {
  ReplayBoard board;
  const std::string before = *board.begin({"bot", "old"}, "s", {}, endless());
  const std::string after = *board.begin({"bot", "new"}, "s", {}, endless());
  const auto told = board.end_unless([](const Owner& owner) { return owner.credential == "new"; }, "ended");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].id, before);
  EXPECT_EQ(ended(board, "bot", before).error, "ended") << "which its grant can read, with its other token";
  EXPECT_EQ(board.find("bot", after)->state, "running");
}

TEST(ReplayBoard, WhatItsGrantCancelsHasNoError) {
  ReplayBoard board;
  const std::string id = *board.begin({"bot", ""}, "s", {}, endless());
  EXPECT_TRUE(board.cancel("bot", id));
  EXPECT_EQ(ended(board, "bot", id).state, "cancelled");
  EXPECT_EQ(ended(board, "bot", id).error, "");
}

}  // namespace
}  // namespace sluice::tools

#include "base/free_blocks.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/allocate.h"

namespace sluice {
namespace {

// A block that has at least so many octets.
void* block_of(std::size_t size) {
  void* const block = std::malloc(size);
  std::memset(block, 0x5a, size);
  return block;
}

TEST(FreeBlocks, GivesTheNewestBlockOfASizeAgain) {
  FreeBlocks blocks(kMiB);
  void* const older = block_of(104);
  void* const newer = block_of(104);
  EXPECT_TRUE(blocks.give(older, 104));
  EXPECT_TRUE(blocks.give(newer, 104));
  EXPECT_EQ(blocks.held(), 208u);
  EXPECT_EQ(blocks.take(88), nullptr);  // other sizes have lists of their own
  EXPECT_EQ(blocks.take(105), nullptr);
  EXPECT_EQ(blocks.take(104), newer);
  EXPECT_EQ(blocks.take(89), older);
  EXPECT_EQ(blocks.take(104), nullptr);
  EXPECT_EQ(blocks.held(), 0u);
  std::free(newer);
  std::free(older);
}

TEST(FreeBlocks, NeverGivesABlockThatIsTooSmall) {
  for (std::size_t usable = 24; usable <= FreeBlocks::kLargest; ++usable) {
    FreeBlocks blocks(kMiB);
    void* const block = block_of(usable);
    ASSERT_TRUE(blocks.give(block, usable)) << usable;
    EXPECT_EQ(blocks.take(usable + 1), nullptr) << usable;
    EXPECT_EQ(blocks.take(usable - 15), block) << usable;  // of what it has, up to 15 octets may go unused
    std::free(block);
  }
}

TEST(FreeBlocks, TakesNoMoreThanItMayHold) {
  FreeBlocks blocks(1000);
  std::vector<void*> refused;
  for (int i = 0; i < 20; ++i) {
    void* const block = block_of(104);
    if (!blocks.give(block, 104)) refused.push_back(block);
  }
  EXPECT_EQ(blocks.held(), 936u);
  EXPECT_EQ(refused.size(), 11u);
  for (void* const block : refused) std::free(block);
  blocks.clear();
  EXPECT_EQ(blocks.held(), 0u);
  EXPECT_EQ(blocks.take(104), nullptr);
}

TEST(FreeBlocks, RefusesWhatIsTooLargeOrTooSmallForItsLists) {
  FreeBlocks blocks(kMiB);
  void* const block = block_of(FreeBlocks::kLargest + 16);
  EXPECT_FALSE(blocks.give(block, FreeBlocks::kLargest + 16));
  EXPECT_FALSE(blocks.give(block, 23));
  EXPECT_EQ(blocks.take(FreeBlocks::kLargest + 16), nullptr);
  EXPECT_EQ(blocks.take(SIZE_MAX), nullptr);
  EXPECT_EQ(blocks.held(), 0u);
  std::free(block);
}

TEST(FreeBlocks, CountsWhatWasTakenSinceItWasAsked) {
  FreeBlocks blocks(kMiB);
  EXPECT_EQ(blocks.taken_since(), 0u);
  ASSERT_TRUE(blocks.give(block_of(40), 40));
  std::free(blocks.take(40));
  EXPECT_EQ(blocks.take(40), nullptr);
  EXPECT_EQ(blocks.taken_since(), 1u);
  EXPECT_EQ(blocks.taken_since(), 0u);
}

// With sanitizers nothing is.
bool is_kept() {
  const KeepsFreeBlocks kept;
  release(allocate(100));
  return kept_octets() > 0;
}

TEST(Allocate, KeepsNothingOnAThreadThatDoesNotAskForIt) {
  release(allocate(100));
  EXPECT_EQ(kept_octets(), 0u);
  release(nullptr);
}

TEST(Allocate, KeepsAtMostSoMuchAndGivesAllBackAtTheEnd) {
  const bool some = is_kept();
  std::vector<void*> blocks;
  for (ByteCount octets = 0; octets < 2 * KeepsFreeBlocks::kMost; octets += 1000) blocks.push_back(allocate(1000));
  {
    const KeepsFreeBlocks kept;
    for (void* const block : blocks) release(block);
    EXPECT_LE(kept_octets(), KeepsFreeBlocks::kMost);
    if (some) EXPECT_GT(kept_octets(), KeepsFreeBlocks::kMost - 2000);
  }
  EXPECT_EQ(kept_octets(), 0u);
}

TEST(Allocate, TakesBlocksThatOtherThreadsMade) {
  std::vector<void*> blocks(100);
  std::thread([&] {
    const KeepsFreeBlocks kept;
    for (void*& block : blocks) block = allocate(200);
  }).join();
  const KeepsFreeBlocks kept;
  for (void* const block : blocks) {
    std::memset(block, 1, 200);
    release(block);
  }
  for (void*& block : blocks) block = allocate(200);
  std::thread([&] {
    for (void* const block : blocks) release(block);
  }).join();
}

TEST(Allocate, GivesBackWhatNobodyAsksFor) {
  const KeepsFreeBlocks kept;
  for (int i = 0; i < 100; ++i) release(allocate(200));
  const ByteCount before = kept_octets();
  give_back_unused_blocks();  // 100 were asked for
  EXPECT_EQ(kept_octets(), before);
  release(allocate(200));
  give_back_unused_blocks();
  EXPECT_EQ(kept_octets(), 0u);
}

TEST(Allocate, IsWhereNewAndDeleteComeTo) {
  if (!is_kept()) return;  // they are the sanitizers' own
  const KeepsFreeBlocks kept;
  delete[] new char[500];
  EXPECT_GE(kept_octets(), 500u);
  const ByteCount before = kept_octets();
  delete new std::array<char, 500>;
  EXPECT_EQ(kept_octets(), before);
}

}  // namespace
}  // namespace sluice

// Blocks of malloc() that were freed and will soon be asked for again, by size. What malloc itself keeps for a thread
// without a lock is seven blocks of a size and none above 1,032 octets; one HTTP/2 connection frees more than that at
// once. Bounded; a block is as large as malloc made it and can go back to it at any time, so that whoever holds one for
// long holds no more than otherwise. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "base/bytes.h"

namespace sluice {

class FreeBlocks {
 public:
  static constexpr std::size_t kLargest = 8 * 1024;  // octets of a block; the largest frame of a coroutine has 6 KB

  explicit FreeBlocks(ByteCount most) : most_(most) {}
  ~FreeBlocks() { clear(); }
  FreeBlocks(const FreeBlocks&) = delete;
  FreeBlocks& operator=(const FreeBlocks&) = delete;

  // A block of at least so many octets, the one given last, or null.
  void* take(std::size_t size) {
    const std::size_t list = size <= kLeast ? 0 : (size - kLeast + kStep - 1) / kStep;
    if (list >= kLists) return nullptr;
    Block* const block = lists_[list];
    if (!block) return nullptr;
    lists_[list] = block->next;
    held_ -= kLeast + list * kStep;
    ++taken_;
    return block;
  }
  // `usable`: malloc_usable_size(block). False: it is still the caller's, for free().
  bool give(void* memory, std::size_t usable) {
    if (usable < kLeast) return false;
    const std::size_t list = (usable - kLeast) / kStep;
    const ByteCount size = kLeast + list * kStep;
    if (list >= kLists || held_ + size > most_) return false;
    Block* const block = static_cast<Block*>(memory);
    block->next = lists_[list];
    lists_[list] = block;
    held_ += size;
    return true;
  }
  // All of them go to free().
  void clear();
  // Octets here; of each block what its list counts on, up to 15 less than it has.
  ByteCount held() const { return held_; }
  // How many were taken since this was last asked.
  std::size_t taken_since() { return std::exchange(taken_, 0); }

 private:
  struct Block {
    Block* next;
  };
  // malloc's own sizes on 64 bits: 24, 40, 56, ...
  static constexpr std::size_t kLeast = 24, kStep = 16, kLists = (kLargest - kLeast) / kStep + 1;

  const ByteCount most_;
  ByteCount held_ = 0;
  std::size_t taken_ = 0;
  std::array<Block*, kLists> lists_{};
};

}  // namespace sluice

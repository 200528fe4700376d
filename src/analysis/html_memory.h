// Where a page's tree lies while it is looked at: pieces that are given back are used again, the rest goes with the
// page. Private to html.cc. One thread at a time.
#pragma once

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory_resource>

#include "base/bytes.h"

namespace sluice::analysis {

// Blocks at a multiple of their size, which go all at once. Those of a large page are huge pages where the kernel has
// them: of the time that a page of 4 MB took, a sixth went to faults of 4 KiB each.
class HtmlBlocks {
 public:
  // `expected`: octets of the page.
  explicit HtmlBlocks(std::size_t expected) : size_(expected < kLargePage ? kSmall : kLarge) {}
  HtmlBlocks(const HtmlBlocks&) = delete;
  HtmlBlocks& operator=(const HtmlBlocks&) = delete;
  ~HtmlBlocks();

  struct alignas(std::max_align_t) Block {
    Block* before;
    std::size_t size;
    std::size_t kind;  // the user's own
    char* begin() { return reinterpret_cast<char*>(this) + sizeof(Block); }
    char* end() { return reinterpret_cast<char*>(this) + size; }
  };
  // With room for `least` octets; null: there is no memory. What is larger than a block should be has one of its own:
  // of() does not know what lies behind.
  Block* take(std::size_t least, std::size_t kind);
  // The block in whose first unit() octets `inside` lies.
  const Block& of(const void* inside) const {
    return *reinterpret_cast<const Block*>(reinterpret_cast<std::uintptr_t>(inside) & ~(size_ - 1));
  }
  std::size_t unit() const { return size_; }    // what a block has at least
  std::size_t taken() const { return taken_; }  // octets

 private:
  static constexpr std::size_t kLargePage = 512 * kKiB, kSmall = 256 * kKiB, kLarge = 2 * kMiB;

  const std::size_t size_;
  std::size_t taken_ = 0;
  Block* last_ = nullptr;
};

// For gumbo, whose own way of freeing recurses: what it has not given back lies here until the page is gone. Where a
// bound is passed, or one of gumbo's own assertions fails (hostile pages can make them), it leaves gumbo by a jump to
// `ending`.
class GumboMemory {
 public:
  enum Ending : int { kMemory = 1, kTime = 2, kBroken = 3 };

  GumboMemory(std::size_t expected, std::size_t most) : blocks_(expected), most_(most) {}
  static void* allocate(void* self, std::size_t size) { return static_cast<GumboMemory*>(self)->take(size); }
  static void release(void* self, void* piece) {
    if (piece) static_cast<GumboMemory*>(self)->give(piece);
  }

  std::jmp_buf ending;
  static thread_local GumboMemory* running;       // null: gumbo does not run on this thread
  const std::function<bool()>* enough = nullptr;  // while gumbo runs: true ends it

 private:
  // Most of what gumbo gives back is small: buffers of names and texts.
  static constexpr std::array<std::size_t, 2> kSmall{8, 16};
  static constexpr std::size_t kOthers = kSmall.size();
  static constexpr std::size_t kAskEvery = 256;
  struct Piece {
    Piece* next;
  };
  struct Kind {
    char *next = nullptr, *end = nullptr;
    Piece* free = nullptr;
  };

  void* take(std::size_t size);
  void give(void* piece) {
    Kind& kind = kinds_[blocks_.of(piece).kind];
    if (&kind != &kinds_[kOthers]) kind.free = ::new (piece) Piece{kind.free};
  }

  HtmlBlocks blocks_;
  const std::size_t most_;
  std::array<Kind, kOthers + 1> kinds_;
  std::size_t calls_ = 0;
};

// The same blocks for containers.
class HtmlResource : public std::pmr::memory_resource {
 public:
  explicit HtmlResource(std::size_t expected) : blocks_(expected) {}

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  HtmlBlocks blocks_;
  char *next_ = nullptr, *end_ = nullptr;
};

}  // namespace sluice::analysis

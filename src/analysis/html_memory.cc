#include "analysis/html_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace sluice::analysis {
namespace {

constexpr std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

// Of the kernel, so that all of it goes back: malloc would keep what one page took.
void* map_aligned(std::size_t size, std::size_t alignment) {
  void* const got = ::mmap(nullptr, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(got), aligned = round_up(begin, alignment);
  if (aligned != begin) ::munmap(got, aligned - begin);
  if (const std::size_t behind = begin + alignment - aligned) ::munmap(reinterpret_cast<void*>(aligned + size), behind);
  void* const block = reinterpret_cast<void*>(aligned);
  ::madvise(block, size, MADV_HUGEPAGE);  // a wish
  return block;
}

}  // namespace

HtmlBlocks::~HtmlBlocks() {
  while (last_) {
    Block* const block = last_;
    last_ = block->before;
    size_ == kLarge ? void(::munmap(block, block->size)) : std::free(block);
  }
}

HtmlBlocks::Block* HtmlBlocks::take(std::size_t least, std::size_t kind) {
  const std::size_t size = round_up(sizeof(Block) + least, size_);
  void* const raw = size_ == kLarge ? map_aligned(size, kLarge) : std::aligned_alloc(size_, size);
  if (!raw) return nullptr;
  taken_ += size;
  return last_ = ::new (raw) Block{last_, size, kind};
}

thread_local GumboMemory* GumboMemory::running = nullptr;

void* GumboMemory::take(std::size_t size) {
  if (++calls_ % kAskEvery == 0 && *enough) {
    running = nullptr;  // its assertions are its own
    if ((*enough)()) std::longjmp(ending, kTime);
    running = this;
  }
  const std::size_t which = size <= kSmall[0] ? 0 : size <= kSmall[1] ? 1 : kOthers;
  Kind& kind = kinds_[which];
  if (Piece* const piece = kind.free) {
    kind.free = piece->next;
    return piece;
  }
  size = which == kOthers ? round_up(size, alignof(void*)) : kSmall[which];
  if (size > static_cast<std::size_t>(kind.end - kind.next)) {
    HtmlBlocks::Block* const block = blocks_.taken() + size > most_ ? nullptr : blocks_.take(size, which);
    if (!block) std::longjmp(ending, kMemory);
    if (block->size > blocks_.unit()) return block->begin();  // alone in it, so that no other piece lies behind
    kind.next = block->begin();
    kind.end = block->end();
  }
  void* const given = kind.next;
  kind.next += size;
  return given;
}

void* HtmlResource::do_allocate(std::size_t size, std::size_t alignment) {
  size = round_up(size, std::max(alignment, alignof(std::max_align_t)));
  if (size > static_cast<std::size_t>(end_ - next_)) {
    HtmlBlocks::Block* const block = blocks_.take(size, 0);
    if (!block) throw std::bad_alloc();
    if (block->size > blocks_.unit()) return block->begin();
    next_ = block->begin();
    end_ = block->end();
  }
  void* const given = next_;
  next_ += size;
  return given;
}

}  // namespace sluice::analysis

// In libc's place: gumbo's assertions stand in its Debian package, and a page must not end the program.
extern "C" __attribute__((noreturn, visibility("default"))) void __assert_fail(const char* assertion, const char* file,
                                                                               unsigned line,
                                                                               const char* function) noexcept {
  if (auto* const gumbo = sluice::analysis::GumboMemory::running) {
    std::longjmp(gumbo->ending, sluice::analysis::GumboMemory::kBroken);
  }
  std::fprintf(stderr, "%s:%u: %s: assertion failed: %s\n", file, line, function, assertion);
  std::abort();
}

#include "base/allocate.h"

#include <malloc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "base/free_blocks.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SLUICE_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_SANITIZED
#endif

namespace sluice {
namespace {

#ifdef SLUICE_SANITIZED
constexpr ByteCount kMostKept = 0;
#else
constexpr ByteCount kMostKept = KeepsFreeBlocks::kMost;
#endif

constinit thread_local FreeBlocks* kept = nullptr;  // owned by KeepsFreeBlocks

}  // namespace

void* allocate(std::size_t size) noexcept {
  if (kept) {
    if (void* const block = kept->take(size)) return block;
  }
  return std::malloc(size);
}

void release(void* block) noexcept {
  if (!kept || !block || !kept->give(block, ::malloc_usable_size(block))) std::free(block);
}

KeepsFreeBlocks::KeepsFreeBlocks() { kept = new FreeBlocks(kMostKept); }
KeepsFreeBlocks::~KeepsFreeBlocks() { delete std::exchange(kept, nullptr); }

void give_back_unused_blocks() {
  constexpr std::size_t kHardlyAny = 16;
  if (kept && kept->taken_since() < kHardlyAny) kept->clear();
}

ByteCount kept_octets() { return kept ? kept->held() : 0; }

}  // namespace sluice

#ifndef SLUICE_SANITIZED

// The other forms of the standard library's end in these.
void* operator new(std::size_t size) {
  for (;;) {
    if (void* const block = sluice::allocate(size)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}
void operator delete(void* block) noexcept { sluice::release(block); }
void operator delete(void* block, std::size_t) noexcept { sluice::release(block); }

#endif

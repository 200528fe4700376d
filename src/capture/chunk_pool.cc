#include "capture/chunk_pool.h"

#include <sys/mman.h>

#include <bit>

namespace sluice::capture {
namespace {

constexpr std::size_t kBits = 64;

// Mapped, so that giving it back really frees it.
char* map(ByteCount size) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

}  // namespace

ChunkPool::ChunkPool(ByteCount in_flight, ByteCount chunk)
    : size_(static_cast<std::size_t>(in_flight / chunk)),
      chunk_(chunk),
      chunks_(std::make_unique<flow::Chunk[]>(size_)),
      free_(std::make_unique<Word[]>(size_ / kBits + 1)) {
  for (std::size_t i = 0; i < size_; ++i) {
    chunks_[i].capacity = static_cast<std::uint32_t>(chunk);
    chunks_[i].owner = this;
    free_[i / kBits].fetch_or(1ull << (i % kBits), std::memory_order_relaxed);
  }
}

ChunkPool::~ChunkPool() {
  for (std::size_t i = 0; i < size_; ++i) {
    if (chunks_[i].data) ::munmap(chunks_[i].data, chunk_);
  }
}

flow::Chunk* ChunkPool::take(std::size_t leave) {
  if (in_use() + leave >= size_) return nullptr;
  // Always the lowest that is free: the high ones rest, and trim() gives their memory back.
  for (std::size_t word = 0; word <= size_ / kBits; ++word) {
    std::uint64_t bits = free_[word].load(std::memory_order_relaxed);
    while (bits != 0) {
      const std::uint64_t lowest = bits & -bits;
      if (!free_[word].compare_exchange_weak(bits, bits & ~lowest, std::memory_order_acquire)) continue;
      flow::Chunk& chunk = chunks_[word * kBits + static_cast<std::size_t>(std::countr_zero(lowest))];
      if (!chunk.data) chunk.data = map(chunk_);
      if (!chunk.data) {
        free_[word].fetch_or(lowest, std::memory_order_release);
        return nullptr;
      }
      chunk.references.store(1, std::memory_order_relaxed);
      const std::size_t used = in_use_.fetch_add(1, std::memory_order_relaxed) + 1;
      std::size_t peak = peak_.load(std::memory_order_relaxed);
      while (peak < used && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
      }
      return &chunk;
    }
  }
  return nullptr;
}

void ChunkPool::recycle(flow::Chunk* chunk) {
  const auto index = static_cast<std::size_t>(chunk - chunks_.get());
  in_use_.fetch_sub(1, std::memory_order_relaxed);
  free_[index / kBits].fetch_or(1ull << (index % kBits), std::memory_order_release);
}

bool ChunkPool::claim(std::size_t index) {
  const std::uint64_t bit = 1ull << (index % kBits);
  return (free_[index / kBits].fetch_and(~bit, std::memory_order_acquire) & bit) != 0;
}

void ChunkPool::trim() {
  const std::size_t keep = peak_.exchange(in_use(), std::memory_order_relaxed);
  for (std::size_t i = keep; i < size_; ++i) {
    if (!claim(i)) continue;
    if (chunks_[i].data) ::munmap(chunks_[i].data, chunk_);
    chunks_[i].data = nullptr;
    free_[i / kBits].fetch_or(1ull << (i % kBits), std::memory_order_release);
  }
}

}  // namespace sluice::capture

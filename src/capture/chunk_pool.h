// The chunks that all workers share: a fixed number, their memory mapped when first needed and given back when idle.
// Lock-free: taking and giving back are one compare-and-swap on a bit mask; no chunk is created or destroyed.
// Thread-safe; trim() belongs to one thread. Private to this folder.
#pragma once

#include <atomic>
#include <memory>

#include "flow/chunk.h"

namespace sluice::capture {

class ChunkPool final : public flow::ChunkOwner {
 public:
  ChunkPool(ByteCount in_flight, ByteCount chunk);
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // With one reference, the caller's. nullptr: all are in use, or no more than `leave` are not.
  flow::Chunk* take(std::size_t leave = 0);
  void recycle(flow::Chunk* chunk) override;
  // Gives memory back that was not needed since the last trim.
  void trim();

  std::size_t size() const { return size_; }
  ByteCount chunk_size() const { return chunk_; }
  // What workers leave to the spool, so that it can always take over what they hold.
  std::size_t reserve() const { return size_ / 8 + 1; }
  std::size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }
  // More than half is gone: do not pin chunks for long.
  bool scarce() const { return in_use() * 2 > size_; }

 private:
  using Word = std::atomic<std::uint64_t>;
  bool claim(std::size_t index);

  std::size_t size_;
  ByteCount chunk_;
  std::unique_ptr<flow::Chunk[]> chunks_;
  std::unique_ptr<Word[]> free_;  // a bit for each chunk
  std::atomic<std::size_t> in_use_{0}, peak_{0};
};

}  // namespace sluice::capture

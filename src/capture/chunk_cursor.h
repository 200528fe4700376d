// The chunk that a worker fills at present. References are paid in advance and lent without atomics: the worker only
// counts; the capture thread gives them back in batches. Belongs to one worker. Private to this folder.
#pragma once

#include "capture/chunk_pool.h"

namespace sluice::capture {

class ChunkCursor {
 public:
  explicit ChunkCursor(ChunkPool& pool) : pool_(pool) {}
  ~ChunkCursor() { leave(); }
  ChunkCursor(const ChunkCursor&) = delete;
  ChunkCursor& operator=(const ChunkCursor&) = delete;

  flow::Chunk* chunk() const { return chunk_; }
  char* at() const { return chunk_->data + used_; }
  std::size_t room() const { return chunk_ ? chunk_->capacity - used_ : 0; }

  // At least `wanted` octets of room: in this chunk, in this chunk from its beginning if nobody holds any of it any
  // more, or in another. False: there is none.
  bool make_room(std::size_t wanted) {
    if (chunk_ && used_ != 0 && alone()) used_ = 0;  // stays in the cache
    if (chunk_ && room() >= wanted) return true;
    if (chunk_ && chunk_->capacity < wanted) return false;
    flow::Chunk* const fresh = pool_.take(pool_.reserve());
    if (!fresh || fresh->capacity < wanted) {
      if (fresh) flow::release(fresh);
      return false;
    }
    leave();
    chunk_ = fresh;
    used_ = 0;
    paid_ = 1;
    return true;
  }
  // What lies before stays as it is while somebody holds the chunk.
  void use_until(const char* end) {
    const auto until = static_cast<std::size_t>(end - chunk_->data);
    if (until > used_) used_ = until;
  }
  // One reference for somebody else.
  flow::Chunk* lend() {
    if (paid_ == 1) {
      chunk_->references.fetch_add(kPaidAtOnce, std::memory_order_relaxed);
      paid_ += kPaidAtOnce;
    }
    --paid_;
    return chunk_;
  }

 private:
  static constexpr std::uint32_t kPaidAtOnce = 1u << 16;

  bool alone() const { return chunk_->references.load(std::memory_order_acquire) == paid_; }
  void leave() {
    if (chunk_ && chunk_->references.fetch_sub(paid_, std::memory_order_acq_rel) == paid_) pool_.recycle(chunk_);
    chunk_ = nullptr;
  }

  ChunkPool& pool_;
  flow::Chunk* chunk_ = nullptr;
  std::size_t used_ = 0;
  std::uint32_t paid_ = 0;  // references that are ours
};

}  // namespace sluice::capture

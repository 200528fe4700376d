// Reference-counted, recycled blocks of memory that octets are read into and kept by reference while they wait to be
// written to disk or to a slow client. Counts are atomic: a chunk is filled by one worker and released by others.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace sluice::flow {

class ChunkOwner;

struct Chunk {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t capacity = 0;
  ChunkOwner* owner = nullptr;  // gets the chunk back when the last reference goes
  char* data = nullptr;
};

class ChunkOwner {
 public:
  virtual void recycle(Chunk* chunk) = 0;  // any thread

 protected:
  ~ChunkOwner() = default;
};

inline void retain(Chunk* chunk) { chunk->references.fetch_add(1, std::memory_order_relaxed); }
inline void release(Chunk* chunk) {
  if (chunk->references.fetch_sub(1, std::memory_order_acq_rel) == 1) chunk->owner->recycle(chunk);
}

// Octets that stay valid as long as this lives: by reference to a chunk, or a copy. Movable.
class Held {
 public:
  Held() = default;
  Held(Chunk* chunk, Bytes octets) : chunk_(chunk), view_(octets) { retain(chunk); }
  explicit Held(Bytes octets) : copy_(octets), view_() {}
  Held(Held&& other) noexcept { swap(other); }
  Held& operator=(Held&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Held() {
    if (chunk_) release(chunk_);
  }
  Bytes view() const { return chunk_ ? view_ : Bytes(copy_); }

 private:
  void swap(Held& other) noexcept {
    std::swap(chunk_, other.chunk_);
    std::swap(copy_, other.copy_);
    std::swap(view_, other.view_);
  }
  Chunk* chunk_ = nullptr;
  std::string copy_;
  Bytes view_;
};

}  // namespace sluice::flow

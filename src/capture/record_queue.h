// What a worker hands to the capture thread: records of fixed size in a bounded ring with one producer and one
// consumer. No locks, no allocation, no wake-up. Private to this folder.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "capture/segment.h"
#include "flow/chunk.h"

namespace sluice::capture {

struct QueuedRecord {
  RecordType type = RecordType::kOpened;
  std::uint32_t size = 0;  // of the payload
  std::uint64_t seq = 0;
  std::uint64_t ticket = 0;      // kEnded: place in the order of completion over all workers
  flow::Chunk* chunk = nullptr;  // holds the payload, with one reference; nullptr: `data` is from new char[]
  const char* data = nullptr;
  std::shared_ptr<const void> attached;  // kOpened: the Connection; kResponded: the Upstream

  Bytes payload() const { return Bytes(data, size); }
};

class RecordQueue {
 public:
  // `capacity` is rounded up to a power of two.
  explicit RecordQueue(std::size_t capacity) {
    while (size_ < capacity) size_ *= 2;
    slots_ = std::make_unique<QueuedRecord[]>(size_);
  }

  // --- producer ---
  std::size_t capacity() const { return size_; }
  // At least this many are free; looks at the consumer's mark only if it must.
  bool has_room(std::size_t wanted) {
    if (size_ - static_cast<std::size_t>(tail_local_ - head_seen_) >= wanted) return true;
    head_seen_ = head_.load(std::memory_order_acquire);
    return size_ - static_cast<std::size_t>(tail_local_ - head_seen_) >= wanted;
  }
  // After has_room(1): the slot that push() will hand over. Its members are as the record before left them, but for
  // `attached`, which is null.
  QueuedRecord& next() { return slots_[tail_local_ & (size_ - 1)]; }
  void push() { tail_.store(++tail_local_, std::memory_order_release); }

  // --- consumer: looks at the records where they stand, in [head, tail) ---
  std::uint64_t head() const { return head_local_; }
  std::uint64_t tail() const { return tail_.load(std::memory_order_acquire); }
  QueuedRecord& at(std::uint64_t place) { return slots_[place & (size_ - 1)]; }
  // The ones before are free for the producer. Once for a batch, so that the line does not bounce.
  void free_until(std::uint64_t place) {
    head_local_ = place;
    head_.store(place, std::memory_order_release);
  }

 private:
  static constexpr std::size_t kLine = 64;
  std::size_t size_ = 2;
  std::unique_ptr<QueuedRecord[]> slots_;
  alignas(kLine) std::uint64_t tail_local_ = 0;
  std::uint64_t head_seen_ = 0;
  std::atomic<std::uint64_t> tail_{0};
  alignas(kLine) std::uint64_t head_local_ = 0;
  std::atomic<std::uint64_t> head_{0};
};

}  // namespace sluice::capture

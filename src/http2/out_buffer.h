// Octets to write: frames are appended until the caller takes all of them at once; what was taken is gone with the
// next append. Room behind the end can be filled before it counts. Memory is given back when told to.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"

namespace sluice::http2 {

class OutBuffer {
 public:
  // Octets not yet taken.
  std::size_t size() const { return taken_ ? 0 : size_; }
  bool empty() const { return size() == 0; }

  Bytes take() {
    const Bytes all(data_.get(), size());
    taken_ = true;
    return all;
  }

  // `count` octets behind the end, to be filled and then committed.
  char* room(std::size_t count) {
    drop_taken();
    if (size_ + count > capacity_) grow(size_ + count);
    return data_.get() + size_;
  }
  void commit(std::size_t count) { size_ += count; }
  void append(const void* octets, std::size_t count) {
    std::memcpy(room(count), octets, count);
    commit(count);
  }

  void release() {
    data_.reset();
    size_ = capacity_ = 0;
  }

 private:
  void drop_taken() {
    if (taken_) size_ = 0;
    taken_ = false;
  }
  void grow(std::size_t need) {
    const std::size_t capacity = std::max<std::size_t>({need, 2 * capacity_, 1024});
    auto bigger = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ > 0) std::memcpy(bigger.get(), data_.get(), size_);
    data_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool taken_ = false;
};

}  // namespace sluice::http2

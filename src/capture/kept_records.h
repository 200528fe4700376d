// The small records of one exchange in memory, one behind the other as they came: type, length, payload. One
// allocation for an exchange, parsed when somebody reads. Private to this folder.
#pragma once

#include <cstring>
#include <memory>
#include <utility>

#include "capture/segment.h"

namespace sluice::capture {

class KeptRecords {
 public:
  KeptRecords() = default;
  KeptRecords(KeptRecords&& other) noexcept { *this = std::move(other); }
  KeptRecords& operator=(KeptRecords&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  void append(RecordType type, Bytes payload);
  void erase(RecordType type);
  // The first of this type; empty: there is none.
  Bytes find(RecordType type) const {
    for (std::size_t at = 0; at < size_; at = end_of(at)) {
      if (type_at(at) == type) return payload_at(at);
    }
    return {};
  }
  // Of this type in order.
  template <class Visit>
  void for_each(RecordType type, Visit visit) const {
    for (std::size_t at = 0; at < size_; at = end_of(at)) {
      if (type_at(at) == type) visit(payload_at(at));
    }
  }
  // Forgets them; the memory stays for the next exchange if it is not much.
  void clear();
  void release();

  ByteCount memory() const { return capacity_; }

 private:
  static constexpr std::size_t kHeader = 5;
  RecordType type_at(std::size_t at) const { return static_cast<RecordType>(data_[at]); }
  std::uint32_t length_at(std::size_t at) const {
    std::uint32_t length;
    std::memcpy(&length, data_.get() + at + 1, sizeof(length));
    return length;
  }
  Bytes payload_at(std::size_t at) const { return Bytes(data_.get() + at + kHeader, length_at(at)); }
  std::size_t end_of(std::size_t at) const { return at + kHeader + length_at(at); }
  void grow(std::size_t wanted);

  std::unique_ptr<char[]> data_;
  std::uint32_t size_ = 0, capacity_ = 0;
};

}  // namespace sluice::capture

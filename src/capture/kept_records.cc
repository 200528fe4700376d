#include "capture/kept_records.h"

#include <algorithm>

namespace sluice::capture {
namespace {

// Behind the first record: most answers' heads and the end. Growing once more costs a copy, not a wrong guess.
constexpr std::size_t kExpected = 704;
constexpr std::size_t kMostReused = 4 * kKiB;

}  // namespace

void KeptRecords::grow(std::size_t wanted) {
  const std::size_t generous =
      size_ == 0 ? wanted + kExpected : std::max<std::size_t>(wanted, capacity_ + capacity_ / 2);
  auto larger = std::make_unique_for_overwrite<char[]>(generous);
  if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
  data_ = std::move(larger);
  capacity_ = static_cast<std::uint32_t>(generous);
}

void KeptRecords::append(RecordType type, Bytes payload) {
  const std::size_t end = size_ + kHeader + payload.size();
  if (end > capacity_) grow(end);
  char* const at = data_.get() + size_;
  const auto length = static_cast<std::uint32_t>(payload.size());
  at[0] = static_cast<char>(type);
  std::memcpy(at + 1, &length, sizeof(length));
  if (!payload.empty()) std::memcpy(at + kHeader, payload.data(), payload.size());
  size_ = static_cast<std::uint32_t>(end);
}

void KeptRecords::erase(RecordType type) {
  for (std::size_t at = 0; at < size_;) {
    const std::size_t end = end_of(at);
    if (type_at(at) != type) {
      at = end;
      continue;
    }
    std::memmove(data_.get() + at, data_.get() + end, size_ - end);
    size_ -= static_cast<std::uint32_t>(end - at);
  }
}

void KeptRecords::clear() {
  size_ = 0;
  if (capacity_ > kMostReused) release();
}

void KeptRecords::release() {
  data_.reset();
  size_ = capacity_ = 0;
}

}  // namespace sluice::capture

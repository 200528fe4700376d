// A secret value (a token, a key) that is wiped when it goes. It moves and does not copy, so that no second copy is
// left behind unseen. Compare with constant_time_equal().
#pragma once

#include <cstring>
#include <memory>
#include <utility>

#include "base/bytes.h"

namespace sluice {

class Secret {
 public:
  Secret() = default;
  explicit Secret(Bytes value) : octets_(std::make_unique<char[]>(value.size())), size_(value.size()) {
    if (!value.empty()) std::memcpy(octets_.get(), value.data(), value.size());
  }
  Secret(Secret&& other) noexcept : octets_(std::move(other.octets_)), size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      octets_ = std::move(other.octets_);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  Bytes view() const { return Bytes(octets_.get(), size_); }
  bool empty() const { return size_ == 0; }

 private:
  void wipe() {
    if (octets_) ::explicit_bzero(octets_.get(), size_);
  }

  std::unique_ptr<char[]> octets_;
  std::size_t size_ = 0;
};

}  // namespace sluice

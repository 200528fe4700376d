// Where a body lies: one run of a segment for most, kept without an allocation. Private to this folder.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "capture/spool.h"

namespace sluice::capture {

class ExtentList {
 public:
  std::span<const Extent> view() const {
    if (many_) return *many_;
    return {&one_, one_.content != 0 ? 1u : 0u};
  }
  bool empty() const { return view().empty(); }
  Extent& back() { return many_ ? many_->back() : one_; }
  void push_back(const Extent& extent) {
    if (empty()) {
      truncate(0);
      one_ = extent;
      return;
    }
    if (!many_) {
      many_ = std::make_unique<std::vector<Extent>>();
      many_->reserve(4);
      many_->push_back(one_);
    }
    many_->push_back(extent);
  }
  void truncate(std::size_t count) {
    if (count == 0) many_.reset();
    if (count == 0) one_ = {};
    if (many_) many_->resize(count);
  }
  void drop_first(std::size_t count) {
    if (count >= view().size()) return truncate(0);
    if (many_ && count > 0) many_->erase(many_->begin(), many_->begin() + static_cast<std::ptrdiff_t>(count));
  }
  ByteCount memory() const { return many_ ? sizeof(*many_) + many_->capacity() * sizeof(Extent) : 0; }
  void trim() {
    if (many_) many_->shrink_to_fit();
  }

 private:
  Extent one_;  // none if it has no content
  std::unique_ptr<std::vector<Extent>> many_;
};

}  // namespace sluice::capture

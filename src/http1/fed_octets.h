// What was fed to a reader and not consumed yet: a view, unless the caller feeds more before it took everything.
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::http1 {

// Moving keeps the view good (joined_ is always on the heap); copying would not.
class FedOctets {
 public:
  FedOctets() = default;
  FedOctets(FedOctets&&) = default;
  FedOctets& operator=(FedOctets&&) = default;

  void feed(Bytes octets) {
    if (view_.empty()) {
      view_ = octets;
      return;
    }
    std::string joined;
    joined.reserve(view_.size() + octets.size() + sizeof(std::string));
    joined.append(view_).append(octets);
    joined_ = std::move(joined);
    view_ = joined_;
  }
  Bytes& view() { return view_; }
  bool empty() const { return view_.empty(); }
  void clear() { view_ = {}; }

 private:
  Bytes view_;
  std::string joined_;
};

}  // namespace sluice::http1

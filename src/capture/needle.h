// A text to find in many others, ASCII case ignored. Prepared once; is_in() is pure and thread-safe.
// Compares the first and last octet of the text at sixteen places at once, then the rest where both fit.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sluice::capture {

class Needle {
 public:
  explicit Needle(std::string_view text);
  // Where it begins, or npos. An empty one begins at 0.
  std::size_t find_in(Bytes haystack) const;
  bool is_in(Bytes haystack) const { return find_in(haystack) != Bytes::npos; }
  std::size_t size() const { return lower_.size(); }
  const std::string& lower() const { return lower_; }

 private:
  bool fits(const char* at) const;

  std::string lower_;
};

}  // namespace sluice::capture

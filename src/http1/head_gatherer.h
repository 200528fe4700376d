// Finds the end of a head (or trailer section) in octets that come in any pieces. A head that came whole is viewed
// where it lies; only one that was cut is copied. Every octet is looked at once.
// RFC 9112 §2.2: lines end with CRLF; a bare LF is recognised as well.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace sluice::http1 {

inline constexpr std::size_t kKeptHead = 4096;  // an idle connection does not keep the room of one huge head

enum class LeadingLines { kSkip, kKeep };  // empty lines before the first line

class HeadGatherer {
 public:
  HeadGatherer(const HttpLimits& limits, LeadingLines leading) : limits_(limits), leading_(leading) {}

  // Takes what belongs to the head off the front of `input`; true once the head is whole. kTooLarge beyond max_head
  // or max_fields, kInvalid for too many leading lines.
  Result<bool> take(Bytes& input);

  // The whole head with its empty line. Valid until reset(), and as long as the octets that it came in.
  Bytes head() const { return buffer_.empty() ? whole_ : Bytes(buffer_); }
  // Where each line ends: offsets just past its LF; the last is the empty line's.
  std::span<const std::uint32_t> line_ends() const { return line_ends_; }
  bool skipped_lines() const { return skipped_ > 0; }
  // True once a first line has begun.
  bool begun() const { return begun_; }
  // What was taken and is not (yet) a whole head.
  Bytes partial() const { return buffer_; }

  void reset();

 private:
  Status skip_leading(Bytes& input);
  bool too_large(std::size_t line_end) const;
  Error size_error(std::size_t line_end) const;

  HttpLimits limits_;
  LeadingLines leading_;
  std::string buffer_;  // a head that came in pieces
  Bytes whole_;         // one that did not
  std::vector<std::uint32_t> line_ends_;
  std::size_t skipped_ = 0;
  bool begun_ = false;
};

}  // namespace sluice::http1

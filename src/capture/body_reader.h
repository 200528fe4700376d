// Reads ranges of a stored body. The places are taken from the index while it is locked, the octets from the spool
// when it is not. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "capture/ring_index.h"

namespace sluice::capture {

// Where a part of a body lies.
struct BodyPlaces {
  RecordType type = RecordType::kRequestBody;
  std::uint64_t seq = 0;
  ByteCount begin = 0;  // of the first extent, in the body
  std::vector<Extent> extents;
};
BodyPlaces find_places(const Entry& entry, flow::Direction direction, ByteCount offset, ByteCount limit);

class BodyReader {
 public:
  BodyReader(const Spool& spool, BodyPlaces places) : spool_(spool), places_(std::move(places)) {}

  // How many octets from `offset` on, at most `length`, can be read: in segments from `first_segment` on, without a
  // gap.
  ByteCount readable(ByteCount offset, ByteCount length, std::uint32_t first_segment) const;
  // Appends what is stored of [offset, offset + length). Ranges in ascending order read each extent once.
  Status read(ByteCount offset, ByteCount length, std::string& out);

 private:
  const Spool& spool_;
  BodyPlaces places_;
  const Extent* kept_ = nullptr;  // whose content is in content_
  std::string content_;
};

}  // namespace sluice::capture

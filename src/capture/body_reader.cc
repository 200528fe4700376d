#include "capture/body_reader.h"

#include <algorithm>

namespace sluice::capture {
namespace {

struct Range {
  ByteCount begin = 0, end = 0;  // empty if end <= begin
};

ByteCount end_of(ByteCount offset, ByteCount length) {
  return length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
}

Range overlap(ByteCount offset, ByteCount length, ByteCount begin, const Extent& extent) {
  return {std::max(offset, begin), std::min(end_of(offset, length), begin + extent.content)};
}

}  // namespace

BodyPlaces find_places(const Entry& entry, flow::Direction direction, ByteCount offset, ByteCount limit) {
  const bool request = direction == flow::Direction::kRequest;
  const StoredBody& body = request ? entry.request : entry.response;
  BodyPlaces places{request ? RecordType::kRequestBody : RecordType::kResponseBody, entry.seq, 0, {}};
  ByteCount at = body.begin;
  for (const Extent& extent : body.extents.view()) {
    if (at >= end_of(offset, limit)) break;
    const Range range = overlap(offset, limit, at, extent);
    if (range.begin < range.end) {
      if (places.extents.empty()) places.begin = at;
      places.extents.push_back(extent);
    }
    at += extent.content;
  }
  return places;
}

ByteCount BodyReader::readable(ByteCount offset, ByteCount length, std::uint32_t first_segment) const {
  ByteCount at = places_.begin, end = offset;
  for (const Extent& extent : places_.extents) {
    const Range range = overlap(offset, length, at, extent);
    if (range.begin == end && range.begin < range.end) {
      if (extent.segment < first_segment) break;
      end = range.end;
    }
    at += extent.content;
  }
  return end - offset;
}

Status BodyReader::read(ByteCount offset, ByteCount length, std::string& out) {
  ByteCount at = places_.begin;
  for (const Extent& extent : places_.extents) {
    const Range range = overlap(offset, length, at, extent);
    if (range.begin < range.end && !extent.is_gap()) {
      if (kept_ != &extent) {
        kept_ = nullptr;
        content_.clear();
        SLUICE_CHECK(spool_.read(extent, places_.type, places_.seq, [&](Bytes payload) { content_ += payload; }));
        kept_ = &extent;
      }
      out.append(content_, static_cast<std::size_t>(range.begin - at),
                 static_cast<std::size_t>(range.end - range.begin));
    }
    at += extent.content;
  }
  return {};
}

}  // namespace sluice::capture

// The octets of segment headers and frame headers. Private to this folder; docs/formats/segment.md.
#pragma once

#include <array>

#include "capture/segment.h"

namespace sluice::capture {

std::array<char, kSegmentHeaderSize> format_segment_header(const SegmentHeader& header);
// kInvalid: not a segment, damaged, or of a later version.
Result<SegmentHeader> parse_segment_header(Bytes octets);
std::array<char, kFrameHeaderSize> format_frame_header(const FrameHeader& header, std::uint32_t seed);

}  // namespace sluice::capture

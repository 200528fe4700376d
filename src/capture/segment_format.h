// The octets of segment headers. Private to this folder; docs/formats/segment.md.
#pragma once

#include "capture/segment.h"

namespace sluice::capture {

// kInvalid: not a segment, damaged, or of a later version.
Result<SegmentHeader> parse_segment_header(Bytes octets);

}  // namespace sluice::capture

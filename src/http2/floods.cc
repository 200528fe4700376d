#include "http2/floods.h"

#include <algorithm>

namespace sluice::http2 {

bool FloodGuard::spend(std::int64_t cost) {
  allowance_ -= cost;
  if (allowance_ >= 0) return true;
  reason_ = "the peer sends too many frames that carry nothing (RFC 9113 §10.5)";
  return false;
}

void FloodGuard::earn(std::int64_t gain) { allowance_ = std::min(allowance_ + gain, kAllowance); }

bool FloodGuard::on_frame(const FrameHeader& header) {
  switch (header.type) {
    case FrameType::kData:
      if (header.length == 0) return (header.flags & kFlagEndStream) != 0 || spend(1);
      earn(1 + header.length / 256);
      return true;
    case FrameType::kHeaders:
      continuations_ = 0;
      earn(8);
      return true;
    case FrameType::kContinuation:
      if (++continuations_ > max_continuations_) {
        reason_ = "the peer continues a field section over too many frames (RFC 9113 §10.5.1)";
        return false;
      }
      return spend(1);
    case FrameType::kSettings:  // one may touch every stream
      return spend((header.flags & kFlagAck) != 0 ? 1 : 8);
    case FrameType::kPushPromise:
    case FrameType::kGoAway:
      return spend(8);
    default:
      return spend(1);
  }
}

void FloodGuard::on_sent(std::size_t octets, bool cut_by_window) {
  constexpr std::size_t kCrumb = 256;
  if (cut_by_window && octets < kCrumb) {
    spend(1);  // the next frame of the peer will say so
  } else {
    earn(2 + static_cast<std::int64_t>(octets / 256));
  }
}

}  // namespace sluice::http2

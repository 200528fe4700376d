// Counts what a peer sends that costs work and carries nothing, and says when it is a flood: PING, SETTINGS, PRIORITY,
// WINDOW_UPDATE, empty and unknown frames (RFC 9113 §10.5, CVE-2019-9511 to 9518), CONTINUATION (CVE-2024-27316).
// Without a clock: each such frame costs from an allowance that heads and content win back, so a connection that
// serves something is never ended for its control frames, and one that does not ends after some 64,000 of them.
// Rapid resets (CVE-2023-44487) are nghttp2's to count: its limit knows the time.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "http2/frames.h"

namespace sluice::http2 {

class FloodGuard {
 public:
  // `max_continuations`: frames that may follow one HEADERS.
  explicit FloodGuard(std::size_t max_continuations) : max_continuations_(max_continuations) {}

  // False: this frame is one too many.
  bool on_frame(const FrameHeader& header);
  // A DATA frame of ours. The peer answers it with WINDOW_UPDATE frames, unless its windows are what cut it to crumbs
  // (CVE-2019-9511): then it costs.
  void on_sent(std::size_t octets, bool cut_by_window);
  // The peer made us refuse something, or reset a stream on which work had begun.
  bool on_refusal() { return spend(kRefusalCost); }
  bool on_forced_reset() { return spend(kForcedResetCost); }
  std::size_t max_continuations() const { return max_continuations_; }
  std::string_view reason() const { return reason_; }  // after a refusal: a sentence

 private:
  static constexpr std::int64_t kAllowance = 65'536;
  static constexpr std::int64_t kRefusalCost = 16;       // queues a frame
  static constexpr std::int64_t kForcedResetCost = 128;  // about as many as nghttp2 allows of the peer's own
  bool spend(std::int64_t cost);
  void earn(std::int64_t gain);

  std::int64_t allowance_ = kAllowance;
  std::size_t max_continuations_;
  std::size_t continuations_ = 0;
  std::string_view reason_;
};

}  // namespace sluice::http2

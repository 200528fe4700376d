// Where frames begin and end in a stream of octets (RFC 9113 §4.1), without understanding them: nghttp2 does that.
// Knowing the boundaries lets the session count frames that nghttp2 ignores, and act at the same points of a
// connection however the octets were cut.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::http2 {

// RFC 9113 §6.
enum class FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};

inline constexpr std::size_t kFrameHeaderSize = 9;
inline constexpr std::uint8_t kFlagEndStream = 0x1;  // of DATA and HEADERS
inline constexpr std::uint8_t kFlagAck = 0x1;        // of SETTINGS and PING
inline constexpr std::uint8_t kFlagEndHeaders = 0x4;

struct FrameHeader {
  std::uint32_t length = 0;  // of the payload
  FrameType type = FrameType::kData;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
};

class FrameScanner {
 public:
  // `preface` octets come before the first frame (RFC 9113 §3.4); 0 for a client's scanner.
  explicit FrameScanner(std::size_t preface) : preface_left_(preface) {}

  // Never part of a frame header: that is given whole, or not yet. Empty: nothing to pass on before more octets come.
  struct Piece {
    Bytes octets;   // inside the octets given, or in the scanner (a header that came in parts) until the next take()
    Bytes payload;  // the part of `octets` that is payload
    bool begins = false;
    bool ends = false;  // the frame is complete
  };
  // Takes at most one frame off the front of `octets`.
  Piece take(Bytes& octets);
  const FrameHeader& header() const { return header_; }  // of the frame that began last

 private:
  void parse_header(Bytes octets);

  std::size_t preface_left_;
  std::array<char, kFrameHeaderSize> partial_{};
  std::size_t partial_size_ = 0;
  FrameHeader header_;
  std::size_t payload_left_ = 0;
};

}  // namespace sluice::http2

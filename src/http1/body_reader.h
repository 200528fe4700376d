// The body of one message: lengths and chunks become pieces that are views of what was fed. Keeps only an unfinished
// chunk line or trailer section. RFC 9112 §6, §7.1.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "http/framing.h"
#include "http/message.h"
#include "http1/head_gatherer.h"
#include "http1/head_parser.h"

namespace sluice::http1 {

// What a reader has found. BodyReader finds no heads.
enum class Step : std::uint8_t { kNeedMore, kHead, kPiece, kTrailers, kEnd };

class BodyReader {
 public:
  using Step = http1::Step;
  BodyReader(const HttpLimits& limits, Side side)
      : limits_(limits), side_(side), trailer_gatherer_(limits, LeadingLines::kKeep) {}

  void begin(const http::BodyFraming& framing);

  // Takes what belongs to the body off the front of `input`. Errors: kInvalid for chunks that could be read two ways
  // (the line ends of chunked framing are CRLF and nothing else), kTooLarge for a chunk line or trailer section
  // beyond its limit.
  Result<Step> next(Bytes& input);

  const http::BodyPiece& piece() const { return piece_; }          // after kPiece
  http::Trailers take_trailers() { return std::move(trailers_); }  // once, after kTrailers
  http::AnomalySet anomalies() const { return anomalies_; }
  // The peer closed: true if that is a proper end.
  bool ends_at_close() const { return state_ == State::kUntilClose || state_ == State::kEnd; }

 private:
  enum class State : std::uint8_t { kEnd, kLength, kUntilClose, kChunkLine, kChunkData, kChunkEnd, kTrailers };

  Step take_content(Bytes& input, ByteCount most);
  Result<Step> next_chunk_end(Bytes& input);
  Result<Step> next_chunk_line(Bytes& input);
  Result<Step> next_trailers(Bytes& input);

  HttpLimits limits_;
  Side side_;
  State state_ = State::kEnd;
  ByteCount left_ = 0;       // of the body or the chunk
  std::string line_;         // a chunk line, or a chunk's end, that came in pieces
  bool line_given_ = false;  // line_ was returned as a piece: forget it at the next call
  HeadGatherer trailer_gatherer_;
  http::BodyPiece piece_;
  http::Trailers trailers_;
  http::AnomalySet anomalies_ = 0;
};

}  // namespace sluice::http1

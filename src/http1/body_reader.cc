#include "http1/body_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "http1/octets.h"

namespace sluice::http1 {
namespace {

using http::Anomaly;
using http::bit;

struct ChunkLine {
  ByteCount size = 0;
  http::AnomalySet anomalies = 0;
};

// RFC 9112 §7.1: hexadecimal digits, then optional extensions. §7.1.1: extensions nobody knows are passed on.
Result<ChunkLine> parse_chunk_line(Bytes line, Side side) {
  if (!line.ends_with("\r\n")) return fail(Code::kInvalid, "a chunk line ends with a bare LF (RFC 9112 §7.1)");
  line.remove_suffix(2);
  ChunkLine out;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const int value = hex_value(line[digits]);
    if (value < 0) break;
    // Many readers keep the size in signed 64 bits.
    if (out.size > (std::numeric_limits<std::int64_t>::max() >> 4)) {
      return fail(Code::kInvalid, "a chunk size is too large to be one (RFC 9112 §7.1)");
    }
    out.size = out.size << 4 | static_cast<ByteCount>(value);
  }
  if (digits == 0) return fail(Code::kInvalid, "a chunk size is no hexadecimal number (RFC 9112 §7.1)");
  const Bytes rest = line.substr(digits);
  if (rest.empty()) return out;
  const auto extension = std::find_if_not(rest.begin(), rest.end(), is_blank);
  if (extension == rest.end()) {
    // Old servers pad the size to a fixed width; nobody reads it otherwise. A request has no such excuse.
    if (side == Side::kRequest) return fail(Code::kInvalid, "a blank follows a chunk size (RFC 9112 §7.1)");
    out.anomalies |= bit(Anomaly::kOddChunkLine);
  } else if (*extension != ';') {
    return fail(Code::kInvalid, "a chunk size is no hexadecimal number (RFC 9112 §7.1)");
  } else if (classify(rest) == Octets::kForbidden) {
    return fail(Code::kInvalid, "a chunk extension holds NUL or CR (RFC 9112 §7.1.1)");
  }
  return out;
}

std::size_t line_length(Bytes input) {  // with its LF; 0: there is none
  const auto lf = input.find('\n');
  return lf == input.npos ? 0 : lf + 1;
}

}  // namespace

void BodyReader::begin(const http::BodyFraming& framing) {
  left_ = 0;
  line_.clear();
  line_given_ = false;
  anomalies_ = 0;
  switch (framing.kind) {
    case http::Framing::kNone:
      state_ = State::kEnd;
      break;
    case http::Framing::kLength:
      left_ = framing.length;
      state_ = left_ > 0 ? State::kLength : State::kEnd;
      break;
    case http::Framing::kChunked:
      trailer_gatherer_.reset();
      state_ = State::kChunkLine;
      break;
    case http::Framing::kUntilClose:
      state_ = State::kUntilClose;
      break;
  }
}

BodyReader::Step BodyReader::take_content(Bytes& input, ByteCount most) {
  const auto taken = input.substr(0, static_cast<std::size_t>(std::min<ByteCount>(most, input.size())));
  piece_ = {taken, taken};
  input.remove_prefix(taken.size());
  return Step::kPiece;
}

Result<BodyReader::Step> BodyReader::next(Bytes& input) {
  if (line_given_) {
    line_.clear();
    line_given_ = false;
  }
  if (state_ == State::kEnd) return Step::kEnd;
  if (input.empty()) return Step::kNeedMore;
  switch (state_) {
    case State::kEnd:
      break;
    case State::kUntilClose:
      return take_content(input, input.size());
    case State::kLength:
      take_content(input, left_);
      left_ -= piece_.content.size();
      if (left_ == 0) state_ = State::kEnd;
      return Step::kPiece;
    case State::kChunkLine:
      return next_chunk_line(input);
    case State::kChunkData:
      take_content(input, left_);
      left_ -= piece_.content.size();
      if (left_ == 0) state_ = State::kChunkEnd;
      return Step::kPiece;
    case State::kChunkEnd:
      return next_chunk_end(input);
    case State::kTrailers:
      return next_trailers(input);
  }
  return Step::kEnd;
}

Result<BodyReader::Step> BodyReader::next_chunk_end(Bytes& input) {
  constexpr Bytes kEnd = "\r\n";
  const std::size_t have = line_.size();  // a CR that came alone
  const Bytes fresh = input.substr(0, kEnd.size() - have);
  if (fresh != kEnd.substr(have, fresh.size())) {
    return fail(Code::kInvalid, "a chunk is not followed by CRLF (RFC 9112 §7.1)");
  }
  if (have > 0 || fresh.size() < kEnd.size()) {
    line_.append(fresh);
    input.remove_prefix(fresh.size());
    if (line_.size() < kEnd.size()) return Step::kNeedMore;
    line_given_ = true;
    piece_ = {line_, {}};
    state_ = State::kChunkLine;
    return Step::kPiece;
  }
  // The next chunk's line is given along with it if it is there; anything but a sound one is left for its own call.
  std::size_t length = kEnd.size();
  state_ = State::kChunkLine;
  const Bytes line = input.substr(length, line_length(input.substr(length)));
  if (!line.empty() && line.size() <= limits_.max_chunk_line) {
    const auto chunk = parse_chunk_line(line, side_);
    if (chunk && chunk->size > 0) {
      anomalies_ |= chunk->anomalies;
      left_ = chunk->size;
      length += line.size();
      state_ = State::kChunkData;
    }
  }
  piece_ = {input.substr(0, length), {}};
  input.remove_prefix(length);
  return Step::kPiece;
}

Result<BodyReader::Step> BodyReader::next_chunk_line(Bytes& input) {
  const std::size_t fresh = line_length(input);
  const std::size_t length = line_.size() + (fresh > 0 ? fresh : input.size());
  if (length > limits_.max_chunk_line) {
    return fail(Code::kTooLarge, "a chunk line is longer than " + std::to_string(limits_.max_chunk_line) + " octets");
  }
  if (fresh == 0) {
    line_.append(input);
    input = {};
    return Step::kNeedMore;
  }
  const bool cut = !line_.empty();
  if (cut) line_.append(input.substr(0, fresh));
  const Bytes line = cut ? Bytes(line_) : input.substr(0, fresh);
  SLUICE_TRY(const ChunkLine chunk, parse_chunk_line(line, side_));
  anomalies_ |= chunk.anomalies;
  left_ = chunk.size;
  if (left_ > 0) {
    input.remove_prefix(fresh);
    piece_ = {line, {}};
    line_given_ = cut;
    state_ = State::kChunkData;
    return Step::kPiece;
  }
  // RFC 9112 §7.1.2: the last chunk. Its line and the trailer section are gathered as a head with its start line.
  state_ = State::kTrailers;
  if (cut) {
    input.remove_prefix(fresh);
    Bytes begun = line_;
    SLUICE_CHECK(trailer_gatherer_.take(begun));
    line_.clear();
    if (input.empty()) return Step::kNeedMore;
  }
  return next_trailers(input);
}

Result<BodyReader::Step> BodyReader::next_trailers(Bytes& input) {
  auto whole = trailer_gatherer_.take(input);
  if (!whole) return fail(std::move(whole).error().with_context("reading trailers"));
  if (!*whole) return Step::kNeedMore;
  trailers_ = {};
  trailers_.wire = trailer_gatherer_.head();
  SLUICE_TRY(const http::AnomalySet odd,
             parse_field_lines(trailers_.wire, trailer_gatherer_.line_ends(), side_, trailers_.fields));
  if (odd & bit(Anomaly::kBareLf)) {
    // RFC 9112 §2.2 forgives it in heads only: here the two ends could disagree on where the next message begins.
    return fail(Code::kInvalid, "a line of the trailer section ends with a bare LF (RFC 9112 §7.1)");
  }
  anomalies_ |= odd;
  state_ = State::kEnd;
  return Step::kTrailers;
}

}  // namespace sluice::http1

#include "analysis/body.h"

#include <algorithm>

namespace sluice::analysis {
namespace {

constexpr ByteCount kReadStep = 256 * kKiB;
// Fed to a decoder at once: what it makes of them is bearable even if it is a bomb.
constexpr std::size_t kDecodeStep = 4 * kKiB;
constexpr std::size_t kPiece = 64 * kKiB;

const std::string& shown_head(const flow::Exchange& exchange, flow::Direction direction) {
  if (direction == flow::Direction::kRequest) return exchange.request.head;
  return exchange.response.effective.empty() ? exchange.response.head : exchange.response.effective;
}

}  // namespace

BodyStream::BodyStream(const capture::Ring& ring, std::string id, flow::Direction direction,
                       std::string_view content_encoding, ByteCount budget)
    : ring_(ring), id_(std::move(id)), direction_(direction), budget_(budget) {
  auto codings = codings::parse_codings(content_encoding);
  if (!codings) {
    problem_ = codings.error().message;
  } else if (!codings->empty()) {
    codings_ = *std::move(codings);
    decoder_ = codings::make_decoder(codings_, budget);
  }
}

Result<std::string_view> BodyStream::next() {
  decoded_.clear();
  while (!ended_) {
    if (taken_ == raw_.size()) {
      const ByteCount step = decoder_ ? kReadStep : std::min(kReadStep, budget_ - read_);
      SLUICE_TRY(capture::BodySlice slice, ring_.read_body(id_, direction_, read_, step));
      raw_ = std::move(slice.octets);
      taken_ = 0;
      read_ += raw_.size();
      if (raw_.empty()) {
        ended_ = true;
        if (decoder_ && read_ > 0 && !decoder_->ended()) problem_ = "the coded data ends early";
        break;
      }
    }
    if (!decoder_) {
      taken_ = raw_.size();
      return std::string_view(raw_);
    }
    while (taken_ < raw_.size() && decoded_.size() < kPiece) {
      const Bytes now = Bytes(raw_).substr(taken_, kDecodeStep);
      taken_ += now.size();
      const Status decoded = decoder_->decode(now, decoded_);
      if (!decoded) {
        problem_ = decoded.error().message;
        ended_ = true;
        break;
      }
    }
    if (!decoded_.empty()) return std::string_view(decoded_);
  }
  return std::string_view(decoded_);
}

Result<BodyWindow> decode_body(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                               const BodyOptions& options) {
  const flow::BodyInfo& info = direction == flow::Direction::kRequest ? exchange.request.body : exchange.response.body;
  BodyWindow window;
  window.offset = options.offset;
  window.content_encoding = flow::parse_fields(shown_head(exchange, direction)).joined("content-encoding").value_or("");
  if (options.form == Form::kAsOnWire) {
    SLUICE_TRY(capture::BodySlice slice, ring.read_body(exchange.id, direction, options.offset, options.limit));
    window.octets = std::move(slice.octets);
    window.total = slice.stored;
    window.complete = slice.complete && info.ended;
    const ByteCount end = options.offset + window.octets.size();
    if (end < slice.stored && !window.octets.empty()) window.next_offset = end;
    return window;
  }
  BodyStream stream(ring, exchange.id, direction, window.content_encoding, options.budget);
  const ByteCount end = options.offset + options.limit;
  ByteCount passed = 0;
  bool whole = false;
  while (options.measure || passed <= end) {
    if (options.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    SLUICE_TRY(const std::string_view piece, stream.next());
    if (piece.empty()) {
      whole = true;
      break;
    }
    const ByteCount from = std::max(options.offset, passed), until = std::min<ByteCount>(end, passed + piece.size());
    if (from < until) window.octets.append(piece.substr(from - passed, until - from));
    passed += piece.size();
  }
  window.problem = stream.problem();
  if (whole) window.total = passed;
  if (passed > end && options.limit > 0) window.next_offset = end;
  window.complete = info.complete && info.ended && window.problem.empty();
  return window;
}

}  // namespace sluice::analysis

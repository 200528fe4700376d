#include "analysis/body.h"

#include <algorithm>

#include "analysis/clip.h"
#include "base/text.h"
#include "capture/needle.h"

namespace sluice::analysis {
namespace {

constexpr ByteCount kReadStep = 256 * kKiB;
constexpr std::size_t kDecodeStep = 4 * kKiB;
constexpr std::size_t kPiece = 64 * kKiB;
// Enough of a body to see whether it is text.
constexpr std::size_t kGlimpse = 4 * kKiB;

// [options.offset, options.offset + options.limit), unmasked and not trimmed.
Result<BodyWindow> gather(BodyStream& stream, const BodyOptions& options) {
  BodyWindow window;
  for (;;) {
    if (options.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    // One octet more than is wanted, so that `more` is known.
    const bool full = window.octets.size() > options.limit;
    if (full && (stream.total() || !options.measure)) break;
    SLUICE_TRY(const std::string_view piece, stream.next());
    if (piece.empty()) break;
    if (!full) window.octets.append(piece.substr(0, options.limit + 1 - window.octets.size()));
  }
  window.more = window.octets.size() > options.limit;
  if (window.more) window.octets.pop_back();
  window.total = stream.total();
  window.problem = stream.problem();
  return window;
}

}  // namespace

std::string content_coding(Bytes head) {
  static const capture::Needle kName("content-encoding");  // most heads do not hold it, which is quick to see
  if (!kName.is_in(head)) return "";
  return flow::parse_fields(head).joined("content-encoding").value_or("");
}

const std::string& shown_head(const flow::Exchange& exchange, flow::Direction direction) {
  if (direction == flow::Direction::kRequest) return exchange.request.head;
  return exchange.response.effective.empty() ? exchange.response.head : exchange.response.effective;
}

const flow::BodyInfo& body_info(const flow::Exchange& exchange, flow::Direction direction) {
  return direction == flow::Direction::kRequest ? exchange.request.body : exchange.response.body;
}

BodyStream::BodyStream(const capture::BodySource& ring, std::string id, flow::Direction direction,
                       std::string_view content_encoding, StreamOptions options)
    : ring_(ring),
      id_(std::move(id)),
      direction_(direction),
      from_(options.from),
      most_(options.most),
      measure_(options.measure) {
  if (options.form == Form::kDecoded && !content_encoding.empty()) {
    const auto codings = codings::parse_codings(content_encoding);
    if (!codings) {
      problem_ = codings.error().message;
    } else if (!codings->empty()) {
      decoder_ = codings::make_decoder(*codings, options.budget);
    }
  }
  if (!decoder_) read_ = from_;
}

Status BodyStream::read_more() {
  SLUICE_TRY(capture::BodySlice slice, ring_.read_body(id_, direction_, read_, kReadStep));
  raw_ = std::move(slice.octets);
  taken_ = 0;
  read_ += raw_.size();
  if (!decoder_) total_ = slice.stored;
  if (!raw_.empty()) return {};
  ended_ = true;
  if (!decoder_) return {};
  total_ = made_;
  if (read_ > 0 && !decoder_->ended()) problem_ = "the coded data ends early";
  return {};
}

// Servers lie about codings. Only what is surely text passes for it: coded octets shown by mistake could be decoded by
// those who may not see what is in them.
bool BodyStream::read_as_plain() {
  if (made_ > 0 || read_ > kReadStep) return false;
  std::string glimpse = raw_.substr(0, kGlimpse);
  trim_unfinished(glimpse);
  if (glimpse.empty() || !is_utf8(glimpse) || glimpse.find('\0') != std::string::npos) return false;
  decoder_.reset();
  raw_.clear();
  taken_ = 0;
  read_ = from_;
  return true;
}

// Keeps what is wanted and counts the rest: a few octets of a bomb, or of a stack of codings, say hundreds of
// megabytes.
Status BodyStream::take(Bytes piece) {
  const ByteCount begin = made_;
  made_ += piece.size();
  if (made_ <= from_) return {};
  if (begin < from_) piece.remove_prefix(static_cast<std::size_t>(from_ - begin));
  if (given_ < most_) {
    decoded_ += piece;
    given_ += piece.size();
  }
  if (given_ < most_ || measure_) return {};
  return fail(Code::kCancelled, "there is enough");
}

void BodyStream::decode_more() {
  const Bytes now = Bytes(raw_).substr(taken_, kDecodeStep);
  taken_ += now.size();
  const Status decoded = decoder_->decode(now, [this](Bytes piece) { return take(piece); });
  if (decoded) return;
  if (decoded.error().code == Code::kCancelled) {
    ended_ = true;
    return;
  }
  problem_ = decoded.error().message;
  if (read_as_plain()) return;
  ended_ = true;
  total_ = made_;
}

Result<std::string_view> BodyStream::next() {
  decoded_.clear();
  while (!ended_) {
    if (taken_ == raw_.size()) SLUICE_CHECK(read_more());
    if (ended_) break;
    if (!decoder_) {
      taken_ = raw_.size();
      return std::string_view(raw_);
    }
    while (decoder_ && !ended_ && taken_ < raw_.size() && decoded_.size() < kPiece) decode_more();
    if (!decoded_.empty()) break;
  }
  return std::string_view(decoded_);
}

Result<BodyWindow> read_window(const capture::BodySource& ring, const flow::Exchange& exchange,
                               flow::Direction direction, const BodyOptions& options) {
  const http::FieldList fields = flow::parse_fields(shown_head(exchange, direction));
  BodyOptions wide = options;
  const ByteCount before = options.redactor ? std::min(options.offset, kMaskContext) : 0;
  wide.offset -= before;
  if (options.redactor) wide.limit += before + kMaskAhead;
  const auto coding = fields.joined("content-encoding");
  BodyWindow window;
  if (body_info(exchange, direction).stored == 0) {
    window.total = 0;
  } else {
    BodyStream stream(ring, exchange.id, direction, coding.value_or(""),
                      {.form = options.form,
                       .from = wide.offset,
                       .most = wide.limit + 1,
                       .measure = options.measure,
                       .budget = options.budget});
    SLUICE_TRY(window, gather(stream, wide));
  }
  window.content_type = fields.joined("content-type");
  window.content_encoding = coding;
  Clip shown =
      clip(window.octets, before, options.limit, window.more, options.redactor, window.content_type.value_or(""));
  window.octets = std::move(shown.octets);
  window.offset = options.offset;
  window.bytes = shown.bytes;
  window.more = shown.more;
  return window;
}

BodyWindow read_prefix(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                       ByteCount limit, const Redactor* redactor) {
  auto window = read_window(ring, exchange, direction, {.limit = limit, .measure = false, .redactor = redactor});
  return window ? *std::move(window) : BodyWindow{};
}

}  // namespace sluice::analysis

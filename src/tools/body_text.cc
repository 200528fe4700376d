#include "tools/body_text.h"

#include <algorithm>

#include "base/text.h"
#include "codings/codings.h"

namespace sluice::tools {
namespace {

constexpr ByteCount kReadStep = 256 * kKiB;
// Text before and behind a window that is masked with it. A secret longer than the first could show its end.
constexpr ByteCount kMaskContext = 8 * kMiB;
constexpr ByteCount kMaskAhead = 8 * kKiB;

const flow::BodyInfo& info_of(const flow::Exchange& exchange, flow::Direction direction) {
  return direction == flow::Direction::kRequest ? exchange.request.body : exchange.response.body;
}

std::vector<codings::Coding> codings_of(const flow::Exchange& exchange, flow::Direction direction,
                                        std::string& problem) {
  const auto field = flow::parse_fields(shown_head(exchange, direction)).joined("content-encoding");
  if (!field) return {};
  auto codings = codings::parse_codings(*field);
  if (codings) return *std::move(codings);
  problem = codings.error().message;
  return {};
}

// Keeps [offset, offset + limit) of what passes, counts the rest.
class Window {
 public:
  Window(ByteCount offset, ByteCount limit) : begin_(offset), end_(offset + limit) {}

  void take(std::string_view octets) {
    const ByteCount from = std::max(begin_, passed_), until = std::min(end_, passed_ + octets.size());
    if (from < until) kept_.append(octets.substr(from - passed_, until - from));
    passed_ += octets.size();
  }
  bool full() const { return passed_ > end_; }  // and one octet more, so that `more` is known
  ByteCount passed() const { return passed_; }
  ByteCount end() const { return end_; }
  std::string take_kept() { return std::move(kept_); }

 private:
  ByteCount begin_, end_, passed_ = 0;
  std::string kept_;
};

Result<BodyPart> read_plain(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                            const BodyRequest& request) {
  BodyPart part;
  while (part.octets.size() < request.limit) {
    if (request.stop.stop_requested()) return fail(Code::kCancelled, "the call was cancelled");
    const ByteCount at = request.offset + part.octets.size();
    SLUICE_TRY(capture::BodySlice slice,
               ring.read_body(exchange.id, direction, at, std::min(kReadStep, request.limit - part.octets.size())));
    part.total = slice.stored;
    if (slice.octets.empty()) break;
    part.octets += slice.octets;
  }
  if (!part.total) part.total = info_of(exchange, direction).stored;
  part.more = request.offset + part.octets.size() < *part.total;
  return part;
}

Result<BodyPart> read_decoded(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                              const BodyRequest& request, const std::vector<codings::Coding>& codings) {
  BodyPart part;
  Window window(request.offset, request.limit);
  const auto decoder = codings::make_decoder(codings, kMaxDecoded);
  std::string out;
  ByteCount at = 0;
  bool whole = false;
  for (;;) {
    if (request.stop.stop_requested()) return fail(Code::kCancelled, "the call was cancelled");
    if (!request.measure && window.full()) break;
    SLUICE_TRY(const capture::BodySlice slice, ring.read_body(exchange.id, direction, at, kReadStep));
    if (slice.octets.empty()) {
      whole = true;
      break;
    }
    at += slice.octets.size();
    // In small bites, so that a bomb is met in pieces of a bearable size.
    for (std::string_view rest = slice.octets; !rest.empty();
         rest.remove_prefix(std::min<std::size_t>(rest.size(), 4096))) {
      out.clear();
      const Status decoded = decoder->decode(rest.substr(0, 4096), out);
      window.take(out);
      if (!decoded) {
        part.problem = decoded.error().message;
        break;
      }
    }
    if (!part.problem.empty()) break;
  }
  if (whole && !decoder->ended() && at > 0) part.problem = "the coded data ends early";
  if (whole || !part.problem.empty()) part.total = window.passed();
  part.more = window.passed() > window.end();
  part.octets = window.take_kept();
  return part;
}

// Takes an unfinished character off the end, so that text is cut between characters.
void trim_unfinished(std::string& octets) {
  for (std::size_t back = 1; back <= 3 && back <= octets.size(); ++back) {
    const auto octet = static_cast<unsigned char>(octets[octets.size() - back]);
    if ((octet & 0xC0) == 0x80) continue;
    const std::size_t length = octet >= 0xF0 ? 4 : octet >= 0xE0 ? 3 : octet >= 0xC0 ? 2 : 1;
    if (length > back) octets.resize(octets.size() - back);
    return;
  }
}

// The same where the whole is text.
void trim_text(std::string& octets) {
  std::string trimmed = octets;
  trim_unfinished(trimmed);
  if (!trimmed.empty() && is_utf8(trimmed)) octets = std::move(trimmed);
}

}  // namespace

const std::string& shown_head(const flow::Exchange& exchange, flow::Direction direction) {
  if (direction == flow::Direction::kRequest) return exchange.request.head;
  return exchange.response.effective.empty() ? exchange.response.head : exchange.response.effective;
}

Result<BodyPart> read_part(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                           const BodyRequest& request) {
  std::string problem;
  std::vector<codings::Coding> codings;
  if (request.decoded) codings = codings_of(exchange, direction, problem);
  auto part = codings.empty() ? read_plain(ring, exchange, direction, request)
                              : read_decoded(ring, exchange, direction, request, codings);
  if (part && !problem.empty()) part->problem = std::move(problem);
  return part;
}

BodyPart decoded_prefix(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                        ByteCount limit) {
  if (info_of(exchange, direction).stored == 0) return {};
  BodyRequest request;
  request.limit = limit;
  request.measure = false;
  auto part = read_part(ring, exchange, direction, request);
  return part ? *std::move(part) : BodyPart{};
}

std::string body_preview(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction) {
  // Four octets are the most that one UTF-16 unit can stand for.
  const BodyPart part = decoded_prefix(ring, exchange, direction, 4 * kPreviewUnits);
  const std::string text = repair_utf8(part.octets);
  const std::string_view kept = utf16_prefix(text, kPreviewUnits);
  if (kept.size() == text.size() && !part.more) return text;
  return std::string(kept) + "...";
}

// What a window shows after masking: the text before it (up to kMaskContext) and a little behind it are masked with it,
// so that names and values which its edges cut apart are still seen together.
Result<BodyPart> read_masked(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                             const BodyRequest& request, std::string_view content_type) {
  BodyRequest wide = request;
  const ByteCount before = std::min(request.offset, kMaskContext);
  wide.offset -= before;
  wide.limit += before + kMaskAhead;
  SLUICE_TRY(BodyPart part, read_part(ring, exchange, direction, wide));
  const std::string_view all = part.octets;
  const std::string_view context = all.substr(0, before);
  std::string_view until = all.substr(0, std::min<ByteCount>(all.size(), before + request.limit));
  BodyPart shown;
  shown.total = part.total;
  shown.problem = part.problem;
  shown.more = part.more || until.size() < all.size();
  if (until.size() > context.size()) {
    std::string window(until.substr(context.size()));
    if (shown.more) trim_text(window);
    until = all.substr(0, context.size() + window.size());
    shown.raw_bytes = window.size();
    // Masks have one length for each kind, so the masked prefixes of one text are prefixes of each other in length.
    const std::size_t from = request.redactor->mask_body(context, content_type).text.size();
    const std::size_t to = request.redactor->mask_body(until, content_type).text.size();
    const Redacted masked = request.redactor->mask_body(all, content_type);
    const std::size_t end = std::min(to, masked.text.size());
    if (from < end) shown.octets = masked.text.substr(from, end - from);
  }
  return shown;
}

Result<Json> body_json(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                       const BodyRequest& request) {
  const flow::BodyInfo& info = info_of(exchange, direction);
  const http::FieldList fields = flow::parse_fields(shown_head(exchange, direction));
  const auto type = fields.joined("content-type"), coding = fields.joined("content-encoding");
  BodyPart part;
  if (info.stored == 0) {
    part.total = 0;
  } else if (request.redactor) {
    if (!request.decoded && coding) {
      return fail(Code::kRefused, "Coded octets cannot be masked: pass show_secrets: true with decoded: false.");
    }
    SLUICE_TRY(part, read_masked(ring, exchange, direction, request, type.value_or("")));
  } else {
    SLUICE_TRY(part, read_part(ring, exchange, direction, request));
    if (part.more) trim_text(part.octets);
    part.raw_bytes = part.octets.size();
  }
  Json body = Json::object();
  if (is_utf8(part.octets)) {
    body["text"] = part.octets;
  } else {
    body["base64"] = base64_encode(part.octets);
  }
  body["contentType"] = type ? Json(*type) : Json();
  body["codings"] = coding ? Json(*coding) : Json();
  body["offset"] = request.offset;
  body["bytes"] = part.raw_bytes;
  body["total"] = part.total ? Json(*part.total) : Json();
  body["complete"] = info.complete && info.ended;
  if (part.more && part.raw_bytes > 0) body["nextOffset"] = request.offset + part.raw_bytes;
  if (!part.problem.empty()) body["problem"] = part.problem;
  return body;
}

}  // namespace sluice::tools

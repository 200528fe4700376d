#include "session/body_text.h"

#include "capture/needle.h"
#include "capture/records.h"
#include "codings/codings.h"

namespace sluice::session {
namespace {

using capture::RecordType;

constexpr std::size_t kMostOpen = 64;              // segments
constexpr ByteCount kMostWire = kMostText + kMiB;  // what is not coded may be that long; nobody looks behind

std::string coding_of(Bytes head) {
  // Most heads name none.
  static const capture::Needle name("content-encoding");
  if (!name.is_in(head)) return {};
  return flow::parse_fields(head).joined("content-encoding").value_or("");
}

void add(std::string& text, Bytes piece) {
  if (text.size() < kMostWire) text.append(piece);
}

void decode(std::string& text, const std::string& coding) {
  if (!text.empty() && !coding.empty()) text = codings::decode_all(text, coding, kMostText).text;
}

}  // namespace

const SegmentFile* BodyTextReader::segment(std::uint32_t number) {
  const auto found = segments_.find(number);
  if (found != segments_.end()) return &found->second;
  auto opened = SegmentFile::open(files_, directory_, number, key_);
  if (!opened) return nullptr;
  if (segments_.size() >= kMostOpen) {
    window_ = {};
    segments_.clear();
  }
  return &segments_.emplace(number, *std::move(opened)).first->second;
}

const BodyTexts* BodyTextReader::read(const Row& row) {
  texts_.request.clear();
  texts_.response.clear();
  if (row.request.stored == 0 && row.response.stored == 0) return &texts_;
  std::string request_coding, response_coding;
  for (const Place& run : row.runs) {
    const SegmentFile* const from = segment(run.segment);
    if (!from) return nullptr;
    const auto on = from->visit(
        run, row.seq, [](const auto&) { return true; },
        [&](const SegmentFile::Frame& frame, Bytes payload) {
          if (frame.type == RecordType::kRequestBody) {
            add(texts_.request, payload);
          } else if (frame.type == RecordType::kResponseBody) {
            add(texts_.response, payload);
          } else if (frame.type == RecordType::kOpened && row.request.stored > 0) {
            const auto parts = capture::parse_opened(payload.substr(std::min(payload.size(), sizeof(capture::Uuid))));
            if (parts) request_coding = coding_of(parts->head);
          } else if (frame.type == RecordType::kResponded) {
            const auto parts = capture::parse_responded(payload);
            if (parts) response_coding = coding_of(parts->effective.empty() ? parts->head : parts->effective);
          }
          return true;
        },
        window_);
    if (!on || !*on) return nullptr;
  }
  decode(texts_.request, request_coding);
  decode(texts_.response, response_coding);
  return &texts_;
}

}  // namespace sluice::session

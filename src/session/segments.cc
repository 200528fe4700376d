#include "session/segments.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "capture/octets.h"
#include "session/manifest.h"

namespace sluice::session {
namespace {

using capture::kFrameHeaderSize;

constexpr ByteCount kWindow = 64 * kKiB, kAhead = 256 * kKiB;
constexpr const char* kDamaged = "A record of this session is damaged on disk: proxy_session_recover says which.";

std::optional<std::uint32_t> number_of(std::string_view name) {
  if (name.size() < 5 || !name.ends_with(".seg")) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - 4);
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Result<std::vector<std::uint32_t>> list_segments(FileSystem& files, const std::string& directory) {
  SLUICE_TRY(const auto names, files.list(segments_path(directory)));
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = number_of(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

capture::SealKey seal_key(const SessionKeyPtr& key) {
  if (!key) return nullptr;
  return [key](const capture::SegmentHeader& header) {
    char salt[16];
    capture::OctetWriter out(salt);
    out.number(header.salt);
    out.number(header.number);
    return key->segment_key(Bytes(salt, sizeof(salt)));
  };
}

Result<capture::SegmentReader> read_segment(const File& file, const SessionKeyPtr& key) {
  const capture::SealKey own = seal_key(key);
  return capture::SegmentReader::create(file, own ? &own : nullptr);
}

Result<SegmentFile> SegmentFile::open(FileSystem& files, const std::string& directory, std::uint32_t number,
                                      const SessionKeyPtr& key) {
  SegmentFile segment;
  SLUICE_TRY(segment.file_, files.open(segment_path(directory, number), OpenMode::kRead));
  SLUICE_TRY(const auto reader, capture::SegmentReader::create(*segment.file_));
  segment.seed_ = capture::checksum_seed(reader.header().salt);
  if (reader.header().sealed && !key) {
    return fail(Code::kRefused, "a sealed segment in a recording that is not encrypted");
  }
  if (!reader.header().sealed && key) return fail(Code::kRefused, "a segment in clear in an encrypted recording");
  if (key) segment.seal_ = std::make_unique<capture::RecordSeal>(seal_key(key), reader.header(), Aead::Use::kOpen);
  return segment;
}

Result<std::string> SegmentFile::read(const Place& place) const {
  std::string octets(place.length, '\0');
  SLUICE_TRY(const std::size_t got, file_->read_at(place.offset, octets));
  if (got < octets.size() || octets.size() < kFrameHeaderSize) return fail(Code::kIo, kDamaged);
  const auto frame = capture::parse_frame_header(Bytes(octets).substr(0, kFrameHeaderSize), seed_);
  octets.erase(0, kFrameHeaderSize);
  if (!frame || !capture::payload_intact(*frame, octets, seed_)) return fail(Code::kIo, kDamaged);
  if (!seal_) return octets;
  std::string plain;
  if (!seal_->open(*frame, place.offset, octets, plain)) return fail(Code::kIo, kDamaged);
  return plain;
}

// What stands at `at` is read, and as much behind it as will be asked for: of the run to `end`, or, where runs follow
// each other, beyond it.
Status SegmentFile::move_to(Window& window, ByteCount at, ByteCount end) const {
  const ByteCount had = window.at + window.octets.size();
  const bool follows = window.of == this && !window.octets.empty() && at >= window.at && at <= had + kWindow;
  const ByteCount wanted = follows ? std::max(kAhead, std::min(kWindow, end - at)) : std::min(kWindow, end - at);
  window.of = nullptr;
  window.octets.resize(static_cast<std::size_t>(wanted));
  SLUICE_TRY(const std::size_t got, file_->read_at(at, window.octets));
  window.octets.resize(got);
  window.at = at;
  window.of = this;
  return {};
}

Result<bool> SegmentFile::visit(const Place& run, std::uint64_t subject, const Wanted& wanted, const Visit& visit,
                                Window& window) const {
  const ByteCount end = ByteCount{run.offset} + run.length;
  std::string payload, plain;
  const auto holds = [&](ByteCount at, ByteCount until) {
    return window.of == this && at >= window.at && until <= window.at + window.octets.size();
  };
  for (ByteCount at = run.offset; at + kFrameHeaderSize <= end;) {
    if (!holds(at, at + kFrameHeaderSize)) {
      SLUICE_CHECK(move_to(window, at, end));
      if (window.octets.size() < kFrameHeaderSize) return false;
    }
    Bytes rest = Bytes(window.octets).substr(static_cast<std::size_t>(at - window.at));
    const auto frame = capture::parse_frame_header(rest.substr(0, kFrameHeaderSize), seed_);
    if (!frame) return false;
    const ByteCount frame_at = at, payload_at = at + kFrameHeaderSize;
    at = payload_at + frame->length;
    const std::size_t overhead = capture::seal_overhead(frame->type, seal_ != nullptr);
    if (frame->length < overhead) return false;
    const Frame brief{frame->type, static_cast<std::uint32_t>(frame->length - overhead)};
    if (frame->subject != subject || !wanted(brief)) continue;
    // A small record that stands on the border: read from its beginning it is whole, and so are those behind it.
    if (frame->length <= kWindow - kFrameHeaderSize && !holds(payload_at, payload_at + frame->length)) {
      SLUICE_CHECK(move_to(window, at - frame->length - kFrameHeaderSize, end));
      rest = window.octets;
    }
    Bytes content = rest.substr(std::min<std::size_t>(kFrameHeaderSize, rest.size()), frame->length);
    if (content.size() < frame->length) {
      payload.resize(frame->length);
      SLUICE_TRY(const std::size_t got, file_->read_at(payload_at, payload));
      if (got < payload.size()) return false;
      content = payload;
    }
    if (!capture::payload_intact(*frame, content, seed_)) return false;
    if (overhead > 0) {
      if (!seal_->open(*frame, frame_at, content, plain)) return false;
      content = plain;
    }
    if (!visit(brief, content)) return false;
  }
  return true;
}

}  // namespace sluice::session

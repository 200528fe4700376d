#include "session/segments.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "session/manifest.h"

namespace sluice::session {
namespace {

using capture::kFrameHeaderSize;

constexpr std::size_t kWindow = 64 * 1024;
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

Result<SegmentFile> SegmentFile::open(FileSystem& files, const std::string& directory, std::uint32_t number) {
  SegmentFile segment;
  SLUICE_TRY(segment.file_, files.open(segment_path(directory, number), OpenMode::kRead));
  SLUICE_TRY(const auto reader, capture::SegmentReader::create(*segment.file_));
  segment.seed_ = capture::checksum_seed(reader.header().salt);
  return segment;
}

Result<std::string> SegmentFile::read(const Place& place) const {
  std::string octets(place.length, '\0');
  SLUICE_TRY(const std::size_t got, file_->read_at(place.offset, octets));
  if (got < octets.size() || octets.size() < kFrameHeaderSize) return fail(Code::kIo, kDamaged);
  const auto frame = capture::parse_frame_header(Bytes(octets).substr(0, kFrameHeaderSize), seed_);
  octets.erase(0, kFrameHeaderSize);
  if (!frame || !capture::payload_intact(*frame, octets, seed_)) return fail(Code::kIo, kDamaged);
  return octets;
}

Result<bool> SegmentFile::visit(const Place& run, std::uint64_t subject, const Wanted& wanted,
                                const Visit& visit) const {
  const ByteCount end = ByteCount{run.offset} + run.length;
  std::string window, payload;
  ByteCount window_at = 0;
  for (ByteCount at = run.offset; at + kFrameHeaderSize <= end;) {
    if (at < window_at || at + kFrameHeaderSize > window_at + window.size()) {
      window.resize(static_cast<std::size_t>(std::min<ByteCount>(kWindow, end - at)));
      SLUICE_TRY(const std::size_t got, file_->read_at(at, window));
      window.resize(got);
      window_at = at;
      if (got < kFrameHeaderSize) return false;
    }
    const Bytes rest = Bytes(window).substr(static_cast<std::size_t>(at - window_at));
    const auto frame = capture::parse_frame_header(rest.substr(0, kFrameHeaderSize), seed_);
    if (!frame) return false;
    const ByteCount payload_at = at + kFrameHeaderSize;
    at = payload_at + frame->length;
    const Frame brief{frame->type, frame->length};
    if (frame->subject != subject || !wanted(brief)) continue;
    Bytes content = rest.substr(kFrameHeaderSize, frame->length);
    if (content.size() < frame->length) {
      payload.resize(frame->length);
      SLUICE_TRY(const std::size_t got, file_->read_at(payload_at, payload));
      if (got < payload.size()) return false;
      content = payload;
    }
    if (!capture::payload_intact(*frame, content, seed_)) return false;
    if (!visit(brief, content)) return false;
  }
  return true;
}

}  // namespace sluice::session

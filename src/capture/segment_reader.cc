#include <algorithm>
#include <array>

#include "capture/record_seal.h"
#include "capture/segment.h"
#include "capture/segment_format.h"

namespace sluice::capture {
namespace {

constexpr std::size_t kWindow = 256 * 1024;

}  // namespace

SegmentReader::SegmentReader(const File& file) : file_(&file) {}
SegmentReader::SegmentReader(SegmentReader&&) noexcept = default;
SegmentReader& SegmentReader::operator=(SegmentReader&&) noexcept = default;
SegmentReader::~SegmentReader() = default;

Result<SegmentReader> SegmentReader::create(const File& file, const SealKey* key) {
  SegmentReader reader(file);
  SLUICE_TRY(reader.size_, file.size());
  // No more yet: many a segment is opened for a record here and there.
  std::array<char, kSegmentHeaderSize> octets;
  SLUICE_TRY(const std::size_t got, file.read_at(0, MutableBytes(octets.data(), octets.size())));
  SLUICE_TRY(reader.header_, parse_segment_header(Bytes(octets.data(), got)));
  reader.seed_ = checksum_seed(reader.header_.salt);
  if (key && !reader.header_.sealed) return fail(Code::kRefused, "a segment in clear in an encrypted recording");
  if (key) reader.seal_ = std::make_unique<RecordSeal>(*key, reader.header_, Aead::Use::kOpen);
  reader.position_ = kSegmentHeaderSize;
  return reader;
}

// Octets of the file, fewer at its end; valid until the next call.
Result<Bytes> SegmentReader::view(ByteCount offset, std::size_t length) {
  length = static_cast<std::size_t>(std::min<ByteCount>(length, offset < size_ ? size_ - offset : 0));
  const bool inside = offset >= window_offset_ && offset + length <= window_offset_ + window_.size();
  if (!inside) {
    const auto wanted = static_cast<std::size_t>(std::min<ByteCount>(std::max(length, kWindow), size_ - offset));
    window_.resize(wanted);
    const auto got = file_->read_at(offset, MutableBytes(window_.data(), wanted));
    window_.resize(got.value_or(0));
    window_offset_ = offset;
    if (!got) return fail(got.error());
  }
  return Bytes(window_).substr(static_cast<std::size_t>(offset - window_offset_), length);
}

// True: record_ is the one at position_. False: there is none; damaged_ is set if its header at least is intact.
Result<bool> SegmentReader::read_record() {
  damaged_.reset();
  SLUICE_TRY(const Bytes head, view(position_, kFrameHeaderSize));
  if (head.size() < kFrameHeaderSize) return false;
  const auto frame = parse_frame_header(head, seed_);
  if (!frame) return false;
  SLUICE_TRY(const Bytes whole, view(position_, kFrameHeaderSize + frame->length));
  Bytes payload = whole.substr(kFrameHeaderSize);
  const bool sealed = seal_overhead(frame->type, header_.sealed) > 0;
  if (!payload_intact(*frame, payload, seed_) ||
      (sealed && seal_ && !seal_->open(*frame, position_, payload, opened_))) {
    damaged_ = frame;
    return false;
  }
  if (sealed && seal_) payload = opened_;
  record_ = {
      frame->type, frame->subject, {position_, static_cast<std::uint32_t>(whole.size())}, payload, sealed && !seal_};
  return true;
}

Result<SegmentReader::Step> SegmentReader::next() {
  if (position_ >= size_) return Step::kEnd;
  SLUICE_TRY(const bool good, read_record());
  if (good) {
    position_ += record_.place.length;
    return Step::kRecord;
  }
  SLUICE_TRY(const bool padding, ends_in_padding());
  if (padding) return Step::kEnd;
  return skip_damage(position_);
}

// What base/direct_file.h leaves behind the last record: less than a block of zeros.
Result<bool> SegmentReader::ends_in_padding() {
  const ByteCount left = size_ - position_;
  if (left >= kSegmentBlock) return false;
  SLUICE_TRY(const Bytes rest, view(position_, static_cast<std::size_t>(left)));
  if (rest.size() < left || rest.find_first_not_of('\0') != Bytes::npos) return false;
  padding_ = left;
  position_ = size_;
  return true;
}

// To the next octets that are a whole record of this segment. A header that is intact tells the length of what it
// heads, so that the search need not go through a peer's octets.
Result<SegmentReader::Step> SegmentReader::skip_damage(ByteCount from) {
  ByteCount at = from;
  if (damaged_) {
    at += kFrameHeaderSize + damaged_->length;
  } else {
    ++at;
  }
  bool found = false;
  for (; at + kFrameHeaderSize <= size_; ++at) {
    position_ = at;
    auto good = read_record();
    if (!good) {
      position_ = from;
      return fail(good.error());
    }
    if (*good || damaged_) {
      found = true;
      break;
    }
  }
  damage_ = {from, (found ? at : size_) - from, !found};
  position_ = found ? at : size_;
  return Step::kDamage;
}

}  // namespace sluice::capture

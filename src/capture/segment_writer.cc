#include "base/crc32c.h"
#include "capture/octets.h"
#include "capture/segment.h"
#include "capture/segment_format.h"

namespace sluice::capture {
namespace {

constexpr std::size_t kBlock = 256 * 1024;
// A smaller piece is copied: a vector of writev(2) costs more than the copy.
constexpr std::size_t kCopied = 8 * 1024;

}  // namespace

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, std::uint32_t seed) : file_(std::move(file)), seed_(seed) {}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(FileSystem& files, const std::string& path,
                                                             const SegmentHeader& header) {
  SLUICE_TRY(auto file, files.open(path, OpenMode::kCreateDirect));
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(file), checksum_seed(header.salt)));
  const auto octets = format_segment_header(header);
  SLUICE_CHECK(writer->file_->append(Bytes(octets.data(), octets.size())));
  writer->size_ = octets.size();
  return writer;
}

// What lies side by side in memory becomes one piece.
void SegmentWriter::refer_to(Bytes octets) {
  if (!pieces_.empty() && pieces_.back().data() + pieces_.back().size() == octets.data()) {
    pieces_.back() = Bytes(pieces_.back().data(), pieces_.back().size() + octets.size());
  } else {
    pieces_.push_back(octets);
  }
}

void SegmentWriter::copy(Bytes octets) {
  while (!octets.empty()) {
    if (blocks_.empty() || block_used_ == kBlock) {
      if (!blocks_.empty()) ++block_;
      if (block_ == blocks_.size()) blocks_.push_back(std::make_unique<char[]>(kBlock));
      block_used_ = 0;
    }
    const Bytes now = octets.substr(0, kBlock - block_used_);
    char* const to = blocks_[block_].get() + block_used_;
    std::memcpy(to, now.data(), now.size());
    block_used_ += now.size();
    octets.remove_prefix(now.size());
    refer_to(Bytes(to, now.size()));
  }
}

FramePlace SegmentWriter::add(RecordType type, std::uint64_t subject, std::span<const Bytes> payload) {
  FrameHeader header;
  header.type = type;
  header.subject = subject;
  header.payload_checksum = seed_;
  for (const Bytes piece : payload) {
    header.length += static_cast<std::uint32_t>(piece.size());
    header.payload_checksum = crc32c(piece, header.payload_checksum);
  }
  const auto octets = format_frame_header(header, seed_);
  copy(Bytes(octets.data(), octets.size()));
  for (const Bytes piece : payload) {
    if (piece.size() < kCopied) {
      copy(piece);
    } else {
      refer_to(piece);
    }
  }
  const FramePlace place{size_ + pending_, static_cast<std::uint32_t>(kFrameHeaderSize + header.length)};
  pending_ += place.length;
  return place;
}

Status SegmentWriter::flush() {
  if (pieces_.empty()) return {};
  Status written = file_->append(pieces_);
  if (written) {
    size_ += pending_;
  } else {
    (void)file_->truncate(size_);  // a torn tail is harmless to readers, but it takes room
  }
  pieces_.clear();
  pending_ = 0;
  if (blocks_.size() > 2) blocks_.resize(2);
  block_ = block_used_ = 0;
  return written;
}

}  // namespace sluice::capture

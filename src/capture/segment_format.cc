#include "capture/segment_format.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "capture/octets.h"

namespace sluice::capture {
namespace {

constexpr Bytes kMagic("SLUICE\r\n", 8);  // the line end shows a transfer that changed line ends
constexpr std::size_t kChecksumSize = 4;

void form(char* frame, RecordType type, std::uint64_t subject, std::uint32_t length, std::uint32_t payload_checksum,
          std::uint32_t seed) {
  OctetWriter out(frame);
  out.number(length);
  out.number(static_cast<std::uint32_t>(type));  // and three reserved octets
  out.number(subject);
  out.number(payload_checksum);
  out.number(crc32c(Bytes(frame, kFrameHeaderSize - kChecksumSize), seed));
}

}  // namespace

std::uint32_t checksum_seed(std::uint64_t salt) {
  char octets[sizeof(salt)];
  OctetWriter(octets).number(salt);
  return crc32c(Bytes(octets, sizeof(octets)));
}

std::array<char, kSegmentHeaderSize> format_segment_header(const SegmentHeader& header) {
  std::array<char, kSegmentHeaderSize> octets{};
  OctetWriter out(octets.data());
  out.octets(kMagic);
  out.number(header.sealed ? kSealedSegmentVersion : kSegmentVersion);
  out.number(std::uint32_t{0});
  out.number(header.number);
  out.number(header.salt);
  out.number(static_cast<std::int64_t>(header.created.time_since_epoch().count()));
  out.number(std::uint32_t{0});
  out.number(crc32c(Bytes(octets.data(), octets.size() - kChecksumSize)));
  return octets;
}

Result<SegmentHeader> parse_segment_header(Bytes octets) {
  OctetReader in(octets);
  if (in.octets(kMagic.size()) != kMagic) return fail(Code::kInvalid, "not a segment");
  const auto version = in.number<std::uint32_t>();
  if (version > kSealedSegmentVersion) {
    return fail(Code::kInvalid,
                fmt::format("a segment of version {}; this program reads up to {}", version, kSealedSegmentVersion));
  }
  in.number<std::uint32_t>();
  SegmentHeader header;
  header.sealed = version == kSealedSegmentVersion;
  header.number = in.number<std::uint64_t>();
  header.salt = in.number<std::uint64_t>();
  header.created = WallTime(Duration(in.number<std::int64_t>()));
  in.number<std::uint32_t>();
  const auto checksum = in.number<std::uint32_t>();
  if (!in.ok() || checksum != crc32c(octets.substr(0, kSegmentHeaderSize - kChecksumSize))) {
    return fail(Code::kInvalid, "the segment's header is damaged");
  }
  return header;
}

std::array<char, kFrameHeaderSize> format_frame(RecordType type, std::uint64_t subject, std::span<const Bytes> payload,
                                                std::uint32_t seed) {
  std::size_t length = 0;
  std::uint32_t checksum = seed;
  for (const Bytes piece : payload) {
    length += piece.size();
    checksum = crc32c(piece, checksum);
  }
  std::array<char, kFrameHeaderSize> octets;
  form(octets.data(), type, subject, static_cast<std::uint32_t>(length), checksum, seed);
  return octets;
}

void write_frame(char* frame, RecordType type, std::uint64_t subject, std::uint32_t length, std::uint32_t seed) {
  form(frame, type, subject, length, crc32c(Bytes(frame + kFrameHeaderSize, length), seed), seed);
}

std::optional<FrameHeader> parse_frame_header(Bytes octets, std::uint32_t seed) {
  OctetReader in(octets);
  FrameHeader header;
  header.length = in.number<std::uint32_t>();
  const auto type = in.number<std::uint8_t>();
  const auto reserved = in.number<std::uint8_t>() | in.number<std::uint16_t>();
  header.type = static_cast<RecordType>(type);
  header.subject = in.number<std::uint64_t>();
  header.payload_checksum = in.number<std::uint32_t>();
  const auto checksum = in.number<std::uint32_t>();
  // The cheap checks first: a search for the next record asks at every octet.
  if (!in.ok() || reserved != 0 || type == 0 || header.length > kMaxPayload) return std::nullopt;
  if (checksum != crc32c(octets.substr(0, kFrameHeaderSize - kChecksumSize), seed)) return std::nullopt;
  return header;
}

bool payload_intact(const FrameHeader& header, Bytes payload, std::uint32_t seed) {
  return payload.size() == header.length && crc32c(payload, seed) == header.payload_checksum;
}

}  // namespace sluice::capture

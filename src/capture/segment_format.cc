#include "capture/segment_format.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "capture/octets.h"

namespace sluice::capture {
namespace {

constexpr Bytes kMagic("SLUICE\r\n", 8);  // the line end shows a transfer that changed line ends
constexpr std::size_t kChecksumSize = 4;

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
  out.number(kSegmentVersion);
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
  if (version > kSegmentVersion) {
    return fail(Code::kInvalid,
                fmt::format("a segment of version {}; this program reads up to {}", version, kSegmentVersion));
  }
  in.number<std::uint32_t>();
  SegmentHeader header;
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

std::array<char, kFrameHeaderSize> format_frame_header(const FrameHeader& header, std::uint32_t seed) {
  std::array<char, kFrameHeaderSize> octets{};
  OctetWriter out(octets.data());
  out.number(header.length);
  out.number(static_cast<std::uint8_t>(header.type));
  out.number(std::uint8_t{0});
  out.number(std::uint16_t{0});
  out.number(header.subject);
  out.number(header.payload_checksum);
  out.number(crc32c(Bytes(octets.data(), octets.size() - kChecksumSize), seed));
  return octets;
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

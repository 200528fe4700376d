#include "capture/record_seal.h"

#include <array>

#include "capture/octets.h"

namespace sluice::capture {
namespace {

// What the frame says but for its checksums: length, type, subject.
std::array<char, 16> bound_to(std::uint32_t length, RecordType type, std::uint64_t subject) {
  std::array<char, 16> octets;
  OctetWriter out(octets.data());
  out.number(length);
  out.number(static_cast<std::uint32_t>(type));
  out.number(subject);
  return octets;
}

}  // namespace

bool RecordSeal::write(char* frame, RecordType type, std::uint64_t subject, Bytes payload, ByteCount offset,
                       std::uint32_t seed) {
  const auto length = static_cast<std::uint32_t>(payload.size() + kTagSize);
  const auto bound = bound_to(length, type, subject);
  if (!aead_.seal(counter_nonce(offset), Bytes(bound.data(), bound.size()), payload, frame + kFrameHeaderSize)) {
    return false;
  }
  write_frame(frame, type, subject, length, seed);
  return true;
}

bool RecordSeal::open(const FrameHeader& header, ByteCount offset, Bytes sealed, std::string& plain) {
  if (sealed.size() < kTagSize) return false;
  plain.resize(sealed.size() - kTagSize);
  const auto bound = bound_to(header.length, header.type, header.subject);
  return aead_.open(counter_nonce(offset), Bytes(bound.data(), bound.size()), sealed, plain.data());
}

}  // namespace sluice::capture

// Payloads of the records of one segment, sealed with AES-256-GCM (docs/formats/segment.md, "Sealed segments"). Each
// segment has a key of its own, made of its salt and its number; a record's nonce is its offset, at which only one is
// ever written: no writer goes on in a segment that another one, or an error, has left. Frames stay in clear and are
// what the seal is bound to. Belongs to one thread.
#pragma once

#include <string>

#include "base/aead.h"
#include "capture/segment.h"

namespace sluice::capture {

class RecordSeal {
 public:
  RecordSeal(const SealKey& key, const SegmentHeader& header, Aead::Use use) : aead_(key(header).view(), use) {}

  // A whole record at `frame`, which has room for its frame, `payload` and kTagSize octets. False: there is no memory.
  [[nodiscard]] bool write(char* frame, RecordType type, std::uint64_t subject, Bytes payload, ByteCount offset,
                           std::uint32_t seed);
  // The payload in clear, in `plain`. False: it is none of this segment's, or stood elsewhere, or was altered.
  [[nodiscard]] bool open(const FrameHeader& header, ByteCount offset, Bytes sealed, std::string& plain);

 private:
  Aead aead_;
};

// Octets that a record's payload takes beyond what it says: where records are sealed, their tags.
inline std::size_t seal_overhead(RecordType type, bool sealed) {
  return sealed && type != RecordType::kSession ? kTagSize : 0;
}

}  // namespace sluice::capture

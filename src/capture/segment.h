// Append-only files of framed records: the ring's spool today, recordings too. docs/formats/segment.md is the format.
// Forming is pure; a reader reads a base/file.h and belongs to one thread.
//
//   format_segment_header({number, salt, now})              // once, then for each record:
//   format_frame(RecordType::kResponseBody, seq, pieces, checksum_seed(salt))   // and the pieces behind it
//
// Those of encrypted recordings are sealed: what stands in payloads can be read with their key alone.
//
//   auto reader = SegmentReader::create(*file);          // or with the key
//   for (;;) switch (reader->next()) …                      // damage is reported and skipped, never an end of it all
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "base/secret.h"

namespace sluice::capture {

inline constexpr std::uint32_t kSegmentVersion = 1, kSealedSegmentVersion = 2;
inline constexpr std::size_t kSegmentHeaderSize = 48;
inline constexpr std::size_t kFrameHeaderSize = 24;
inline constexpr ByteCount kSegmentBlock = 4 * kKiB;  // while it is written it ends in zeros up to a multiple of this
// Of one payload. Heads are bounded well below; a length beyond it is damage.
inline constexpr ByteCount kMaxPayload = 16 * kMiB;

// `subject` is the exchange's seq, but for kConnection and kUpstream, where it is their own id.
enum class RecordType : std::uint8_t {
  kConnection = 1,
  kUpstream = 2,
  kOpened = 3,
  kRequestSent = 4,
  kResponded = 5,
  kRequestBody = 6,
  kResponseBody = 7,
  kRequestTrailers = 8,
  kResponseTrailers = 9,
  kEnded = 10,
  kMessage = 11,
  kSession = 12,  // of a recording: what its manifest says of it (docs/formats/session.md)
};

struct SegmentHeader {
  std::uint64_t number = 0;
  std::uint64_t salt = 0;  // random: seeds every checksum, so that no peer can write octets that pass for a record
  WallTime created;
  bool sealed = false;  // payloads of all records but kSession are encrypted (record_seal.h)
};

// The key of one segment, of what its header says: kKeySize octets.
using SealKey = std::function<Secret(const SegmentHeader& header)>;
class RecordSeal;

// What every checksum of a segment starts from.
std::uint32_t checksum_seed(std::uint64_t salt);

std::array<char, kSegmentHeaderSize> format_segment_header(const SegmentHeader& header);
// What stands before the payload, which is all pieces one behind the other.
std::array<char, kFrameHeaderSize> format_frame(RecordType type, std::uint64_t subject, std::span<const Bytes> payload,
                                                std::uint32_t seed);

// The same where the payload stands already: behind the room for the frame at `frame`.
void write_frame(char* frame, RecordType type, std::uint64_t subject, std::uint32_t length, std::uint32_t seed);

struct FrameHeader {
  std::uint32_t length = 0;  // of the payload
  RecordType type = RecordType::kOpened;
  std::uint64_t subject = 0;
  std::uint32_t payload_checksum = 0;
};
// nullopt: not a header of this segment. `octets` has kFrameHeaderSize octets.
std::optional<FrameHeader> parse_frame_header(Bytes octets, std::uint32_t seed);
bool payload_intact(const FrameHeader& header, Bytes payload, std::uint32_t seed);

// Where a record lies, header included.
struct FramePlace {
  ByteCount offset = 0;
  std::uint32_t length = 0;
};

class SegmentReader {
 public:
  enum class Step { kRecord, kDamage, kEnd };
  struct Record {
    RecordType type = RecordType::kOpened;
    std::uint64_t subject = 0;
    FramePlace place;
    Bytes payload;        // valid until the next call of next()
    bool sealed = false;  // it is what stands on disk: there was no key to open it
  };
  struct Damage {
    ByteCount offset = 0, length = 0;
    bool torn = false;  // the file ends inside: the rest of a write that never finished
  };

  // kInvalid: not a segment, or of a later version. The file must outlive the reader. `key`: of a recording that is
  // encrypted; a segment in clear is none of its then (kRefused), and a record that it does not open is damage. Without
  // it what is sealed stays so.
  static Result<SegmentReader> create(const File& file, const SealKey* key = nullptr);
  SegmentReader(SegmentReader&&) noexcept;
  SegmentReader& operator=(SegmentReader&&) noexcept;
  ~SegmentReader();

  // kIo: the file could not be read; the reader stays where it was.
  Result<Step> next();
  const SegmentHeader& header() const { return header_; }
  const Record& record() const { return record_; }
  const Damage& damage() const { return damage_; }
  ByteCount position() const { return position_; }
  // At kEnd: the zeros at the file's end that are no record, which a writer leaves that did not come to close it.
  ByteCount padding() const { return padding_; }

 private:
  explicit SegmentReader(const File& file);
  Result<Bytes> view(ByteCount offset, std::size_t length);
  Result<bool> read_record();
  Result<bool> ends_in_padding();
  Result<Step> skip_damage(ByteCount from);

  const File* file_;
  SegmentHeader header_;
  std::uint32_t seed_ = 0;
  ByteCount size_ = 0, position_ = 0, padding_ = 0;
  std::string window_;
  ByteCount window_offset_ = 0;
  std::optional<FrameHeader> damaged_;  // its header is intact, its payload is not
  std::unique_ptr<RecordSeal> seal_;    // null: nothing is opened
  std::string opened_;
  Record record_;
  Damage damage_;
};

}  // namespace sluice::capture

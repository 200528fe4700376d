// Any octets: the reader ends, and what it says lies in the file, in order, without overlap. Records that were written
// and then damaged in one place, sealed or in clear: every record that was not touched is read as it was.
#include <cstdlib>

#include "capture/capture_test_support.h"
#include "capture/record_seal.h"
#include "capture/records.h"
#include "capture/segment.h"

namespace {

using namespace sluice;
using namespace sluice::capture;

void check(bool holds) {
  if (!holds) std::abort();
}

struct Seen {
  FramePlace place;
  std::string payload;
};

// What the payload says must not crash anyone either.
void parse_all(Bytes payload) {
  (void)parse_opened(payload);
  (void)parse_responded(payload);
  (void)parse_ended(payload);
  (void)parse_message(payload);
  if (const auto connection = parse_connection(payload)) {
    const std::string again = format_connection(*connection);
    const auto twice = parse_connection(again);
    check(twice && format_connection(*twice) == again);
  }
  if (const auto upstream = parse_upstream(payload)) {
    const std::string again = format_upstream(*upstream);
    const auto twice = parse_upstream(again);
    check(twice && format_upstream(*twice) == again);
  }
}

Secret key_of(const SegmentHeader&) { return Secret(std::string(kKeySize, 'k')); }

std::vector<Seen> read_all(FakeFileSystem& disk, const std::string& content, const SealKey* key = nullptr) {
  std::vector<Seen> seen;
  disk.put("/s/read", content);
  const auto file = disk.open("/s/read", OpenMode::kRead);
  auto reader = SegmentReader::create(**file, key);
  if (!reader) return seen;
  ByteCount at = kSegmentHeaderSize;
  for (;;) {
    const auto step = reader->next();
    check(step.has_value());
    if (*step == SegmentReader::Step::kEnd) break;
    const bool damaged = *step == SegmentReader::Step::kDamage;
    const ByteCount offset = damaged ? reader->damage().offset : reader->record().place.offset;
    const ByteCount length = damaged ? reader->damage().length : reader->record().place.length;
    check(offset == at && length > 0);
    at += length;
    if (!damaged) seen.push_back({reader->record().place, std::string(reader->record().payload)});
    if (!damaged) parse_all(reader->record().payload);
  }
  check(reader->padding() < kSegmentBlock);
  check(at + reader->padding() == std::max<ByteCount>(content.size(), kSegmentHeaderSize));
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8 || size > 64 * 1024) return 0;
  const Bytes input(reinterpret_cast<const char*>(data), size);
  FakeFileSystem disk;
  disk.add_directory("/s");
  const SealKey key = key_of;
  read_all(disk, std::string(input));
  read_all(disk, std::string(input), &key);
  parse_all(input);

  // The first octets say where the damage is and how long the payloads are; the rest is what they hold.
  const bool sealed = data[3] >= 128;
  const SegmentHeader header{1, 0x5eed, WallTime(), sealed};
  SegmentText segment(header);
  RecordSeal seal(key, header, Aead::Use::kSeal);
  std::vector<Seen> written;
  for (Bytes rest = input.substr(6); !rest.empty();) {
    const std::size_t length = static_cast<unsigned char>(rest.front()) * 3;
    const Bytes payload = rest.substr(1, length);
    rest.remove_prefix(1 + payload.size());
    const auto type = static_cast<RecordType>(1 + payload.size() % 11);
    if (!sealed) {
      written.push_back({segment.add(type, written.size(), payload), std::string(payload)});
      continue;
    }
    const std::size_t at = segment.octets.size(), span = kFrameHeaderSize + payload.size() + kTagSize;
    segment.octets.resize(at + span);
    check(seal.write(segment.octets.data() + at, type, written.size(), payload, at, segment.seed));
    written.push_back({{at, static_cast<std::uint32_t>(span)}, std::string(payload)});
  }
  std::string content = segment.octets;
  const std::size_t room = content.size() - kSegmentHeaderSize;
  const std::size_t from = kSegmentHeaderSize + (data[0] * 256u + data[1]) % room;
  const std::size_t until = std::min<std::size_t>(content.size(), from + data[2] % 64);
  const bool cut = data[3] % 4 == 0;
  if (cut) content.resize(from);
  for (std::size_t at = from; !cut && at < until; ++at) content[at] = static_cast<char>(content[at] ^ data[4 + at % 2]);
  const auto found = read_all(disk, content, sealed ? &key : nullptr);
  std::size_t next = 0;
  for (const Seen& record : written) {
    const ByteCount end = record.place.offset + record.place.length;
    const bool touched = cut ? end > from : record.place.offset < until && end > from;
    if (next < found.size() && found[next].place.offset == record.place.offset) {
      check(found[next++].payload == record.payload);  // damage that changed nothing
    } else {
      check(touched);
    }
  }
  check(next == found.size());
  return 0;
}

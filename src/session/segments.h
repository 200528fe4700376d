// The segments of a session's directory, as they lie there. Private to this folder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "capture/record_seal.h"
#include "capture/segment.h"
#include "session/keys.h"
#include "session/row.h"

namespace sluice::session {

// Numbers, ascending. Other files are none of ours.
Result<std::vector<std::uint32_t>> list_segments(FileSystem& files, const std::string& directory);

// Opens a segment's records, or seals them: with the key of an encrypted recording, null where it is none.
capture::SealKey seal_key(const SessionKeyPtr& key);
Result<capture::SegmentReader> read_segment(const File& file, const SessionKeyPtr& key);

// A segment that is read here and there, while it may still be written. One thread at a time.
class SegmentFile {
 public:
  // kNotFound: it was dropped; kInvalid: no segment, or of a later version; kRefused: it is sealed and there is no
  // key, or it is not and there is one.
  static Result<SegmentFile> open(FileSystem& files, const std::string& directory, std::uint32_t number,
                                  const SessionKeyPtr& key);

  // The payload of the record that stands there. kIo: damaged.
  Result<std::string> read(const Place& place) const;

  // Records of `subject` in a run: `wanted` is asked with the frame alone, before the payload is read. Ends at damage.
  struct Frame {
    capture::RecordType type = capture::RecordType::kOpened;
    std::uint32_t length = 0;  // of the payload, in clear
  };
  using Wanted = std::function<bool(const Frame& frame)>;
  using Visit = std::function<bool(const Frame& frame, Bytes payload)>;  // false: no more
  // What was read last. Whoever visits runs in their order keeps one, and reads ahead with it.
  struct Window {
    const SegmentFile* of = nullptr;
    ByteCount at = 0;
    std::string octets;
  };
  // False: `visit` said so, or what stands there is damaged.
  Result<bool> visit(const Place& run, std::uint64_t subject, const Wanted& wanted, const Visit& visit,
                     Window& window) const;
  Result<bool> visit(const Place& run, std::uint64_t subject, const Wanted& wanted, const Visit& visit) const {
    Window own;
    return this->visit(run, subject, wanted, visit, own);
  }

 private:
  Status move_to(Window& window, ByteCount at, ByteCount end) const;

  std::unique_ptr<File> file_;
  std::uint32_t seed_ = 0;
  std::unique_ptr<capture::RecordSeal> seal_;  // null: records stand in clear
};

}  // namespace sluice::session

// The text of bodies as a search first looks at it: both bodies of a row, decoded, as fast as they can be read. Whoever
// finds something here reads it again with its masks (analysis/body.h). Belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/file.h"
#include "session/row.h"
#include "session/segments.h"

namespace sluice::session {

inline constexpr ByteCount kMostText = 8 * kMiB;  // of one body, decoded

// No text: its beginning holds a NUL.
inline bool is_binary(Bytes body) { return body.substr(0, 512).find('\0') != Bytes::npos; }

struct BodyTexts {
  std::string request, response;
};

class BodyTextReader {
 public:
  // `key`: null where the recording is not encrypted.
  BodyTextReader(FileSystem& files, std::string directory, SessionKeyPtr key)
      : files_(files), directory_(std::move(directory)), key_(std::move(key)) {}

  // Valid until the next call; null: they cannot be read here, so that nobody knows what is in them.
  const BodyTexts* read(const Row& row);

 private:
  const SegmentFile* segment(std::uint32_t number);

  FileSystem& files_;
  const std::string directory_;
  const SessionKeyPtr key_;
  std::unordered_map<std::uint32_t, SegmentFile> segments_;
  SegmentFile::Window window_;  // rows stand in segments in about their order
  BodyTexts texts_;
};

}  // namespace sluice::session

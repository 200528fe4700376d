// Looks through the segments of a session that nobody writes, and makes again what can be made of them: the index, and
// a lost manifest. Segments are never changed: damage is reported and passed over, each time in the same words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "session/manifest.h"

namespace sluice::session {

struct DamagedRange {
  std::uint32_t segment = 0;
  ByteCount offset = 0, length = 0;
  bool torn = false;   // the rest of a write that never finished
  std::string reason;  // of a whole segment that cannot be read; else empty
};

struct RecoveryReport {
  std::string id;
  std::uint64_t segments = 0, records = 0, exchanges = 0;
  std::uint64_t cut_exchanges = 0;  // whose end is not there
  ByteCount bytes = 0;              // of segments
  ByteCount torn_bytes = 0, damaged_bytes = 0;
  std::vector<DamagedRange> damaged;  // the first kMostRanges
  std::uint64_t damaged_ranges = 0;   // all
  bool rebuilt_manifest = false, rebuilt_index = false;
  bool index_agrees = true;  // verify: it has as many rows as the segments have exchanges
  bool encrypted = false;
  bool opened = true;  // false: its key is not known; checksums and frames alone were looked at
  bool good() const { return damaged_ranges == 0 && index_agrees; }
};

inline constexpr std::size_t kMostRanges = 100;

// The key of a recording, and what its manifest says of it; where that is gone, what its segments say.
struct KeyOf {
  std::optional<Encryption> encryption;  // nullopt: it is not encrypted
  SessionKeyPtr key;                     // null: it is not encrypted
};
// `given`: null, or the operator's. kRefused: it is encrypted, and there is no key, or another one; kInvalid: nowhere
// in it is its own key kept undamaged.
Result<KeyOf> find_key(FileSystem& files, const std::string& directory, const std::string& id,
                       const OperatorKeyPtr& given);

// kConflict: a live process writes it (or it is of a newer Sluice); kNotFound; kIo; kRefused, kInvalid: as find_key,
// and nothing was changed. Idempotent.
Result<RecoveryReport> recover(FileSystem& files, const std::string& root, const std::string& id,
                               const std::string& index, const OperatorKeyPtr& given);
// The same look, changing nothing. Without its key checksums alone are looked at; kRefused: another one was given.
Result<RecoveryReport> verify(FileSystem& files, const std::string& root, const std::string& id,
                              const std::string& index, const OperatorKeyPtr& given);

}  // namespace sluice::session

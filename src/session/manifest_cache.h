// Manifests as they were last read, so that a list of thousands of recordings reads those alone that changed. Never
// stale: what is kept counts only as long as the file's stamp is the same (base/file.h), whoever writes it. Bounded.
// Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/file.h"
#include "session/manifest.h"

namespace sluice::session {

class ManifestCache {
 public:
  // As load_manifest().
  Result<Manifest> load(FileSystem& files, const std::string& directory);
  // Recordings that nobody asked for since the last time are forgotten.
  void forget_unasked();

 private:
  struct Entry {
    FileStamp stamp;
    Manifest manifest;
    std::uint64_t asked = 0;  // in which round
  };
  static constexpr std::size_t kMostEntries = 20'000, kMostText = 1'000;  // some 10 MB, 40 MB at most

  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // by directory
  std::uint64_t round_ = 0;
};

}  // namespace sluice::session

// What passed the last queries of whole recordings, so that pages and totals of the same query are asked for once.
// Bounded. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "session/index.h"

namespace sluice::session {

// Two queries of one key find the same, in one order or the other.
std::string key_of(const Query& query);

class MatchCache {
 public:
  std::shared_ptr<const Matches> find(std::int64_t index, const std::string& query);
  // `directory`: of the recording.
  void keep(const std::string& directory, std::int64_t index, const std::string& query,
            std::shared_ptr<const Matches> matches);
  // The recording in that directory is gone.
  void forget(const std::string& directory);

 private:
  struct Entry {
    std::string directory;
    std::int64_t index = 0;
    std::string query;
    std::shared_ptr<const Matches> matches;
  };
  static constexpr std::size_t kMostRows = 4'000'000, kMostEntries = 100;  // of 16 octets: 64 MB

  std::mutex mutex_;
  std::list<Entry> entries_;  // the one that was used last first
  std::size_t rows_ = 0;
};

}  // namespace sluice::session

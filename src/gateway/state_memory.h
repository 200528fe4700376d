// What a home remembers of the Redis where its gate keeps who may act (redis_state.h): the mark beside the rows, and
// how far they had come. So a Redis that was emptied, put back or replaced is noticed by the next process, too. In
// state.db; made by the first to remember. One thread at a time. Errors: kIo.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/sqlite_file.h"

namespace sluice::gateway {

class StateMemory {
 public:
  explicit StateMemory(std::string path);

  struct Known {
    std::string mark;
    std::int64_t version = 0;  // the newest that was seen
  };
  Result<std::optional<Known>> find(const std::string& place);
  // Of a place that is known already only a newer version counts.
  Status remember(const std::string& place, const Known& known);
  // True: there was something to forget.
  Result<bool> forget(const std::string& place);
  Result<std::vector<std::string>> places();

 private:
  Status open(SqliteFile::IfMissing missing);
  SqliteFile file_;
};

}  // namespace sluice::gateway

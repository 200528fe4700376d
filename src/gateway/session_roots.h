// The directories that hold recordings, in `state.db`: what storage_dir named once is looked through ever after
// (engine.md 10). Thread-safe; shared with other processes.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "gateway/sqlite_file.h"
#include "session/session.h"

namespace sluice::gateway {

class SessionRoots final : public session::RootArchive {
 public:
  explicit SessionRoots(std::string state_db);
  Result<std::vector<std::string>> roots() override;
  Status add_root(const std::string& path) override;

 private:
  Status open(SqliteFile::IfMissing missing);

  std::mutex mutex_;
  SqliteFile file_;
};

}  // namespace sluice::gateway

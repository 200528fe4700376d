// `$SLUICE_HOME/state.db` (SQLite, 0600, WAL): what survives a restart and is no recording; today the rules made with
// `persist`. Shared by any number of processes: a writer waits up to 5 s for another (engine.md 9). The file is made by
// the first write. Calls may come from any thread.
#pragma once

#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "gateway/sqlite_file.h"
#include "rules/rule_archive.h"

namespace sluice::gateway {

class StateDb final : public rules::RuleArchive {
 public:
  explicit StateDb(std::string path);

  Status change(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove) override;
  Result<std::vector<rules::SavedRule>> load(std::vector<std::string>& problems) override;

 private:
  Status open(SqliteFile::IfMissing missing);
  Status prepare_schema();
  Status write(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove);

  std::mutex mutex_;
  SqliteFile file_;
};

}  // namespace sluice::gateway

// `$SLUICE_HOME/state.db` (SQLite, 0600, WAL): what survives a restart and is no recording; today the rules made with
// `persist`. Shared by any number of processes: a writer waits up to 5 s for another (engine.md 9). The file is made by
// the first write. Calls may come from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "rules/rule_archive.h"

struct sqlite3;

namespace sluice::gateway {

class StateDb final : public rules::RuleArchive {
 public:
  explicit StateDb(std::string path);
  ~StateDb() override;
  StateDb(const StateDb&) = delete;
  StateDb& operator=(const StateDb&) = delete;

  Status change(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove) override;
  Result<std::vector<rules::SavedRule>> load(std::vector<std::string>& problems) override;

 private:
  enum class IfMissing { kCreate, kLeave };
  // kNotFound: there is no file, and none was to be made.
  Status open(IfMissing missing);
  Status prepare_schema();
  Status run(const char* sql);
  Status write(rules::SavedRule& rule);
  Status erase(std::int64_t row);
  Error error(std::string_view doing) const;

  const std::string path_;
  std::mutex mutex_;
  sqlite3* db_ = nullptr;
};

}  // namespace sluice::gateway

// Counters of limits in `$SLUICE_HOME/state.db` (SQLite, WAL), shared by any number of processes: one transaction for
// each reservation, so exactly `max` calls are admitted whoever asks. It survives kill -9 at once (the transaction is
// in the log file before the call runs) and a power loss but for what sync() has not yet written. gate.md 4.
// A connection of its own; the file is made by the first reservation. Calls may come from any thread. What cannot be
// read or is damaged is an error, never zero.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "policy/state_store.h"

struct sqlite3;

namespace sluice::gateway {

class PolicyStore final : public policy::StateStore {
 public:
  // `patience`: how long to wait for another process's transaction.
  explicit PolicyStore(std::string path, std::chrono::milliseconds patience = std::chrono::seconds(2));
  ~PolicyStore() override;
  PolicyStore(const PolicyStore&) = delete;
  PolicyStore& operator=(const PolicyStore&) = delete;

  Result<std::variant<policy::Reservation, policy::LimitReached>> reserve(std::span<const policy::LimitUse> uses,
                                                                          WallTime now) override;
  Status give_back(policy::Reservation& reservation) override;
  // To the disk itself, if anything changed since the last time.
  Status sync();

 private:
  struct Statements;
  Status open();
  Status prepare_schema();
  Status run(const char* sql);
  Error error(std::string_view doing) const;
  void close();
  // Within BEGIN IMMEDIATE; rolls back if `work` fails.
  template <class Work>
  auto transact(const Work& work) -> decltype(work());
  Result<policy::Buckets> load(const std::string& key);
  Status save(const std::string& key, const policy::Buckets& buckets);

  const std::string path_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  sqlite3* db_ = nullptr;
  std::unique_ptr<Statements> statements_;
  bool dirty_ = false;
};

}  // namespace sluice::gateway

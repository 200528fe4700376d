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

#include "gateway/sqlite_file.h"
#include "policy/state_store.h"

namespace sluice::gateway {

class PolicyStore final : public policy::StateStore {
 public:
  // `patience`: how long to wait for another process's transaction.
  explicit PolicyStore(std::string path, std::chrono::milliseconds patience = std::chrono::seconds(2));

  Result<std::variant<policy::Reservation, policy::LimitReached>> reserve(std::span<const policy::LimitUse> uses,
                                                                          WallTime now) override;
  Status give_back(policy::Reservation& reservation) override;
  Status sync() override;

 private:
  struct Statements;  // kept prepared: a reservation is a few of them
  Status open();
  Status prepare_schema();
  // `work` in one transaction.
  template <class Work>
  auto transact(const Work& work) -> decltype(work());
  Result<policy::Buckets> load(const std::string& key);
  Status save(const std::string& key, const policy::Buckets& before, const policy::Buckets& after);

  std::mutex mutex_;
  SqliteFile file_;
  std::shared_ptr<Statements> statements_;  // gone before the file
  bool dirty_ = false;
};

}  // namespace sluice::gateway

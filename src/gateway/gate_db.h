// The state of the gate in `$SLUICE_HOME/state.db` (gate_rows.h), shared by the processes of one home. One connection;
// changes are on the disk before they are answered. The file is made by the first change. What has changed is asked of
// the bell beside it (gate_bell.h), and of SQLite itself five times a second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "gateway/gate_bell.h"
#include "gateway/gate_rows.h"
#include "gateway/sqlite_file.h"

namespace sluice::gateway {

class GateDb final : public GateRows {
 public:
  explicit GateDb(std::string path, std::chrono::milliseconds patience = std::chrono::seconds(2));

  // A change that the bell does not tell of (another version's, a file that was damaged) is known after this.
  static constexpr std::chrono::milliseconds kBellTrusted{200};

  Result<std::int64_t> revision(Part part) override;
  Result<std::vector<Grant>> grants() override;
  Result<std::string> admin_hash() override;
  Result<std::optional<Approval>> standing_approval(const std::string& grant, const std::string& digest,
                                                    std::int64_t after_ms) override;
  Result<Waiting> count_waiting(const std::string& grant, std::int64_t after_ms) override;
  Result<std::vector<Approval>> live_approvals(std::int64_t after_ms, Arguments arguments) override;
  Result<std::optional<Approval>> approval(const std::string& id) override;
  Result<std::vector<Pin>> pins(const std::string& server, const std::string& target) override;

  Status put(const Grant& grant) override;
  Status put(const Approval& approval) override;
  Status put(const Pin& pin) override;
  Status put_admin_hash(const std::string& hash) override;
  Status retire_approvals(std::int64_t now_ms, std::int64_t kept_ms) override;

 private:
  struct Statements;
  // kConflict: another version's file; kIo.
  Status open();
  Result<bool> open_if_present();
  Status prepare_schema();
  Status transact(std::optional<Part> tells, const std::function<Status()>& work) override;
  Result<std::int64_t> count(Part part);  // the new revision
  Result<std::int64_t> read_revision(Part part);
  Status write(Statement& statement);
  // What a question finds; without a file that is nothing.
  template <class Bind, class Read>
  Status each_row(const std::string& question, const Bind& bind, const Read& read);

  struct Known {
    std::optional<std::uint64_t> word;  // of the bell, before it was read
    std::int64_t revision = 0;
    std::chrono::steady_clock::time_point read{};
  };

  SqliteFile file_;
  GateBell bell_;
  std::array<Known, GateBell::kParts> known_;
  std::shared_ptr<Statements> statements_;  // gone before the file
  bool wrote_ = false;                      // in the change under way
};

}  // namespace sluice::gateway

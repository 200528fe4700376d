// The part of `$SLUICE_HOME/state.db` that says who may act: the admin credential's hash, grants, approvals, pins, and
// a revision of each that tells other processes that it changed. One connection; the stores on it (grant_store.h,
// approval_store.h, pin_store.h) are used by one thread at a time. Changes are on the disk before they are answered.
// gate.md 2, 5.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "gateway/sqlite_file.h"

namespace sluice::gateway {

class GateDb {
 public:
  enum class Part { kGrants, kApprovals, kPins };
  explicit GateDb(std::string path, std::chrono::milliseconds patience = std::chrono::seconds(2));

  // Makes the file, where it is missing. kConflict: another version's; kIo.
  Status open();
  // False: there is none yet.
  Result<bool> open_if_present();
  // How often the part has changed, by any process; 0 without a file.
  Result<std::int64_t> revision(Part part);
  // `work` in one transaction of its own that counts as a change of the part.
  template <class Work>
  auto change(Part part, const Work& work) -> decltype(work()) {
    SLUICE_CHECK(open());
    return file_.transact([&]() -> decltype(work()) {
      auto done = work();
      if (done) SLUICE_CHECK(count(part));
      return done;
    });
  }
  SqliteFile& file() { return file_; }

 private:
  struct Statements;
  Status prepare_schema();
  Status count(Part part);

  SqliteFile file_;
  std::shared_ptr<Statements> statements_;  // gone before the file
};

}  // namespace sluice::gateway

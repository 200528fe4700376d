// One connection to a SQLite file (0600, WAL), shared by any number of processes, and its statements. The only wrapper
// of SQLite. One thread at a time: who owns it locks.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::sqlite {

class SqliteFile {
 public:
  enum class IfMissing { kCreate, kLeave };
  enum class Sync { kNormal, kFull };  // what survives a power loss: all but the newest transactions, or all
  // `patience`: how long to wait for another process's transaction.
  // `page_size`: of a file that is made, in octets; a power of two from 512 to 65,536.
  SqliteFile(std::string path, std::chrono::milliseconds patience, Sync sync, int page_size = 4096);
  ~SqliteFile();
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;

  // Does nothing where it is open. `prepare` makes the tables that are missing; if that fails it is closed again.
  // kNotFound: there is no file, and none was to be made; kIo.
  Status open(IfMissing missing, const std::function<Status()>& prepare);
  bool is_open() const { return db_ != nullptr; }
  // As it lies there, never changed. kNotFound; kIo.
  Status open_read_only();
  Status run(const char* sql);
  std::int64_t changes() const;  // rows that the last statement changed
  // What SQLite said last: "… cannot be read: …".
  Error error(std::string_view doing) const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return db_; }

  // `work` in one transaction, undone where it fails. It answers a Status or a Result.
  template <class Work>
  auto transact(const Work& work) -> decltype(work()) {
    SLUICE_CHECK(run(Bound::kBegin));
    auto done = work();
    Status ended = run(done ? Bound::kCommit : Bound::kRollback);
    if (done && !ended) {
      (void)run(Bound::kRollback);
      return fail(std::move(ended).error());
    }
    return done;
  }

 private:
  Status find_or_make(IfMissing missing) const;
  Status connect(const std::function<Status()>& prepare);
  Status change_to_wal();
  // The bounds of a transaction, prepared once: SQLite would parse them each time.
  enum class Bound { kBegin, kCommit, kRollback };
  Status run(Bound bound);
  void close();

  const std::string path_;
  const std::chrono::milliseconds patience_;
  const Sync sync_;
  const int page_size_;
  sqlite3* db_ = nullptr;
  std::array<sqlite3_stmt*, 3> bounds_{};  // by Bound
};

// Finalised with its scope, which must end before the file's. What is bound stays until it is bound anew; texts must
// live until the next step.
class Statement {
 public:
  enum class Life { kOnce, kKept };
  Statement(const SqliteFile& file, const char* sql, Life life = Life::kOnce);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool is_good() const { return statement_ != nullptr; }
  void bind(int at, std::int64_t value);
  void bind_null(int at);
  void bind_text(int at, const std::string& text);
  void bind_blob(int at, const std::string& octets);
  enum class Step { kRow, kDone, kFailed };
  Step step();
  void reset();
  bool run();  // to its end, and ready for the next time; false: it failed
  std::int64_t integer(int column);
  bool is_null(int column);
  std::string text(int column);
  std::string blob(int column);
  Bytes octets(int column);  // of a blob, where they stand: valid until the next step

 private:
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace sluice::sqlite

#include "sqlite/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

namespace sluice::sqlite {
namespace {

// Before the first connection: counting memory costs a lock for each piece of it.
void count_no_memory() {
  static const int kDone = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)kDone;
}

}  // namespace

SqliteFile::SqliteFile(std::string path, std::chrono::milliseconds patience, Sync sync, int page_size)
    : path_(std::move(path)), patience_(patience), sync_(sync), page_size_(page_size) {}

SqliteFile::~SqliteFile() { close(); }

void SqliteFile::close() {
  for (sqlite3_stmt*& bound : bounds_) sqlite3_finalize(std::exchange(bound, nullptr));
  sqlite3_close(db_);
  db_ = nullptr;
}

Error SqliteFile::error(std::string_view doing) const {
  const char* reason = db_ ? sqlite3_errmsg(db_) : "out of memory";
  return {Code::kIo, fmt::format("{} cannot be {}: {}; if it is damaged, move it away", path_, doing, reason)};
}

Status SqliteFile::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(error("used"));
  return {};
}

Status SqliteFile::run(Bound bound) {
  constexpr std::array<const char*, 3> kTexts{"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};
  const auto at = static_cast<std::size_t>(bound);
  sqlite3_stmt*& statement = bounds_[at];
  if (!statement) sqlite3_prepare_v3(db_, kTexts[at], -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  const bool done = statement && sqlite3_step(statement) == SQLITE_DONE;
  Status ended = done ? Status() : fail(error("used"));
  sqlite3_reset(statement);
  return ended;
}

// A file that is there is only looked at: closing a descriptor of it would drop the locks that other connections of
// this process hold (POSIX), and the next process to leave would take the log away from under them.
Status SqliteFile::find_or_make(IfMissing missing) const {
  const auto failed = [this] {
    return fail(Code::kIo, fmt::format("{} cannot be opened: {}", path_, errno_text(errno)));
  };
  if (missing == IfMissing::kCreate) {
    // SQLite would make it readable for all that the umask allows; its -wal and -shm get the mode of this.
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
      ::close(fd);
      return {};
    }
    if (errno != EEXIST) return failed();
  }
  struct stat info {};
  if (::lstat(path_.c_str(), &info) != 0) {
    return errno == ENOENT ? fail(Code::kNotFound, path_ + " does not exist") : failed();
  }
  if (!S_ISREG(info.st_mode)) return fail(Code::kIo, path_ + " cannot be opened: it is no regular file");
  if (::access(path_.c_str(), R_OK | W_OK) != 0) return failed();
  return {};
}

Status SqliteFile::open(IfMissing missing, const std::function<Status()>& prepare) {
  if (db_) return {};
  SLUICE_CHECK(find_or_make(missing));
  Status done = connect(prepare);
  if (!done) close();
  return done;
}

Status SqliteFile::connect(const std::function<Status()>& prepare) {
  count_no_memory();
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  if (sqlite3_open_v2(path_.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) return fail(error("opened"));
  sqlite3_busy_timeout(db_, static_cast<int>(patience_.count()));
  SLUICE_CHECK(run(fmt::format("PRAGMA page_size = {}", page_size_).c_str()));
  SLUICE_CHECK(change_to_wal());
  SLUICE_CHECK(run(sync_ == Sync::kFull ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
  return prepare();
}

// Where two connections change a new file at once SQLite asks neither to wait: one of them is told that it is busy.
Status SqliteFile::change_to_wal() {
  constexpr std::chrono::milliseconds kPause{2};
  for (std::chrono::milliseconds waited{0};; waited += kPause) {
    Status changed = run("PRAGMA journal_mode = WAL");
    if (changed || sqlite3_errcode(db_) != SQLITE_BUSY || waited >= patience_) return changed;
    std::this_thread::sleep_for(kPause);
  }
}

Status SqliteFile::open_read_only() {
  if (db_) return {};
  if (::access(path_.c_str(), F_OK) != 0) return fail(Code::kNotFound, path_ + " does not exist");
  count_no_memory();
  constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  if (sqlite3_open_v2(path_.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) {
    Error failed = error("opened");
    close();
    return fail(std::move(failed));
  }
  sqlite3_busy_timeout(db_, static_cast<int>(patience_.count()));
  return {};
}

std::int64_t SqliteFile::changes() const { return sqlite3_changes64(db_); }

Statement::Statement(const SqliteFile& file, const char* sql, Life life) {
  const unsigned flags = life == Life::kKept ? SQLITE_PREPARE_PERSISTENT : 0;
  sqlite3_prepare_v3(file.handle(), sql, -1, flags, &statement_, nullptr);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
void Statement::bind_null(int at) { sqlite3_bind_null(statement_, at); }
void Statement::bind_text(int at, const std::string& text) {
  sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::bind_blob(int at, const std::string& octets) {
  sqlite3_bind_blob64(statement_, at, octets.data(), octets.size(), SQLITE_STATIC);
}

Statement::Step Statement::step() {
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return Step::kRow;
    case SQLITE_DONE:
      return Step::kDone;
    default:
      return Step::kFailed;
  }
}

void Statement::reset() { sqlite3_reset(statement_); }

bool Statement::run() {
  const bool done = step() == Step::kDone;
  reset();
  return done;
}

std::int64_t Statement::integer(int column) { return sqlite3_column_int64(statement_, column); }

bool Statement::is_null(int column) { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::string Statement::blob(int column) {
  const auto* at = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return at ? std::string(at, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

Bytes Statement::octets(int column) {
  const auto* at = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return at ? Bytes(at, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : Bytes();
}

std::string Statement::text(int column) {
  const auto* at = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return at ? std::string(at, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

}  // namespace sluice::sqlite

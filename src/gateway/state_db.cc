#include "gateway/state_db.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "rules/rule_json.h"

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;
constexpr int kBusyMs = 5'000;

// One statement, finalised with its scope.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void bind(int at, const std::string& text) {
    sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  bool is_good() const { return statement_ != nullptr; }
  int step() { return sqlite3_step(statement_); }
  std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) {
    const auto* at = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return at ? std::string(at, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace

StateDb::StateDb(std::string path) : path_(std::move(path)) {}

StateDb::~StateDb() { sqlite3_close(db_); }

Error StateDb::error(std::string_view doing) const {
  const char* reason = db_ ? sqlite3_errmsg(db_) : "out of memory";
  return {Code::kIo, fmt::format("{} cannot be {}: {}; if it is damaged, move it away", path_, doing, reason)};
}

Status StateDb::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(error("used"));
  return {};
}

Status StateDb::open(IfMissing missing) {
  if (db_) return {};
  // SQLite would make it readable for all that the umask allows; its -wal and -shm get the mode of this.
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (missing == IfMissing::kCreate ? O_CREAT : 0);
  const int fd = ::open(path_.c_str(), flags, 0600);
  if (fd < 0) {
    if (errno == ENOENT && missing == IfMissing::kLeave) return fail(Code::kNotFound, path_ + " does not exist");
    return fail(Code::kIo, path_ + " cannot be opened: " + std::strerror(errno));
  }
  ::close(fd);
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW;
  Status done;
  if (sqlite3_open_v2(path_.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) done = fail(error("opened"));
  if (done) {
    sqlite3_busy_timeout(db_, kBusyMs);
    done = prepare_schema();
  }
  if (!done) {
    sqlite3_close(db_);
    db_ = nullptr;
  }
  return done;
}

Status StateDb::prepare_schema() {
  SLUICE_CHECK(run("PRAGMA journal_mode = WAL"));
  SLUICE_CHECK(run("PRAGMA synchronous = FULL"));
  int version = 0;
  {
    Statement asked(db_, "PRAGMA user_version");
    if (!asked.is_good() || asked.step() != SQLITE_ROW) return fail(error("read"));
    version = static_cast<int>(asked.integer(0));
  }
  if (version > kSchema) {
    return fail(Code::kConflict, path_ + " was made by a newer Sluice: use that one, or another --home");
  }
  if (version == kSchema) return {};
  return run(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE IF NOT EXISTS rules (row INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL,"
      " created_ms INTEGER NOT NULL, spec TEXT NOT NULL) STRICT;"
      "PRAGMA user_version = 1;"
      "COMMIT");
}

Status StateDb::change(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove) {
  const std::lock_guard lock(mutex_);
  SLUICE_CHECK(open(IfMissing::kCreate));
  std::vector<rules::SavedRule*> anew;
  for (rules::SavedRule& rule : save) {
    if (rule.row == 0) anew.push_back(&rule);
  }
  SLUICE_CHECK(run("BEGIN IMMEDIATE"));
  Status done;
  for (std::size_t i = 0; done && i < save.size(); ++i) done = write(save[i]);
  for (std::size_t i = 0; done && i < remove.size(); ++i) done = erase(remove[i]);
  if (done) done = run("COMMIT");
  if (!done) {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    for (rules::SavedRule* rule : anew) rule->row = 0;
  }
  return done;
}

Status StateDb::write(rules::SavedRule& rule) {
  const std::string spec = dump_json(rules::spec_json(rule.spec));
  const char* sql = rule.row == 0
                        ? "INSERT INTO rules (number, created_ms, spec) VALUES (?1, ?2, ?3)"
                        : "INSERT OR REPLACE INTO rules (number, created_ms, spec, row) VALUES (?1, ?2, ?3, ?4)";
  Statement statement(db_, sql);
  if (!statement.is_good()) return fail(error("written"));
  statement.bind(1, rule.number);
  statement.bind(2, rule.created_ms);
  statement.bind(3, spec);
  if (rule.row != 0) statement.bind(4, rule.row);
  if (statement.step() != SQLITE_DONE) return fail(error("written"));
  if (rule.row == 0) rule.row = sqlite3_last_insert_rowid(db_);
  return {};
}

Status StateDb::erase(std::int64_t row) {
  Statement statement(db_, "DELETE FROM rules WHERE row = ?1");
  if (!statement.is_good()) return fail(error("written"));
  statement.bind(1, row);
  if (statement.step() != SQLITE_DONE) return fail(error("written"));
  return {};
}

Result<std::vector<rules::SavedRule>> StateDb::load(std::vector<std::string>& problems) {
  const std::lock_guard lock(mutex_);
  std::vector<rules::SavedRule> all;
  const Status opened = open(IfMissing::kLeave);
  if (!opened && opened.error().code == Code::kNotFound) return all;
  SLUICE_CHECK(opened);
  Statement statement(db_, "SELECT row, number, created_ms, spec FROM rules ORDER BY row");
  if (!statement.is_good()) return fail(error("read"));
  int step = statement.step();
  for (; step == SQLITE_ROW; step = statement.step()) {
    rules::SavedRule rule;
    rule.row = statement.integer(0);
    rule.number = static_cast<std::uint32_t>(statement.integer(1));
    rule.created_ms = statement.integer(2);
    const auto json = parse_json(statement.text(3));
    auto spec = json ? rules::spec_from_json(*json) : fail(json.error());
    if (!spec) {
      problems.push_back(fmt::format("rule_{}: {}", rule.number, spec.error().message));
      continue;
    }
    rule.spec = *std::move(spec);
    all.push_back(std::move(rule));
  }
  if (step != SQLITE_DONE) return fail(error("read"));
  return all;
}

}  // namespace sluice::gateway

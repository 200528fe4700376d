#include "gateway/policy_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;
constexpr std::size_t kMaxBuckets = 1'000;  // of one key: 61 are used

}  // namespace

// Kept prepared: a reservation is a few of them.
struct PolicyStore::Statements {
  ~Statements() {
    for (sqlite3_stmt* one : {load, remove, insert}) sqlite3_finalize(one);
  }
  sqlite3_stmt *load = nullptr, *remove = nullptr, *insert = nullptr;
};

PolicyStore::PolicyStore(std::string path, std::chrono::milliseconds patience)
    : path_(std::move(path)), patience_(patience) {}

PolicyStore::~PolicyStore() { close(); }

void PolicyStore::close() {
  statements_.reset();
  sqlite3_close(db_);
  db_ = nullptr;
}

Error PolicyStore::error(std::string_view doing) const {
  const char* reason = db_ ? sqlite3_errmsg(db_) : "out of memory";
  return {Code::kIo, fmt::format("{} cannot be {}: {}", path_, doing, reason)};
}

Status PolicyStore::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(error("used"));
  return {};
}

Status PolicyStore::open() {
  if (db_) return {};
  // SQLite would make it readable for all that the umask allows; its -wal and -shm get the mode of this.
  const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT, 0600);
  if (fd < 0) return fail(Code::kIo, fmt::format("{} cannot be opened: {}", path_, errno_text(errno)));
  ::close(fd);
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW;
  Status done;
  if (sqlite3_open_v2(path_.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) done = fail(error("opened"));
  if (done) {
    sqlite3_busy_timeout(db_, static_cast<int>(patience_.count()));
    done = prepare_schema();
  }
  if (!done) close();
  return done;
}

Status PolicyStore::prepare_schema() {
  SLUICE_CHECK(run("PRAGMA journal_mode = WAL"));
  SLUICE_CHECK(run("PRAGMA synchronous = NORMAL"));
  // The tables of others live in the same file, so the version is in a table of its own.
  SLUICE_CHECK(
      run("BEGIN IMMEDIATE;"
          "CREATE TABLE IF NOT EXISTS policy_schema (version INTEGER NOT NULL) STRICT;"
          "INSERT INTO policy_schema SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM policy_schema);"
          "CREATE TABLE IF NOT EXISTS policy_counters (key BLOB NOT NULL, bucket INTEGER NOT NULL,"
          " used INTEGER NOT NULL, given_back INTEGER NOT NULL, PRIMARY KEY (key, bucket)) STRICT, WITHOUT ROWID;"
          "COMMIT"));
  statements_ = std::make_unique<Statements>();
  const auto prepare = [&](const char* sql, sqlite3_stmt*& out) {
    return sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &out, nullptr) == SQLITE_OK;
  };
  if (!prepare("SELECT bucket, used, given_back FROM policy_counters WHERE key = ?1 ORDER BY bucket",
               statements_->load) ||
      !prepare("DELETE FROM policy_counters WHERE key = ?1", statements_->remove) ||
      !prepare("INSERT INTO policy_counters VALUES (?1, ?2, ?3, ?4)", statements_->insert)) {
    return fail(error("read"));
  }
  sqlite3_stmt* asked = nullptr;
  int version = 0;
  if (prepare("SELECT max(version) FROM policy_schema", asked) && sqlite3_step(asked) == SQLITE_ROW) {
    version = sqlite3_column_int(asked, 0);
  }
  sqlite3_finalize(asked);
  if (version == kSchema) return {};
  return fail(Code::kConflict, path_ + " was made by another version of Sluice: use that one, or another --home");
}

Result<policy::Buckets> PolicyStore::load(const std::string& key) {
  sqlite3_stmt* statement = statements_->load;
  sqlite3_reset(statement);
  sqlite3_bind_blob64(statement, 1, key.data(), key.size(), SQLITE_STATIC);
  std::vector<policy::Buckets::Bucket> buckets;
  int step = sqlite3_step(statement);
  for (; step == SQLITE_ROW; step = sqlite3_step(statement)) {
    buckets.push_back(
        {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2)});
    if (buckets.back().used < 0 || buckets.back().given_back < 0 || buckets.size() > kMaxBuckets) {
      sqlite3_reset(statement);
      return fail(Code::kIo, path_ + " holds a counter that cannot be true");
    }
  }
  sqlite3_reset(statement);
  if (step != SQLITE_DONE) return fail(error("read"));
  return policy::Buckets(std::move(buckets));
}

Status PolicyStore::save(const std::string& key, const policy::Buckets& buckets) {
  sqlite3_stmt* remove = statements_->remove;
  sqlite3_bind_blob64(remove, 1, key.data(), key.size(), SQLITE_STATIC);
  int step = sqlite3_step(remove);
  sqlite3_reset(remove);
  sqlite3_stmt* insert = statements_->insert;
  sqlite3_bind_blob64(insert, 1, key.data(), key.size(), SQLITE_STATIC);
  for (const policy::Buckets::Bucket& bucket : buckets.all()) {
    if (step != SQLITE_DONE) break;
    sqlite3_bind_int64(insert, 2, bucket.number);
    sqlite3_bind_int64(insert, 3, bucket.used);
    sqlite3_bind_int64(insert, 4, bucket.given_back);
    step = sqlite3_step(insert);
    sqlite3_reset(insert);
  }
  return step == SQLITE_DONE ? Status() : fail(error("written"));
}

template <class Work>
auto PolicyStore::transact(const Work& work) -> decltype(work()) {
  SLUICE_CHECK(open());
  SLUICE_CHECK(run("BEGIN IMMEDIATE"));
  auto done = work();
  const Status ended = run(done ? "COMMIT" : "ROLLBACK");
  if (done && !ended) {
    (void)run("ROLLBACK");
    return fail(Error(ended.error()));
  }
  dirty_ = dirty_ || done.has_value();
  return done;
}

Result<std::variant<policy::Reservation, policy::LimitReached>> PolicyStore::reserve(
    std::span<const policy::LimitUse> uses, WallTime now) {
  using Outcome = std::variant<policy::Reservation, policy::LimitReached>;
  const std::lock_guard lock(mutex_);
  return transact([&]() -> Result<Outcome> {
    policy::Reservation reservation;
    std::vector<policy::Buckets> counters;
    for (std::size_t i = 0; i < uses.size(); ++i) {
      const policy::LimitUse& use = uses[i];
      SLUICE_TRY(policy::Buckets buckets, load(use.key));
      const std::int64_t bucket = buckets.advance(use, now);
      if (!buckets.fits(use)) {
        const policy::Micro used = buckets.used();
        if (buckets.empty()) buckets.take(bucket, 0);
        return Outcome(policy::LimitReached{i, used, buckets.free_at(use)});
      }
      buckets.take(bucket, use.amount);
      reservation.parts.push_back({use.key, bucket, policy::bucket_span(use), use.amount, use.max});
      counters.push_back(std::move(buckets));
    }
    for (std::size_t i = 0; i < uses.size(); ++i) SLUICE_CHECK(save(uses[i].key, counters[i]));
    return Outcome(std::move(reservation));
  });
}

Status PolicyStore::give_back(policy::Reservation& reservation) {
  const std::lock_guard lock(mutex_);
  const Status done = transact([&]() -> Status {
    for (const policy::Reservation::Part& part : reservation.parts) {
      SLUICE_TRY(policy::Buckets buckets, load(part.key));
      if (buckets.give_back(part)) SLUICE_CHECK(save(part.key, buckets));
    }
    return {};
  });
  reservation.parts.clear();
  return done;
}

Status PolicyStore::sync() {
  const std::lock_guard lock(mutex_);
  if (!dirty_ || !db_) return {};
  dirty_ = false;
  // Writes the log file through before it copies: what NORMAL leaves to the kernel.
  if (sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK) {
    return fail(error("written through"));
  }
  return {};
}

}  // namespace sluice::gateway

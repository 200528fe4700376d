#include "gateway/policy_store.h"

#include <sqlite3.h>

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;
constexpr std::size_t kMaxBuckets = 1'000;  // of one key: 61 are used

}  // namespace

struct PolicyStore::Statements {
  explicit Statements(const SqliteFile& file)
      : load(file, "SELECT bucket, used, given_back FROM policy_counters WHERE key = ?1 ORDER BY bucket", kKept),
        remove(file, "DELETE FROM policy_counters WHERE key = ?1 AND bucket = ?2", kKept),
        put(file, "INSERT OR REPLACE INTO policy_counters VALUES (?1, ?2, ?3, ?4)", kKept) {}
  static constexpr auto kKept = Statement::Life::kKept;
  Statement load, remove, put;
};

PolicyStore::PolicyStore(std::string path, std::chrono::milliseconds patience)
    : file_(std::move(path), patience, SqliteFile::Sync::kNormal) {}

Status PolicyStore::open() {
  return file_.open(SqliteFile::IfMissing::kCreate, [this] {
    Status done = prepare_schema();
    if (!done) statements_.reset();
    return done;
  });
}

Status PolicyStore::prepare_schema() {
  // The tables of others live in the same file, so the version is in a table of its own.
  SLUICE_CHECK(
      file_.run("BEGIN IMMEDIATE;"
                "CREATE TABLE IF NOT EXISTS policy_schema (version INTEGER NOT NULL) STRICT;"
                "INSERT INTO policy_schema SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM policy_schema);"
                "CREATE TABLE IF NOT EXISTS policy_counters (key BLOB NOT NULL, bucket INTEGER NOT NULL,"
                " used INTEGER NOT NULL, given_back INTEGER NOT NULL, PRIMARY KEY (key, bucket)) STRICT, WITHOUT ROWID;"
                "COMMIT"));
  statements_ = std::make_shared<Statements>(file_);
  if (!statements_->load.is_good() || !statements_->remove.is_good() || !statements_->put.is_good()) {
    return fail(file_.error("read"));
  }
  Statement asked(file_, "SELECT max(version) FROM policy_schema");
  if (asked.step() == Statement::Step::kRow && asked.integer(0) == kSchema) return {};
  return fail(Code::kConflict,
              file_.path() + " was made by another version of Sluice: use that one, or another --home");
}

Result<policy::Buckets> PolicyStore::load(const std::string& key) {
  Statement& statement = statements_->load;
  statement.reset();
  statement.bind_blob(1, key);
  std::vector<policy::Buckets::Bucket> buckets;
  auto step = statement.step();
  for (; step == Statement::Step::kRow; step = statement.step()) {
    buckets.push_back({statement.integer(0), statement.integer(1), statement.integer(2)});
    if (buckets.back().used < 0 || buckets.back().given_back < 0 || buckets.size() > kMaxBuckets) {
      statement.reset();
      return fail(Code::kIo, file_.path() + " holds a counter that cannot be true");
    }
  }
  statement.reset();
  if (step != Statement::Step::kDone) return fail(file_.error("read"));
  return policy::Buckets(std::move(buckets));
}

// What differs, which is mostly one bucket. Buckets leave from the front.
Status PolicyStore::save(const std::string& key, const policy::Buckets& before, const policy::Buckets& after) {
  const auto& old = before.all();
  const auto& now = after.all();
  std::size_t left = 0;
  for (; left < old.size() && (now.empty() || old[left].number < now.front().number); ++left) {
    Statement& remove = statements_->remove;
    remove.bind_blob(1, key);
    remove.bind(2, old[left].number);
    if (!remove.run()) return fail(file_.error("written"));
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    const policy::Buckets::Bucket& bucket = now[i];
    if (left + i < old.size() && bucket == old[left + i]) continue;
    Statement& put = statements_->put;
    put.bind_blob(1, key);
    put.bind(2, bucket.number);
    put.bind(3, bucket.used);
    put.bind(4, bucket.given_back);
    if (!put.run()) return fail(file_.error("written"));
  }
  return {};
}

template <class Work>
auto PolicyStore::transact(const Work& work) -> decltype(work()) {
  SLUICE_CHECK(open());
  auto done = file_.transact(work);
  dirty_ = dirty_ || done.has_value();
  return done;
}

Result<std::variant<policy::Reservation, policy::LimitReached>> PolicyStore::reserve(
    std::span<const policy::LimitUse> uses, WallTime now) {
  using Outcome = std::variant<policy::Reservation, policy::LimitReached>;
  const std::lock_guard lock(mutex_);
  return transact([&]() -> Result<Outcome> {
    policy::Reservation reservation;
    std::vector<policy::Buckets> before, counters;
    for (std::size_t i = 0; i < uses.size(); ++i) {
      SLUICE_TRY(policy::Buckets buckets, load(uses[i].key));
      before.push_back(buckets);
      auto counted = buckets.count(uses[i], now);
      if (auto* reached = std::get_if<policy::LimitReached>(&counted)) {
        reached->use = i;
        return Outcome(*reached);
      }
      reservation.parts.push_back(std::get<policy::Reservation::Part>(std::move(counted)));
      counters.push_back(std::move(buckets));
    }
    for (std::size_t i = 0; i < uses.size(); ++i) SLUICE_CHECK(save(uses[i].key, before[i], counters[i]));
    return Outcome(std::move(reservation));
  });
}

Status PolicyStore::give_back(policy::Reservation& reservation) {
  const std::lock_guard lock(mutex_);
  const Status done = transact([&]() -> Status {
    for (const policy::Reservation::Part& part : reservation.parts) {
      SLUICE_TRY(policy::Buckets buckets, load(part.key));
      const policy::Buckets before = buckets;
      if (buckets.give_back(part)) SLUICE_CHECK(save(part.key, before, buckets));
    }
    return {};
  });
  reservation.parts.clear();
  return done;
}

Status PolicyStore::sync() {
  const std::lock_guard lock(mutex_);
  if (!dirty_ || !file_.is_open()) return {};
  dirty_ = false;
  // Writes the log file through before it copies: what NORMAL leaves to the kernel.
  if (sqlite3_wal_checkpoint_v2(file_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK) {
    return fail(file_.error("written through"));
  }
  return {};
}

}  // namespace sluice::gateway

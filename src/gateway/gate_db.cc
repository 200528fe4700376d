#include "gateway/gate_db.h"

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;

std::int64_t row_of(GateDb::Part part) { return static_cast<std::int64_t>(part) + 1; }

}  // namespace

struct GateDb::Statements {
  explicit Statements(const SqliteFile& file)
      : read(file, "SELECT revision FROM gate_revisions WHERE part = ?1", Statement::Life::kKept) {}
  Statement read;
};

GateDb::GateDb(std::string path, std::chrono::milliseconds patience)
    : file_(std::move(path), patience, SqliteFile::Sync::kFull) {}

Status GateDb::open() {
  return file_.open(SqliteFile::IfMissing::kCreate, [this] { return prepare_schema(); });
}

Result<bool> GateDb::open_if_present() {
  const Status opened = file_.open(SqliteFile::IfMissing::kLeave, [this] { return prepare_schema(); });
  if (!opened && opened.error().code == Code::kNotFound) return false;
  SLUICE_CHECK(opened);
  return true;
}

Status GateDb::prepare_schema() {
  statements_.reset();
  SLUICE_CHECK(file_.run(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE IF NOT EXISTS gate_schema (version INTEGER NOT NULL) STRICT;"
      "INSERT INTO gate_schema SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM gate_schema);"
      "CREATE TABLE IF NOT EXISTS gate_revisions (part INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;"
      "INSERT OR IGNORE INTO gate_revisions VALUES (1, 0), (2, 0), (3, 0);"
      "CREATE TABLE IF NOT EXISTS gate_admin (one INTEGER PRIMARY KEY CHECK (one = 1), hash TEXT NOT NULL) STRICT;"
      "CREATE TABLE IF NOT EXISTS gate_grants (name TEXT PRIMARY KEY, server TEXT NOT NULL, policy TEXT NOT NULL,"
      " hash TEXT NOT NULL, old_hash TEXT NOT NULL, old_until_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
      " expires_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL, stdio INTEGER NOT NULL) STRICT;"
      "CREATE TABLE IF NOT EXISTS gate_approvals (id TEXT PRIMARY KEY, grant_name TEXT NOT NULL, server TEXT NOT NULL,"
      " tool TEXT NOT NULL, digest TEXT NOT NULL, rule TEXT NOT NULL, message TEXT NOT NULL, arguments TEXT NOT NULL,"
      " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, status TEXT NOT NULL, approver TEXT NOT NULL,"
      " decided_ms INTEGER NOT NULL) STRICT;"
      "CREATE INDEX IF NOT EXISTS gate_approvals_digest ON gate_approvals (digest);"
      "CREATE TABLE IF NOT EXISTS gate_pins (server TEXT NOT NULL, target TEXT NOT NULL, tool TEXT NOT NULL,"
      " accepted TEXT NOT NULL, seen TEXT NOT NULL, rejected TEXT NOT NULL, changed_ms INTEGER NOT NULL,"
      " PRIMARY KEY (server, target, tool)) STRICT;"
      "COMMIT"));
  {
    Statement asked(file_, "SELECT max(version) FROM gate_schema");
    if (asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
    if (asked.integer(0) != kSchema) {
      return fail(Code::kConflict,
                  file_.path() + " was made by another version of Sluice: use that one, or another --home");
    }
  }
  statements_ = std::make_shared<Statements>(file_);
  if (!statements_->read.is_good()) return fail(file_.error("read"));
  return {};
}

Result<std::int64_t> GateDb::revision(Part part) {
  SLUICE_TRY(const bool present, open_if_present());
  if (!present) return 0;
  Statement& read = statements_->read;
  read.reset();
  read.bind(1, row_of(part));
  const bool found = read.step() == Statement::Step::kRow;
  const std::int64_t revision = found ? read.integer(0) : 0;
  read.reset();
  if (!found) return fail(file_.error("read"));
  return revision;
}

Status GateDb::count(Part part) {
  Statement add(file_, "UPDATE gate_revisions SET revision = revision + 1 WHERE part = ?1");
  add.bind(1, row_of(part));
  return add.run() ? Status() : fail(file_.error("written"));
}

}  // namespace sluice::gateway

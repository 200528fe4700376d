#include "gateway/gate_db.h"

#include <fmt/format.h>

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;

std::int64_t row_of(GateDb::Part part) { return static_cast<std::int64_t>(part) + 1; }
std::size_t word_of(GateDb::Part part) { return static_cast<std::size_t>(part); }

// In the order of their tables.
constexpr const char* kGrantColumns =
    "name, server, policy, hash, old_hash, old_until_ms, created_ms, expires_ms, revoked_ms, stdio";
constexpr const char* kPinColumns = "server, target, tool, accepted, seen, rejected, changed_ms";
std::string approval_columns(const char* arguments = "arguments") {
  return std::string("id, grant_name, server, tool, digest, rule, message, ") + arguments +
         ", created_ms, expires_ms, status, approver, decided_ms";
}
constexpr const char* kIsLive = "status IN ('pending', 'approved', 'denied')";  // Approval::is_live

Grant read_grant(Statement& row) {
  Grant grant;
  grant.name = row.text(0);
  grant.server = row.text(1);
  grant.policy = row.text(2);
  grant.hash = row.text(3);
  grant.old_hash = row.text(4);
  grant.old_until_ms = row.integer(5);
  grant.created_ms = row.integer(6);
  grant.expires_ms = row.integer(7);
  grant.revoked_ms = row.integer(8);
  grant.stdio = row.integer(9) != 0;
  return grant;
}

Approval read_approval(Statement& row) {
  Approval approval;
  approval.id = row.text(0);
  approval.grant = row.text(1);
  approval.server = row.text(2);
  approval.tool = row.text(3);
  approval.digest = row.text(4);
  approval.rule = row.text(5);
  approval.message = row.text(6);
  approval.arguments = row.text(7);
  approval.created_ms = row.integer(8);
  approval.expires_ms = row.integer(9);
  approval.status = row.text(10);
  approval.approver = row.text(11);
  approval.decided_ms = row.integer(12);
  return approval;
}

}  // namespace

struct GateDb::Statements {
  explicit Statements(const SqliteFile& file)
      : read(file, "SELECT revision FROM gate_revisions WHERE part = ?1", Statement::Life::kKept),
        put_pin(file, "INSERT OR REPLACE INTO gate_pins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", Statement::Life::kKept) {}
  Statement read;
  Statement put_pin;  // a server's tools come by the thousand
};

GateDb::GateDb(std::string path, std::chrono::milliseconds patience)
    : file_(path, patience, SqliteFile::Sync::kFull), bell_(path + "-bell") {}

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
      "CREATE INDEX IF NOT EXISTS gate_approvals_ends ON gate_approvals (expires_ms);"
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
  if (!statements_->read.is_good() || !statements_->put_pin.is_good()) return fail(file_.error("read"));
  return {};
}

Result<std::int64_t> GateDb::revision(Part part) {
  SLUICE_TRY(const bool present, open_if_present());
  if (!present) return 0;
  Known& known = known_[word_of(part)];
  const auto now = std::chrono::steady_clock::now();
  const auto word = bell_.word(word_of(part));
  if (word && word == known.word && now - known.read < kBellTrusted) return known.revision;
  known.word = std::nullopt;
  SLUICE_TRY(const std::int64_t revision, read_revision(part));
  known = {word, revision, now};
  if (!word) bell_.settle(word_of(part), revision);  // whoever began it and died had committed it
  return revision;
}

Result<std::int64_t> GateDb::read_revision(Part part) {
  Statement& read = statements_->read;
  read.reset();
  read.bind(1, row_of(part));
  const bool found = read.step() == Statement::Step::kRow;
  const std::int64_t revision = found ? read.integer(0) : 0;
  read.reset();
  if (!found) return fail(file_.error("read"));
  return revision;
}

Result<std::int64_t> GateDb::count(Part part) {
  Statement add(file_, "UPDATE gate_revisions SET revision = revision + 1 WHERE part = ?1");
  add.bind(1, row_of(part));
  if (!add.run()) return fail(file_.error("written"));
  return read_revision(part);
}

Status GateDb::transact(std::optional<Part> tells, const std::function<Status()>& work) {
  SLUICE_CHECK(open());
  std::optional<std::int64_t> counted;
  SLUICE_CHECK(file_.transact([&]() -> Status {
    wrote_ = false;
    SLUICE_CHECK(work());
    if (!wrote_ || !tells) return {};
    SLUICE_TRY(counted, count(*tells));
    bell_.begin(word_of(*tells), *counted);
    return {};
  }));
  if (counted) bell_.settle(word_of(*tells), *counted);
  return {};
}

Status GateDb::write(Statement& statement) {
  wrote_ = true;
  return statement.run() ? Status() : fail(file_.error("written"));
}

template <class Bind, class Read>
Status GateDb::each_row(const std::string& question, const Bind& bind, const Read& read) {
  SLUICE_TRY(const bool present, open_if_present());
  if (!present) return {};
  Statement rows(file_, question.c_str());
  bind(rows);
  auto step = rows.step();
  for (; step == Statement::Step::kRow; step = rows.step()) read(rows);
  return step == Statement::Step::kDone ? Status() : fail(file_.error("read"));
}

Result<std::vector<Grant>> GateDb::grants() {
  std::vector<Grant> all;
  SLUICE_CHECK(each_row(
      fmt::format("SELECT {} FROM gate_grants ORDER BY name", kGrantColumns), [](Statement&) {},
      [&](Statement& row) { all.push_back(read_grant(row)); }));
  return all;
}

Result<std::string> GateDb::admin_hash() {
  std::string hash;
  SLUICE_CHECK(each_row(
      "SELECT hash FROM gate_admin", [](Statement&) {}, [&](Statement& row) { hash = row.text(0); }));
  return hash;
}

Result<std::optional<Approval>> GateDb::standing_approval(const std::string& grant, const std::string& digest,
                                                          std::int64_t after_ms) {
  std::optional<Approval> found;
  SLUICE_CHECK(each_row(
      fmt::format("SELECT {} FROM gate_approvals WHERE digest = ?1 AND grant_name = ?2 AND expires_ms > ?3 AND {}"
                  " ORDER BY created_ms DESC",
                  approval_columns(), kIsLive),
      [&](Statement& rows) {
        rows.bind_text(1, digest);
        rows.bind_text(2, grant);
        rows.bind(3, after_ms);
      },
      [&](Statement& row) { found = read_approval(row); }));
  return found;
}

Result<GateRows::Waiting> GateDb::count_waiting(const std::string& grant, std::int64_t after_ms) {
  Waiting waiting;
  SLUICE_CHECK(each_row(
      "SELECT count(*), coalesce(sum(grant_name = ?2), 0) FROM gate_approvals"
      " WHERE expires_ms > ?1 AND status = 'pending'",
      [&](Statement& rows) {
        rows.bind(1, after_ms);
        rows.bind_text(2, grant);
      },
      [&](Statement& row) {
        waiting.of_all = static_cast<std::size_t>(row.integer(0));
        waiting.of_grant = static_cast<std::size_t>(row.integer(1));
      }));
  return waiting;
}

Result<std::vector<Approval>> GateDb::live_approvals(std::int64_t after_ms, Arguments arguments) {
  std::vector<Approval> live;
  SLUICE_CHECK(each_row(
      fmt::format("SELECT {} FROM gate_approvals WHERE expires_ms > ?1 AND {} ORDER BY created_ms, id",
                  approval_columns(arguments == Arguments::kWith ? "arguments" : "''"), kIsLive),
      [&](Statement& rows) { rows.bind(1, after_ms); }, [&](Statement& row) { live.push_back(read_approval(row)); }));
  return live;
}

Result<std::optional<Approval>> GateDb::approval(const std::string& id) {
  std::optional<Approval> found;
  SLUICE_CHECK(each_row(
      fmt::format("SELECT {} FROM gate_approvals WHERE id = ?1", approval_columns()),
      [&](Statement& rows) { rows.bind_text(1, id); }, [&](Statement& row) { found = read_approval(row); }));
  return found;
}

Result<std::vector<Pin>> GateDb::pins(const std::string& server, const std::string& target) {
  std::vector<Pin> pins;
  SLUICE_CHECK(each_row(
      fmt::format("SELECT {} FROM gate_pins WHERE (?1 = '' OR server = ?1) AND (?2 = '' OR target = ?2)"
                  " ORDER BY server, target, tool",
                  kPinColumns),
      [&](Statement& rows) {
        rows.bind_text(1, server);
        rows.bind_text(2, target);
      },
      [&](Statement& row) {
        pins.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.integer(6)});
      }));
  return pins;
}

Status GateDb::put(const Grant& grant) {
  Statement insert(file_, "INSERT OR REPLACE INTO gate_grants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
  insert.bind_text(1, grant.name);
  insert.bind_text(2, grant.server);
  insert.bind_text(3, grant.policy);
  insert.bind_text(4, grant.hash);
  insert.bind_text(5, grant.old_hash);
  insert.bind(6, grant.old_until_ms);
  insert.bind(7, grant.created_ms);
  insert.bind(8, grant.expires_ms);
  insert.bind(9, grant.revoked_ms);
  insert.bind(10, grant.stdio ? 1 : 0);
  return write(insert);
}

Status GateDb::put(const Approval& approval) {
  Statement insert(file_,
                   "INSERT OR REPLACE INTO gate_approvals VALUES"
                   " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
  insert.bind_text(1, approval.id);
  insert.bind_text(2, approval.grant);
  insert.bind_text(3, approval.server);
  insert.bind_text(4, approval.tool);
  insert.bind_text(5, approval.digest);
  insert.bind_text(6, approval.rule);
  insert.bind_text(7, approval.message);
  insert.bind_text(8, approval.arguments);
  insert.bind(9, approval.created_ms);
  insert.bind(10, approval.expires_ms);
  insert.bind_text(11, approval.status);
  insert.bind_text(12, approval.approver);
  insert.bind(13, approval.decided_ms);
  return write(insert);
}

Status GateDb::put(const Pin& pin) {
  Statement& insert = statements_->put_pin;
  insert.bind_text(1, pin.server);
  insert.bind_text(2, pin.target);
  insert.bind_text(3, pin.tool);
  insert.bind_text(4, pin.accepted);
  insert.bind_text(5, pin.seen);
  insert.bind_text(6, pin.rejected);
  insert.bind(7, pin.changed_ms);
  return write(insert);
}

Status GateDb::erase(const Pin& pin) {
  Statement erase(file_, "DELETE FROM gate_pins WHERE server = ?1 AND target = ?2 AND tool = ?3");
  erase.bind_text(1, pin.server);
  erase.bind_text(2, pin.target);
  erase.bind_text(3, pin.tool);
  return write(erase);
}

Status GateDb::put_admin_hash(const std::string& hash) {
  Statement insert(file_, "INSERT OR REPLACE INTO gate_admin VALUES (1, ?1)");
  insert.bind_text(1, hash);
  return write(insert);
}

Status GateDb::retire_approvals(std::int64_t now_ms, std::int64_t kept_ms) {
  Statement forget(file_, "DELETE FROM gate_approvals WHERE expires_ms < ?1");
  forget.bind(1, now_ms - kept_ms);
  SLUICE_CHECK(write(forget));
  Statement blank(file_,
                  "UPDATE gate_approvals SET arguments = '',"
                  " status = CASE WHEN status IN ('pending', 'approved') THEN 'expired' ELSE status END"
                  " WHERE expires_ms <= ?1 AND (arguments != '' OR status IN ('pending', 'approved'))");
  blank.bind(1, now_ms);
  return write(blank);
}

}  // namespace sluice::gateway

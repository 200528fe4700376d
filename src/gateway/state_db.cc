#include "gateway/state_db.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "rules/rule_json.h"

namespace sluice::gateway {
namespace {

constexpr int kSchema = 1;
constexpr std::chrono::seconds kPatience{5};

}  // namespace

StateDb::StateDb(std::string path) : file_(std::move(path), kPatience, SqliteFile::Sync::kFull) {}

Status StateDb::open(SqliteFile::IfMissing missing) {
  return file_.open(missing, [this] { return prepare_schema(); });
}

Status StateDb::prepare_schema() {
  int version = 0;
  {
    Statement asked(file_, "PRAGMA user_version");
    if (asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
    version = static_cast<int>(asked.integer(0));
  }
  if (version > kSchema) {
    return fail(Code::kConflict, file_.path() + " was made by a newer Sluice: use that one, or another --home");
  }
  if (version == kSchema) return {};
  return file_.run(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE IF NOT EXISTS rules (row INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL,"
      " created_ms INTEGER NOT NULL, spec TEXT NOT NULL) STRICT;"
      "PRAGMA user_version = 1;"
      "COMMIT");
}

Status StateDb::change(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove) {
  const std::lock_guard lock(mutex_);
  SLUICE_CHECK(open(SqliteFile::IfMissing::kCreate));
  return file_.transact([&] { return write(save, remove); });
}

Status StateDb::write(std::span<rules::SavedRule> save, std::span<const std::int64_t> remove) {
  Statement insert(file_, "INSERT OR REPLACE INTO rules (row, number, created_ms, spec) VALUES (?1, ?2, ?3, ?4)");
  for (rules::SavedRule& rule : save) {
    const std::string spec = dump_json(rules::spec_json(rule.spec));
    if (rule.row == 0)
      insert.bind_null(1);
    else
      insert.bind(1, rule.row);
    insert.bind(2, rule.number);
    insert.bind(3, rule.created_ms);
    insert.bind_text(4, spec);
    if (!insert.run()) return fail(file_.error("written"));
    if (rule.row == 0) rule.row = sqlite3_last_insert_rowid(file_.handle());
  }
  Statement erase(file_, "DELETE FROM rules WHERE row = ?1");
  for (const std::int64_t row : remove) {
    erase.bind(1, row);
    if (!erase.run()) return fail(file_.error("written"));
  }
  return {};
}

Result<std::vector<rules::SavedRule>> StateDb::load(std::vector<std::string>& problems) {
  const std::lock_guard lock(mutex_);
  std::vector<rules::SavedRule> all;
  const Status opened = open(SqliteFile::IfMissing::kLeave);
  if (!opened && opened.error().code == Code::kNotFound) return all;
  SLUICE_CHECK(opened);
  Statement statement(file_, "SELECT row, number, created_ms, spec FROM rules ORDER BY row");
  auto step = statement.step();
  for (; step == Statement::Step::kRow; step = statement.step()) {
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
  if (step != Statement::Step::kDone) return fail(file_.error("read"));
  return all;
}

}  // namespace sluice::gateway

#include "gateway/state_memory.h"

namespace sluice::gateway {
namespace {

constexpr std::chrono::seconds kPatience{2};

}  // namespace

StateMemory::StateMemory(std::string path) : file_(std::move(path), kPatience, SqliteFile::Sync::kNormal) {}

Status StateMemory::open(SqliteFile::IfMissing missing) {
  return file_.open(missing, [this] {
    return file_.run(
        "CREATE TABLE IF NOT EXISTS gate_elsewhere (place TEXT PRIMARY KEY, mark TEXT NOT NULL,"
        " version INTEGER NOT NULL) STRICT");
  });
}

Result<std::optional<StateMemory::Known>> StateMemory::find(const std::string& place) {
  std::optional<Known> known;
  const Status opened = open(SqliteFile::IfMissing::kLeave);
  if (!opened && opened.error().code == Code::kNotFound) return known;
  SLUICE_CHECK(opened);
  Statement rows(file_, "SELECT mark, version FROM gate_elsewhere WHERE place = ?1");
  rows.bind_text(1, place);
  const auto step = rows.step();
  if (step == Statement::Step::kRow) known = Known{rows.text(0), rows.integer(1)};
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  return known;
}

Status StateMemory::remember(const std::string& place, const Known& known) {
  SLUICE_CHECK(open(SqliteFile::IfMissing::kCreate));
  Statement put(
      file_,
      "INSERT INTO gate_elsewhere VALUES (?1, ?2, ?3)"
      " ON CONFLICT (place) DO UPDATE SET version = max(version, excluded.version) WHERE mark = excluded.mark");
  put.bind_text(1, place);
  put.bind_text(2, known.mark);
  put.bind(3, known.version);
  return put.run() ? Status() : fail(file_.error("written"));
}

Result<bool> StateMemory::forget(const std::string& place) {
  SLUICE_TRY(const auto known, find(place));
  if (!known) return false;
  Statement erase(file_, "DELETE FROM gate_elsewhere WHERE place = ?1");
  erase.bind_text(1, place);
  if (!erase.run()) return fail(file_.error("written"));
  return true;
}

Result<std::vector<std::string>> StateMemory::places() {
  std::vector<std::string> all;
  const Status opened = open(SqliteFile::IfMissing::kLeave);
  if (!opened && opened.error().code == Code::kNotFound) return all;
  SLUICE_CHECK(opened);
  Statement rows(file_, "SELECT place FROM gate_elsewhere ORDER BY place");
  auto step = rows.step();
  for (; step == Statement::Step::kRow; step = rows.step()) all.push_back(rows.text(0));
  if (step != Statement::Step::kDone) return fail(file_.error("read"));
  return all;
}

}  // namespace sluice::gateway

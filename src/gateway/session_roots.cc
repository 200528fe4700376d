#include "gateway/session_roots.h"

namespace sluice::gateway {
namespace {

constexpr std::chrono::seconds kPatience{5};

}  // namespace

SessionRoots::SessionRoots(std::string state_db) : file_(std::move(state_db), kPatience, SqliteFile::Sync::kFull) {}

Status SessionRoots::open(SqliteFile::IfMissing missing) {
  return file_.open(missing, [this] {
    return file_.run("CREATE TABLE IF NOT EXISTS session_roots (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID");
  });
}

Result<std::vector<std::string>> SessionRoots::roots() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  const Status opened = open(SqliteFile::IfMissing::kLeave);
  if (!opened && opened.error().code == Code::kNotFound) return paths;
  SLUICE_CHECK(opened);
  Statement asked(file_, "SELECT path FROM session_roots ORDER BY path");
  auto step = asked.step();
  for (; step == Statement::Step::kRow; step = asked.step()) paths.push_back(asked.text(0));
  if (step != Statement::Step::kDone) return fail(file_.error("read"));
  return paths;
}

Status SessionRoots::add_root(const std::string& path) {
  const std::lock_guard lock(mutex_);
  SLUICE_CHECK(open(SqliteFile::IfMissing::kCreate));
  Statement insert(file_, "INSERT OR IGNORE INTO session_roots VALUES (?1)");
  insert.bind_text(1, path);
  if (!insert.run()) return fail(file_.error("written"));
  return {};
}

}  // namespace sluice::gateway

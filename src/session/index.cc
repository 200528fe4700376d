#include "session/index.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/entropy.h"
#include "base/siphash.h"
#include "base/text.h"
#include "session/columns.h"
#include "session/id_runs.h"
#include "session/index_seal.h"
#include "session/row_octets.h"

namespace sluice::session {
namespace {

using sqlite::SqliteFile;
using sqlite::Statement;

constexpr int kVersion = 4;
constexpr std::chrono::seconds kPatience{5};
constexpr int kPageSize = 16 * 1024;  // rows come one behind the other: fewer calls, less of a page written twice

constexpr const char* kSchema =
    "CREATE TABLE exchanges (seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, row BLOB NOT NULL) STRICT;"
    "CREATE TABLE ids (place INTEGER PRIMARY KEY, entries BLOB NOT NULL) STRICT;"
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, last_segment INTEGER NOT NULL, columns BLOB NOT NULL) STRICT;"
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
    "INSERT INTO facts VALUES ('made', random());"
    "PRAGMA user_version = 4;";

}  // namespace

const Matches::Match& Matches::at(std::size_t place, bool ascending) const {
  if (ascending) return rows[place];
  const std::size_t mirrored = rows.size() - 1 - place;
  const std::int64_t time = rows[mirrored].timestamp_ms;
  const auto first = std::lower_bound(rows.begin(), rows.end(), Match{time, 0});
  const auto end = std::upper_bound(first, rows.end(), Match{time, UINT64_MAX});
  const auto before = rows.size() - static_cast<std::size_t>(end - rows.begin());  // newer ones
  return *(first + static_cast<std::ptrdiff_t>(place - before));
}

Index::Index(std::string path, SessionKeyPtr key)
    : file_(std::move(path), kPatience, SqliteFile::Sync::kNormal, kPageSize), key_(std::move(key)) {}
Index::~Index() = default;

Status Index::create() {
  block_ = std::make_unique<BlockBuilder>();
  ids_ = std::make_unique<IdRun>();
  const std::string seal = key_ ? make_seal() : "";
  SLUICE_CHECK(file_.open(SqliteFile::IfMissing::kCreate, [&] {
    return file_.run((std::string("BEGIN IMMEDIATE;") + kSchema + seal + "COMMIT").c_str());
  }));
  // Nothing of it need survive a loss of power before it is sealed: it is made again then.
  return file_.run("PRAGMA cache_size = -16384; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 1024");
}

Status Index::open_to_read() {
  SLUICE_CHECK(file_.open_read_only());
  SLUICE_CHECK(check_version());
  return key_ ? find_seal() : Status();
}

// ---- of an encrypted recording ----

// What is put into the new file.
std::string Index::make_seal() {
  std::string salt(kIndexSalt, '\0');
  SystemEntropy().fill(salt);  // another one for each index, whatever else is seeded
  seal_ = std::make_unique<IndexSeal>(*key_, salt);
  return "CREATE TABLE seal (salt BLOB NOT NULL) STRICT; INSERT INTO seal VALUES (x'" + hex_encode(salt) + "');";
}

Status Index::find_seal() {
  Statement asked(file_, "SELECT salt FROM seal");
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) {
    return fail(Code::kIo, file_.path() + " is no whole index of an encrypted recording");
  }
  seal_ = std::make_unique<IndexSeal>(*key_, asked.octets(0));
  return {};
}

// Short, and spread evenly; whoever looks an id up compares the row's own.
std::int64_t Index::number_of(const std::string& id) const {
  return static_cast<std::int64_t>(siphash(seal_ ? seal_->ids() : SipKey{}, id));
}

Result<std::string> Index::sealed(SealedPart part, std::int64_t number, std::string plain) {
  if (!seal_) return plain;
  std::string octets = seal_->seal(part, number, plain);
  if (octets.empty()) return fail(Code::kInternal, file_.path() + ": nothing can be encrypted");
  return octets;
}

// Valid until the next call, and the statement's next step.
Result<Bytes> Index::opened(SealedPart part, std::int64_t number, Bytes octets) {
  if (!seal_) return octets;
  const auto plain = seal_->open(part, number, octets);
  if (!plain) return fail(Code::kIo, file_.path() + " is damaged");
  return *plain;
}

Status Index::check_version() {
  Statement asked(file_, "PRAGMA user_version");
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
  const auto version = asked.integer(0);
  if (version > kVersion) return fail(Code::kConflict, file_.path() + " was made by a newer Sluice: use that one");
  if (version < kVersion) return fail(Code::kIo, file_.path() + " is no whole index");
  return {};
}

Statement& Index::kept(std::unique_ptr<Statement>& statement, const char* sql) {
  if (!statement) statement = std::make_unique<Statement>(file_, sql, Statement::Life::kKept);
  return *statement;
}

Status Index::add(std::span<const Row> rows) {
  return file_.transact([&]() -> Status {
    Statement& insert = kept(insert_, "INSERT OR REPLACE INTO exchanges (seq, segment, row) VALUES (?,?,?)");
    if (!insert.is_good()) return fail(file_.error("written"));
    for (const Row& row : rows) {
      const auto seq = static_cast<std::int64_t>(row.seq);
      SLUICE_TRY(const std::string octets, sealed(SealedPart::kRow, seq, row_octets(row)));
      insert.bind(1, seq);
      insert.bind(2, row.opened.segment);
      insert.bind_blob(3, octets);
      if (!insert.run()) return fail(file_.error("written"));
    }
    return add_to_blocks(rows);
  });
}

// The last block is written again with each addition until it is full.
Status Index::add_to_blocks(std::span<const Row> rows) {
  Statement& put = kept(put_block_, "INSERT OR REPLACE INTO blocks (number, last_segment, columns) VALUES (?,?,?)");
  if (!put.is_good()) return fail(file_.error("written"));
  const auto write = [&]() -> Status {
    SLUICE_TRY(const std::string octets, sealed(SealedPart::kBlock, block_number_, block_->octets()));
    put.bind(1, block_number_);
    put.bind(2, block_->last_segment());
    put.bind_blob(3, octets);
    return put.run() ? Status() : fail(file_.error("written"));
  };
  for (const Row& row : rows) {
    block_->add(row);
    ids_->add(number_of(row.id), row.seq);
    if (!block_->is_full()) continue;
    SLUICE_CHECK(write());
    if (block_number_ % kBlocksInIdRun == 0) SLUICE_CHECK(add_ids(block_number_));
    block_->clear();
    ++block_number_;
  }
  return block_->size() > 0 ? write() : Status();
}

// Of all rows since the run before, the last of which is in that block. Empty buckets, too: a look-up asks the last one
// for how far runs reach.
Status Index::add_ids(std::int64_t last_block) {
  Statement put(file_, "INSERT OR REPLACE INTO ids (place, entries) VALUES (?,?)");
  if (!put.is_good()) return fail(file_.error("written"));
  const std::vector<std::string> buckets = ids_->take();
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    put.bind(1, id_place(static_cast<std::int64_t>(i), last_block));
    put.bind_blob(2, buckets[i]);
    if (!put.run()) return fail(file_.error("written"));
  }
  return {};
}

Status Index::drop_segment(std::uint32_t segment, std::uint64_t& exchanges) {
  return file_.transact([&]() -> Status {
    // In the order of seq exchanges also began: those that go stand before all others.
    std::int64_t left = INT64_MAX;
    {
      Statement first(file_, "SELECT seq FROM exchanges WHERE segment > ?1 ORDER BY seq LIMIT 1");
      if (!first.is_good()) return fail(file_.error("read"));
      first.bind(1, segment);
      const auto step = first.step();
      if (step == Statement::Step::kFailed) return fail(file_.error("read"));
      if (step == Statement::Step::kRow) left = first.integer(0);
    }
    Statement erase(file_, "DELETE FROM exchanges WHERE seq < ?1");
    erase.bind(1, left);
    if (!erase.run()) return fail(file_.error("written"));
    exchanges += static_cast<std::uint64_t>(file_.changes());
    Statement erase_blocks(file_, "DELETE FROM blocks WHERE last_segment <= ?1 AND number < ?2");
    erase_blocks.bind(1, segment);
    erase_blocks.bind(2, block_number_);
    if (!erase_blocks.run()) return fail(file_.error("written"));
    SLUICE_CHECK(drop_ids());
    Statement oldest(file_, "INSERT OR REPLACE INTO facts VALUES ('oldest', ?1)");
    oldest.bind(1, std::int64_t{segment} + 1);
    if (!oldest.run()) return fail(file_.error("written"));
    return {};
  });
}

// Runs of which no block is left.
Status Index::drop_ids() {
  Statement erase(file_, "DELETE FROM ids WHERE (place & ?1) < (SELECT MIN(number) FROM blocks)");
  if (!erase.is_good()) return fail(file_.error("written"));
  erase.bind(1, last_block_of(-1));
  return erase.run() ? Status() : fail(file_.error("written"));
}

Status Index::seal() {
  if (!ids_->is_empty()) {
    SLUICE_CHECK(file_.transact([&] { return add_ids(block_->size() > 0 ? block_number_ : block_number_ - 1); }));
  }
  insert_.reset();
  put_block_.reset();
  // What was written before goes to the disk with this, also where a reader keeps it from becoming one file.
  SLUICE_CHECK(file_.run("PRAGMA synchronous = FULL"));
  SLUICE_CHECK(file_.run("INSERT OR REPLACE INTO facts VALUES ('whole', 1)"));
  SLUICE_CHECK(file_.run("PRAGMA wal_checkpoint"));
  return file_.run("PRAGMA journal_mode = DELETE");
}

std::int64_t Index::fact(const char* name, std::int64_t otherwise) {
  Statement asked(file_, "SELECT value FROM facts WHERE name = ?1");
  const std::string wanted(name);
  if (!asked.is_good()) return otherwise;
  asked.bind_text(1, wanted);
  return asked.step() == Statement::Step::kRow ? asked.integer(0) : otherwise;
}

bool Index::is_sealed() { return fact("whole", 0) == 1; }
std::int64_t Index::made() { return fact("made", 0); }

std::int64_t Index::version() {
  Statement asked(file_, "PRAGMA data_version");
  return asked.is_good() && asked.step() == Statement::Step::kRow ? asked.integer(0) : 0;
}

Result<std::uint64_t> Index::size() {
  Statement asked(file_, "SELECT COUNT(*) FROM exchanges");
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
  return static_cast<std::uint64_t>(asked.integer(0));
}

Result<Matches> Index::match(const Query& query, const Sieve* sieve) {
  Matches matches;
  const bool newest_first = sieve && !query.ascending;
  std::string sql =
      "SELECT columns, (SELECT value FROM facts WHERE name = 'oldest'), number FROM blocks ORDER BY number";
  if (newest_first) sql += " DESC";
  Statement asked(file_, sql.c_str());
  if (!asked.is_good()) return fail(file_.error("read"));
  std::uint64_t looked_at = 0;
  for (;;) {
    const auto step = asked.step();
    if (step == Statement::Step::kFailed) return fail(file_.error("read"));
    if (step == Statement::Step::kDone) break;
    if (sieve && sieve->enough && sieve->enough()) {
      matches.ended_after = looked_at;
      break;
    }
    const auto oldest = asked.is_null(1) ? 0 : static_cast<std::uint32_t>(asked.integer(1));
    SLUICE_TRY(const Bytes block, opened(SealedPart::kBlock, asked.integer(2), asked.octets(0)));
    const auto had = static_cast<std::ptrdiff_t>(matches.rows.size());
    SLUICE_TRY(const std::size_t rows, match_block(block, query, oldest, sieve, matches));
    looked_at += rows;
    if (newest_first) std::reverse(matches.rows.begin() + had, matches.rows.end());
  }
  if (newest_first) std::reverse(matches.rows.begin(), matches.rows.end());
  if (!std::is_sorted(matches.rows.begin(), matches.rows.end())) std::sort(matches.rows.begin(), matches.rows.end());
  return matches;
}

Result<std::vector<std::int64_t>> Index::blocks_after(std::int64_t number, bool all) {
  Statement asked(file_, "SELECT number FROM blocks WHERE number > ?1 ORDER BY number");
  if (!asked.is_good()) return fail(file_.error("read"));
  asked.bind(1, number);
  std::vector<std::int64_t> numbers;
  Statement::Step step = asked.step();
  for (; step == Statement::Step::kRow; step = asked.step()) numbers.push_back(asked.integer(0));
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  if (!all && !numbers.empty()) numbers.pop_back();
  return numbers;
}

Result<std::vector<std::uint64_t>> Index::seqs_of(std::int64_t block) {
  Statement asked(file_, "SELECT columns FROM blocks WHERE number = ?1");
  if (!asked.is_good()) return fail(file_.error("read"));
  asked.bind(1, block);
  if (asked.step() != Statement::Step::kRow) return std::vector<std::uint64_t>();  // dropped meanwhile
  SLUICE_TRY(const Bytes columns, opened(SealedPart::kBlock, block, asked.octets(0)));
  return block_seqs(columns);
}

Result<std::optional<Row>> Index::find(std::uint64_t seq) {
  Statement& asked = kept(find_, "SELECT row FROM exchanges WHERE seq = ?1");
  if (!asked.is_good()) return fail(file_.error("read"));
  asked.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(seq, INT64_MAX)));
  const auto step = asked.step();
  std::optional<Row> row;
  if (step == Statement::Step::kRow) {
    const auto octets = opened(SealedPart::kRow, static_cast<std::int64_t>(seq), asked.octets(0));
    if (octets) row = parse_row(*octets);
  }
  asked.reset();
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  if (step == Statement::Step::kRow && !row) return fail(Code::kIo, file_.path() + " is damaged");
  return row;
}

Result<std::optional<Row>> Index::find(const std::string& id) {
  const std::int64_t number = number_of(id), bucket = id_bucket(number);
  std::int64_t reached = 0;  // the last block whose ids are in a run
  {
    Statement runs(file_, "SELECT MAX(place) FROM ids");
    if (!runs.is_good() || runs.step() != Statement::Step::kRow) return fail(file_.error("read"));
    if (!runs.is_null(0)) reached = last_block_of(runs.integer(0));
  }
  // The latest first.
  {
    Statement blocks(file_, "SELECT columns, number FROM blocks WHERE number > ?1 ORDER BY number DESC");
    if (!blocks.is_good()) return fail(file_.error("read"));
    blocks.bind(1, reached);
    auto step = blocks.step();
    for (; step == Statement::Step::kRow; step = blocks.step()) {
      SLUICE_TRY(const Bytes block, opened(SealedPart::kBlock, blocks.integer(1), blocks.octets(0)));
      SLUICE_TRY(const auto seq, seq_in_block(block, id));
      if (seq) return find(*seq);
    }
    if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  }
  Statement entries(file_, "SELECT entries FROM ids WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC");
  if (!entries.is_good()) return fail(file_.error("read"));
  entries.bind(1, id_place(bucket, 0));
  entries.bind(2, id_place(bucket + 1, 0) - 1);
  auto step = entries.step();
  for (; step == Statement::Step::kRow; step = entries.step()) {
    for (const std::uint64_t seq : seqs_in_bucket(entries.octets(0), number)) {
      SLUICE_TRY(auto row, find(seq));
      if (row && row->id == id) return row;
    }
  }
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  return std::nullopt;
}

}  // namespace sluice::session

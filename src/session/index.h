// The index of one recording, `index.db` (SQLite): a row for each exchange that has ended. It can be made again from
// the segments alone and holds nothing that is not in them. One thread at a time; readers in other processes and other
// connections read while it is written (WAL). Once sealed it is one file that a read-only disk can hold. Of an
// encrypted recording it holds rows and columns encrypted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "session/keys.h"
#include "session/row.h"
#include "sqlite/sqlite_file.h"

namespace sluice::session {

// The contract's filters; empty members do not filter. AND-combined.
struct Query {
  std::string method;                                      // upper case
  std::string host_contains, url_contains, type_contains;  // any case of ASCII letters
  std::string text;                                        // in URL, host, path, exchange id or rule id, any case
  std::optional<int> status;
  std::optional<std::int64_t> from_ms, to_ms;  // both inclusive
  bool ascending = false;                      // by timestamp; those of the same one by seq
};

// A row as blocks hold it.
struct RowBrief {
  Bytes url, host, id;
  std::uint32_t matched_rule = 0;
};
// Says of rows that pass a query whether they count: what somebody may not see is not found either. Of one query the
// same each time.
struct Sieve {
  std::function<bool(const RowBrief&)> passes;
  std::function<bool()> enough;  // null: it goes on to the end; else asked now and then
};

// What passes a query, whatever its order.
struct Matches {
  struct Match {
    std::int64_t timestamp_ms = 0;
    std::uint64_t seq = 0;
    friend auto operator<=>(const Match&, const Match&) = default;
  };
  std::vector<Match> rows;  // ascending
  std::uint64_t with_tls = 0;
  std::optional<std::uint64_t> ended_after;  // enough, after so many rows: the newest ones unless `ascending`

  // The one at `place` of a list, newest first unless `ascending`; those of the same time by seq.
  const Match& at(std::size_t place, bool ascending) const;
};

class BlockBuilder;
class IdRun;
class IndexSeal;
enum class SealedPart : char;

class Index {
 public:
  // `key`: null where the recording is not encrypted.
  explicit Index(std::string path, SessionKeyPtr key = nullptr);
  ~Index();

  // Anew; the file must not be there. A loss of power before it is sealed may damage it.
  Status create();
  Status open_to_read();  // kNotFound; kConflict: made by a newer Sluice; kIo: damaged, or of an older one
  Status add(std::span<const Row> rows);
  Status drop_segment(std::uint32_t segment, std::uint64_t& exchanges);  // rows that began there; how many
  // No more is added: one file, which says that it is whole.
  Status seal();
  bool is_sealed();
  std::int64_t made();     // tells it from every other: a number of chance
  std::int64_t version();  // is another once somebody else has changed it

  Result<Matches> match(const Query& query, const Sieve* sieve = nullptr);
  // Blocks of rows by number, ascending, after that one; the last one only if `all`: it may still grow.
  Result<std::vector<std::int64_t>> blocks_after(std::int64_t number, bool all);
  Result<std::vector<std::uint64_t>> seqs_of(std::int64_t block);
  Result<std::uint64_t> size();
  Result<std::optional<Row>> find(std::uint64_t seq);
  Result<std::optional<Row>> find(const std::string& id);

 private:
  Status check_version();
  std::string make_seal();
  Status find_seal();
  std::int64_t number_of(const std::string& id) const;
  Result<std::string> sealed(SealedPart part, std::int64_t number, std::string plain);
  Result<Bytes> opened(SealedPart part, std::int64_t number, Bytes octets);
  Status add_to_blocks(std::span<const Row> rows);
  Status add_ids(std::int64_t last_block);
  Status drop_ids();
  std::int64_t fact(const char* name, std::int64_t otherwise);
  sqlite::Statement& kept(std::unique_ptr<sqlite::Statement>& statement, const char* sql);

  sqlite::SqliteFile file_;
  const SessionKeyPtr key_;
  std::unique_ptr<IndexSeal> seal_;      // null: rows stand in clear
  std::unique_ptr<BlockBuilder> block_;  // the last one, while it is written
  std::int64_t block_number_ = 1;
  std::unique_ptr<IdRun> ids_;  // of rows that no run has yet
  std::unique_ptr<sqlite::Statement> insert_, put_block_, find_;
};

}  // namespace sluice::session

// The index of one recording, `index.db` (SQLite): a row for each exchange that has ended. It can be made again from
// the segments alone and holds nothing that is not in them. One thread at a time; readers in other processes and other
// connections read while it is written (WAL). Once sealed it is one file that a read-only disk can hold.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

class Index {
 public:
  explicit Index(std::string path);

  Status create();  // anew; the file must not be there
  // It is built to be put in place when it is whole: until then nothing of it need survive.
  Status create_disposable();
  Status open_to_read();  // kNotFound; kConflict: made by a newer Sluice; kIo: damaged
  Status add(std::span<const Row> rows);
  Status drop_segment(std::uint32_t segment, std::uint64_t& exchanges);  // rows that began there; how many
  // No more is added: one file, which says that it is whole.
  Status seal();
  bool is_sealed();

  Result<std::uint64_t> count(const Query& query);
  Result<std::uint64_t> count_with_tls(const Query& query);
  // Return false to stop.
  Status visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
               const std::function<bool(const Row&)>& visit);
  Result<std::optional<Row>> find(std::uint64_t seq);
  Result<std::optional<Row>> find(const std::string& id);

 private:
  Status check_version();

  sqlite::SqliteFile file_;
};

}  // namespace sluice::session

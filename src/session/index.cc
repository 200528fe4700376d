#include "session/index.h"

#include <fmt/format.h>

#include <cstring>

#include "base/text.h"

namespace sluice::session {
namespace {

using sqlite::SqliteFile;
using sqlite::Statement;

constexpr int kVersion = 1;
constexpr std::chrono::seconds kPatience{5};

constexpr const char* kSchema =
    "CREATE TABLE exchanges (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, ts INTEGER NOT NULL, method TEXT NOT NULL,"
    " host TEXT NOT NULL, path TEXT NOT NULL, url TEXT NOT NULL, status INTEGER NOT NULL, duration INTEGER,"
    " state INTEGER NOT NULL, protocol INTEGER NOT NULL, source INTEGER NOT NULL, request_size INTEGER NOT NULL,"
    " request_stored INTEGER NOT NULL, request_ended INTEGER NOT NULL, response_size INTEGER NOT NULL,"
    " response_stored INTEGER NOT NULL, response_ended INTEGER NOT NULL, has_response INTEGER NOT NULL,"
    " rule INTEGER NOT NULL, has_tls INTEGER NOT NULL, ja3 TEXT NOT NULL, ja4 TEXT NOT NULL, ja3s TEXT NOT NULL,"
    " type TEXT NOT NULL, segment INTEGER NOT NULL, places BLOB NOT NULL) STRICT;"
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
    "CREATE INDEX by_id ON exchanges (id);"
    "CREATE INDEX by_time ON exchanges (ts, seq);"
    "CREATE INDEX by_host ON exchanges (host, ts);"
    "CREATE INDEX by_status ON exchanges (status, ts);"
    "CREATE INDEX by_segment ON exchanges (segment);"
    "PRAGMA user_version = 1;";

constexpr const char* kColumns =
    "seq, id, ts, method, host, path, url, status, duration, state, protocol, source, request_size, request_stored,"
    " request_ended, response_size, response_stored, response_ended, has_response, rule, has_tls, ja3, ja4, ja3s, type,"
    " places";

void put(std::string& out, const Place& place) {
  for (const std::uint32_t number : {place.segment, place.offset, place.length}) {
    out.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
}

// opened, connection, upstream, and then the runs.
std::string places_of(const Row& row) {
  std::string out;
  put(out, row.opened);
  put(out, row.connection);
  put(out, row.upstream);
  for (const Place& run : row.runs) put(out, run);
  return out;
}

std::vector<Place> parse_places(Bytes octets) {
  std::vector<Place> places;
  for (; octets.size() >= sizeof(Place); octets.remove_prefix(sizeof(Place))) {
    static_assert(sizeof(Place) == 12);
    Place place;
    std::memcpy(&place, octets.data(), sizeof(place));
    places.push_back(place);
  }
  return places;
}

Row row_of(Statement& from) {
  int column = 0;
  const auto number = [&] { return from.integer(column++); };
  const auto text = [&] { return from.text(column++); };
  Row row;
  row.seq = static_cast<std::uint64_t>(number());
  row.id = text();
  row.timestamp_ms = number();
  row.method = text();
  row.host = text();
  row.target = text();
  row.url = text();
  row.status = static_cast<int>(number());
  if (!from.is_null(column)) row.duration_ms = from.integer(column);
  ++column;
  row.state = static_cast<flow::State>(number());
  row.protocol = static_cast<flow::Protocol>(number());
  row.source = static_cast<flow::Source>(number());
  for (flow::BodyInfo* body : {&row.request, &row.response}) {
    body->size = static_cast<ByteCount>(number());
    body->stored = static_cast<ByteCount>(number());
    body->ended = number() != 0;
    body->complete = body->stored == body->size;
  }
  row.has_response = number() != 0;
  row.matched_rule = static_cast<std::uint32_t>(number());
  row.has_tls = number() != 0;
  row.ja3 = text();
  row.ja4 = text();
  row.ja3s = text();
  row.content_type = text();
  auto places = parse_places(from.blob(column));
  if (places.size() >= 3) {
    row.opened = places[0];
    row.connection = places[1];
    row.upstream = places[2];
    row.runs.assign(places.begin() + 3, places.end());
  }
  return row;
}

// The conditions of a query and what they are bound to, so that no value becomes part of the SQL.
struct Where {
  explicit Where(const Query& query) {
    if (!query.method.empty()) add("method = ?", query.method);
    if (query.status) add("status = ?", *query.status);
    if (query.from_ms) add("ts >= ?", *query.from_ms);
    if (query.to_ms) add("ts <= ?", *query.to_ms);
    if (!query.host_contains.empty()) add("instr(lower(host), ?) > 0", to_lower(query.host_contains));
    if (!query.url_contains.empty()) add("instr(lower(url), ?) > 0", to_lower(query.url_contains));
    // Those without a type pass (contract).
    if (!query.type_contains.empty()) add("(type = '' OR instr(type, ?) > 0)", to_lower(query.type_contains));
    if (!query.text.empty()) {
      add("instr(lower(url || char(10) || host || char(10) || path || char(10) || id || char(10) ||"
          " iif(rule = 0, '', 'rule_' || rule)), ?) > 0",
          to_lower(query.text));
    }
  }
  void add(const char* condition, std::string value) {
    sql += sql.empty() ? " WHERE " : " AND ";
    sql += condition;
    texts.push_back(std::move(value));
    numbers.push_back(0);
  }
  void add(const char* condition, std::int64_t value) {
    sql += sql.empty() ? " WHERE " : " AND ";
    sql += condition;
    texts.push_back(std::nullopt);
    numbers.push_back(value);
  }
  void bind(Statement& statement) const {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const int at = static_cast<int>(i) + 1;
      if (texts[i]) {
        statement.bind_text(at, *texts[i]);
      } else {
        statement.bind(at, numbers[i]);
      }
    }
  }

  std::string sql;
  std::vector<std::optional<std::string>> texts;
  std::vector<std::int64_t> numbers;
};

}  // namespace

Index::Index(std::string path) : file_(std::move(path), kPatience, SqliteFile::Sync::kNormal) {}

Status Index::create() {
  return file_.open(SqliteFile::IfMissing::kCreate,
                    [this] { return file_.run((std::string("BEGIN IMMEDIATE;") + kSchema + "COMMIT").c_str()); });
}

Status Index::create_disposable() {
  SLUICE_CHECK(create());
  return file_.run("PRAGMA synchronous = OFF");
}

Status Index::open_to_read() {
  SLUICE_CHECK(file_.open_read_only());
  return check_version();
}

Status Index::check_version() {
  Statement asked(file_, "PRAGMA user_version");
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
  const auto version = asked.integer(0);
  if (version > kVersion) return fail(Code::kConflict, file_.path() + " was made by a newer Sluice: use that one");
  if (version < kVersion) return fail(Code::kIo, file_.path() + " is no whole index");
  return {};
}

Status Index::add(std::span<const Row> rows) {
  return file_.transact([&]() -> Status {
    Statement insert(file_, fmt::format("INSERT OR REPLACE INTO exchanges ({}, segment) VALUES (?,?,?,?,?,?,?,?,?,?,?,"
                                        "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                        kColumns)
                                .c_str());
    if (!insert.is_good()) return fail(file_.error("written"));
    for (const Row& row : rows) {
      const std::string places = places_of(row);
      int at = 0;
      const auto number = [&](auto value) { insert.bind(++at, static_cast<std::int64_t>(value)); };
      const auto text = [&](const std::string& value) { insert.bind_text(++at, value); };
      number(row.seq);
      text(row.id);
      number(row.timestamp_ms);
      text(row.method);
      text(row.host);
      text(row.target);
      text(row.url);
      number(row.status);
      if (row.duration_ms) {
        number(*row.duration_ms);
      } else {
        insert.bind_null(++at);
      }
      number(row.state);
      number(row.protocol);
      number(row.source);
      for (const flow::BodyInfo* body : {&row.request, &row.response}) {
        number(body->size);
        number(body->stored);
        number(body->ended);
      }
      number(row.has_response);
      number(row.matched_rule);
      number(row.has_tls);
      text(row.ja3);
      text(row.ja4);
      text(row.ja3s);
      text(row.content_type);
      insert.bind_blob(++at, places);
      number(row.opened.segment);
      if (!insert.run()) return fail(file_.error("written"));
    }
    return {};
  });
}

Status Index::drop_segment(std::uint32_t segment, std::uint64_t& exchanges) {
  return file_.transact([&]() -> Status {
    Statement erase(file_, "DELETE FROM exchanges WHERE segment = ?1");
    erase.bind(1, segment);
    if (!erase.run()) return fail(file_.error("written"));
    exchanges += static_cast<std::uint64_t>(file_.changes());
    return {};
  });
}

Status Index::seal() {
  SLUICE_CHECK(file_.run("INSERT OR REPLACE INTO facts VALUES ('whole', 1)"));
  return file_.run("PRAGMA journal_mode = DELETE");
}

bool Index::is_sealed() {
  Statement asked(file_, "SELECT value FROM facts WHERE name = 'whole'");
  return asked.is_good() && asked.step() == Statement::Step::kRow && asked.integer(0) == 1;
}

Result<std::uint64_t> Index::count(const Query& query) {
  const Where where(query);
  Statement asked(file_, ("SELECT COUNT(*) FROM exchanges" + where.sql).c_str());
  where.bind(asked);
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
  return static_cast<std::uint64_t>(asked.integer(0));
}

Result<std::uint64_t> Index::count_with_tls(const Query& query) {
  Where where(query);
  where.add("has_tls = ?", 1);
  Statement asked(file_, ("SELECT COUNT(*) FROM exchanges" + where.sql).c_str());
  where.bind(asked);
  if (!asked.is_good() || asked.step() != Statement::Step::kRow) return fail(file_.error("read"));
  return static_cast<std::uint64_t>(asked.integer(0));
}

Status Index::visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
                    const std::function<bool(const Row&)>& visit) {
  const Where where(query);
  const char* const order = query.ascending ? "ts, seq" : "ts DESC, seq";
  constexpr std::uint64_t kMost = INT64_MAX;
  const std::string sql = fmt::format("SELECT {} FROM exchanges{} ORDER BY {} LIMIT {} OFFSET {}", kColumns, where.sql,
                                      order, std::min(limit, kMost), std::min(offset, kMost));
  Statement asked(file_, sql.c_str());
  if (!asked.is_good()) return fail(file_.error("read"));
  where.bind(asked);
  for (;;) {
    switch (asked.step()) {
      case Statement::Step::kDone:
        return {};
      case Statement::Step::kFailed:
        return fail(file_.error("read"));
      case Statement::Step::kRow:
        if (!visit(row_of(asked))) return {};
    }
  }
}

Result<std::optional<Row>> Index::find(std::uint64_t seq) {
  Statement asked(file_, fmt::format("SELECT {} FROM exchanges WHERE seq = ?1", kColumns).c_str());
  if (!asked.is_good()) return fail(file_.error("read"));
  asked.bind(1, static_cast<std::int64_t>(std::min<std::uint64_t>(seq, INT64_MAX)));
  const auto step = asked.step();
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  return step == Statement::Step::kRow ? std::optional(row_of(asked)) : std::nullopt;
}

Result<std::optional<Row>> Index::find(const std::string& id) {
  Statement asked(file_, fmt::format("SELECT {} FROM exchanges WHERE id = ?1", kColumns).c_str());
  if (!asked.is_good()) return fail(file_.error("read"));
  asked.bind_text(1, id);
  const auto step = asked.step();
  if (step == Statement::Step::kFailed) return fail(file_.error("read"));
  return step == Statement::Step::kRow ? std::optional(row_of(asked)) : std::nullopt;
}

}  // namespace sluice::session

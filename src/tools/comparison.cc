// Beyond the contract: proxy_diff_exchanges, proxy_diff_sessions.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "analysis/body.h"
#include "replay/compare.h"
#include "tools/replaying.h"
#include "tools/session_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostRows = 100'000;  // of each recording

replay::CompareOptions options_of(const Json& arguments) {
  replay::CompareOptions options;
  options.ignore_volatile = flag_argument(arguments, "ignore_volatile");
  if (const Json* ignore = find_member(arguments, "ignore")) options.ignore = ignore->get<std::vector<std::string>>();
  return options;
}

std::vector<Field> comparison_fields() {
  return {{.name = "ignore_volatile",
           .type = FieldType::kBoolean,
           .meaning = "Dates, ids of requests, times and tokens in JSON do not count.",
           .default_value = true},
          {.name = "ignore",
           .type = FieldType::kStringArray,
           .meaning = "Header names and JSON pointers that do not count."}};
}

// An exchange of the ring, or of a recording.
struct Found {
  flow::Exchange exchange;
  std::unique_ptr<session::Reader> reader;
  const capture::BodySource* bodies = nullptr;
};

Result<Found> find_exchange(const Json& arguments, const std::string& side, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_" + side);
  const auto session = text_argument(arguments, "session_" + side);
  Found found;
  if (session) {
    SLUICE_TRY(found.reader, open_session({{"session_id", *session}}, context));
    SLUICE_TRY(const session::Row row, found.reader->find(id));
    SLUICE_TRY(found.exchange, found.reader->exchange(row));
    found.bodies = found.reader.get();
    return found;
  }
  auto exchange = context.services->ring.find(id);
  if (!exchange)
    return fail(Code::kNotFound, fmt::format("There is no exchange \"{}\" in the ring.", id.substr(0, 80)));
  found.exchange = *std::move(exchange);
  found.bodies = &context.services->ring;
  return found;
}

Result<replay::Answer> request_of(const Found& found, const std::stop_token& stop) {
  return recorded_message(*found.bodies, found.exchange, flow::Direction::kRequest, stop);
}

ToolResult diff_exchanges(const Json& arguments, CallContext& context) {
  context.services->ring.sync();
  SLUICE_TRY(const Found a, find_exchange(arguments, "a", context));
  SLUICE_TRY(const Found b, find_exchange(arguments, "b", context));
  const replay::CompareOptions options = options_of(arguments);
  SLUICE_TRY(const replay::Answer request_a, request_of(a, context.stop));
  SLUICE_TRY(const replay::Answer request_b, request_of(b, context.stop));
  SLUICE_TRY(const replay::Answer answer_a, recorded_answer(*a.bodies, a.exchange, context.stop));
  SLUICE_TRY(const replay::Answer answer_b, recorded_answer(*b.bodies, b.exchange, context.stop));
  const replay::Comparison requests = replay::compare(request_a, request_b, options);
  const replay::Comparison answers = replay::compare(answer_a, answer_b, options);
  const std::string url_a = flow::url_of(a.exchange), url_b = flow::url_of(b.exchange);
  const bool same_line = a.exchange.method == b.exchange.method && url_a == url_b;
  Json answer = {{"same", same_line && requests.same && answers.same}};
  answer["request"] = replay::comparison_json(requests);
  if (a.exchange.method != b.exchange.method) {
    answer["request"]["method"] = {{"a", a.exchange.method}, {"b", b.exchange.method}};
  }
  if (url_a != url_b) answer["request"]["url"] = {{"a", url_a}, {"b", url_b}};
  answer["response"] = replay::comparison_json(answers);
  return answer;
}

// --- proxy_diff_sessions ---

using Rows = std::unordered_map<std::string, std::deque<session::Row>>;

std::string key_of(const session::Row& row, bool any_host) {
  return row.method + ' ' + (any_host ? row.target : row.url);
}

// By what they ask for, each in the order of the recording.
Result<Rows> rows_of(const session::Reader& reader, const session::Query& query, bool any_host,
                     std::vector<std::string>* order) {
  Rows rows;
  std::size_t seen = 0;
  SLUICE_CHECK(reader.visit(query, 0, kMostRows + 1, [&](const session::Row& row) {
    if (++seen > kMostRows) return false;
    const std::string key = key_of(row, any_host);
    if (order) order->push_back(key);
    rows[key].push_back(row);
    return true;
  }));
  if (seen > kMostRows) return fail(Code::kTooLarge, "At most 100,000 exchanges are compared: give a filter.");
  return rows;
}

Json brief(const session::Row& row) {
  return {{"exchangeId", row.id}, {"seq", row.seq}, {"method", row.method}, {"url", row.url}, {"status", row.status}};
}

ToolResult diff_sessions(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const auto a, open_session({{"session_id", *text_argument(arguments, "session_a")}}, context));
  SLUICE_TRY(const auto b, open_session({{"session_id", *text_argument(arguments, "session_b")}}, context));
  session::Query query = read_query(arguments);
  query.ascending = true;
  const bool any_host = flag_argument(arguments, "any_host");
  std::vector<std::string> order;
  SLUICE_TRY(Rows rows_a, rows_of(*a, query, any_host, &order));
  SLUICE_TRY(Rows rows_b, rows_of(*b, query, any_host, nullptr));
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  const replay::CompareOptions options = options_of(arguments);
  const auto enough = deadline_passed(context);
  Json items = Json::array();
  std::size_t same = 0, different = 0, only_a = 0, only_b = 0, found = 0, compared = 0;
  bool whole = true;
  const auto list = [&](Json item) {
    if (found++ >= offset && items.size() < limit) items.push_back(std::move(item));
  };
  for (const std::string& key : order) {
    if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    if (enough && enough()) {
      whole = false;
      break;
    }
    ++compared;
    auto& mine = rows_a[key];
    const session::Row row_a = std::move(mine.front());
    mine.pop_front();
    const auto theirs = rows_b.find(key);
    if (theirs == rows_b.end() || theirs->second.empty()) {
      ++only_a;
      list({{"kind", "only_a"}, {"a", brief(row_a)}});
      continue;
    }
    const session::Row row_b = std::move(theirs->second.front());
    theirs->second.pop_front();
    SLUICE_TRY(const flow::Exchange exchange_a, a->exchange(row_a));
    SLUICE_TRY(const flow::Exchange exchange_b, b->exchange(row_b));
    SLUICE_TRY(const replay::Answer answer_a, recorded_answer(*a, exchange_a, context.stop));
    SLUICE_TRY(const replay::Answer answer_b, recorded_answer(*b, exchange_b, context.stop));
    const replay::Comparison made = replay::compare(answer_a, answer_b, options);
    ++(made.same ? same : different);
    if (!made.same) {
      list({{"kind", "different"}, {"a", brief(row_a)}, {"b", brief(row_b)}, {"diff", replay::comparison_json(made)}});
    }
  }
  if (whole) {
    std::vector<const session::Row*> left;
    for (const auto& [key, rows] : rows_b) {
      for (const session::Row& row : rows) left.push_back(&row);
    }
    std::sort(left.begin(), left.end(), [](const auto* x, const auto* y) { return x->seq < y->seq; });
    only_b = left.size();
    for (const session::Row* row : left) list({{"kind", "only_b"}, {"b", brief(*row)}});
  }
  Json answer = {{"same", same},   {"different", different}, {"onlyA", only_a},          {"onlyB", only_b},
                 {"total", found}, {"offset", offset},       {"items", std::move(items)}};
  if (!whole) answer["compared"] = compared;
  return answer;
}

}  // namespace

std::vector<Tool> comparison_tools() {
  Tool exchanges = {
      .name = "proxy_diff_exchanges",
      .title = "Compare two exchanges",
      .summary =
          "What differs between two exchanges, captured or recorded: method, URL, headers, body, JSON by pointer. "
          "Places, not values.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "exchange_a", .meaning = "From a list.", .required = true},
                 {.name = "exchange_b", .meaning = "From a list.", .required = true},
                 {.name = "session_a", .meaning = "The recording that has it; absent: the ring."},
                 {.name = "session_b", .meaning = "The same of the other."}},
      .result = {{"same", "boolean", ""},
                 {"request", "object", "{same, method?, url?, headers?, body, json?}"},
                 {"response", "object", "{same, status?, headers?, body, json?}"}},
      .function = diff_exchanges,
  };
  Tool sessions = {
      .name = "proxy_diff_sessions",
      .title = "Compare two recordings",
      .summary =
          "Pairs the exchanges of two recordings by method and URL, in order, and says which answers differ and which "
          "are in one of them only.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent | kPagesByItem,
      .fields = {{.name = "session_a", .meaning = "From proxy_list_sessions.", .required = true},
                 {.name = "session_b", .meaning = "From proxy_list_sessions.", .required = true},
                 {.name = "any_host",
                  .type = FieldType::kBoolean,
                  .meaning = "Pair by path and query, whatever the host.",
                  .default_value = false},
                 item_limit_field(),
                 item_offset_field()},
      .result = {{"same", "number", "pairs"},
                 {"different", "number", "pairs"},
                 {"onlyA", "number", ""},
                 {"onlyB", "number", ""},
                 {"total", "number", "items in all: what is not the same"},
                 {"offset", "number", ""},
                 {"items", "object[]", "{kind: different|only_a|only_b, a?, b?, diff?}"},
                 {"compared", "number", "time ran out after this many of session_a", true}},
      .function = diff_sessions,
  };
  add_query_fields(sessions.fields);
  for (Tool* tool : {&exchanges, &sessions}) {
    for (Field& field : comparison_fields()) tool->fields.push_back(std::move(field));
  }
  return {std::move(exchanges), std::move(sessions)};
}

}  // namespace sluice::tools

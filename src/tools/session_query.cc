// Reading recordings: proxy_query_session, proxy_get_session_handshakes, proxy_get_session_exchange. proxy.md (d).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/redact.h"
#include "tools/exchange_json.h"
#include "tools/page.h"
#include "tools/session_json.h"
#include "tools/session_rows.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {

Result<std::shared_ptr<const session::Matches>> match_visible(const session::Reader& reader,
                                                              const session::Query& query, CallContext& context) {
  const auto enough = deadline_passed(context);
  const bool hides = context.redactor && (!query.url_contains.empty() || !query.text.empty());
  const session::Sieve visible{[&](const session::RowBrief& row) { return is_visible(query, row, context.redactor); },
                               [&] { return context.stop.stop_requested() || (enough && enough()); }};
  auto matches = reader.match(query, hides ? &visible : nullptr);
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  return matches;
}

namespace {

// How many rows of a list stand before what comes behind `after`, whether that is still there or not.
std::uint64_t place_behind(const std::vector<session::Matches::Match>& rows, const session::Matches::Match& after,
                           bool ascending) {
  const auto at = std::upper_bound(rows.begin(), rows.end(), after);
  if (ascending) return static_cast<std::uint64_t>(at - rows.begin());
  // Newest first, but those of the same time by seq.
  using Match = session::Matches::Match;
  const auto first = std::lower_bound(rows.begin(), at, Match{after.timestamp_ms, 0});
  const auto newer = std::upper_bound(at, rows.end(), Match{after.timestamp_ms, UINT64_MAX});
  return static_cast<std::uint64_t>((rows.end() - newer) + (at - first));
}

}  // namespace

Result<FoundRows> find_rows(const session::Reader& reader, const session::Query& query,
                            const std::optional<analysis::FilterExpression>& expression, std::uint64_t offset,
                            std::uint64_t limit, CallContext& context,
                            const std::optional<session::Matches::Match>& after) {
  FoundRows found;
  found.offset = offset;
  const auto enough = deadline_passed(context);
  SLUICE_TRY(const auto matches, match_visible(reader, query, context));
  if (!expression) {
    found.total = matches->rows.size();
    found.with_tls = matches->with_tls;
    found.searched = matches->ended_after;
    if (after) found.offset = place_behind(matches->rows, *after, query.ascending);
    SLUICE_CHECK(reader.visit(*matches, query.ascending, found.offset, limit, [&](const session::Row& row) {
      found.rows.push_back(row);
      return true;
    }));
    return found;
  }
  const analysis::FilterReading reading = filter_reading(context);
  std::uint64_t looked_at = 0;
  if (after) found.offset = 0;
  Status failed;
  SLUICE_CHECK(reader.visit(*matches, query.ascending, 0, UINT64_MAX, [&](const session::Row& row) {
    if (context.stop.stop_requested()) {
      failed = fail(Code::kCancelled, "The call was cancelled.");
      return false;
    }
    if (enough && enough()) {
      found.searched = looked_at;
      return false;
    }
    ++looked_at;
    const auto exchange = reader.exchange(row);
    if (!exchange) return true;  // it left, or is damaged
    const auto passed = analysis::passes(*expression, reader, *exchange, reading);
    if (!passed) {
      failed = fail(passed.error());
      return false;
    }
    if (!*passed) return true;
    const session::Matches::Match at{row.timestamp_ms, row.seq};
    const bool newer = after && at.timestamp_ms > after->timestamp_ms;
    const bool older = after && at.timestamp_ms < after->timestamp_ms;
    const bool before = after && ((query.ascending ? older : newer) || (!older && !newer && at.seq <= after->seq));
    if (before) found.offset = found.total + 1;
    if (found.total >= found.offset && found.rows.size() < limit) found.rows.push_back(row);
    ++found.total;
    if (row.has_tls) ++found.with_tls;
    return true;
  }));
  SLUICE_CHECK(failed);
  return found;
}

namespace {

constexpr double kMostRows = 5'000;
constexpr ByteCount kLeastBodyLimit = 1 * kKiB;

// "TIME-SEQ" of the last row of a page: where it stands stays where it is while rows are added before it.
Result<std::optional<session::Matches::Match>> read_row_cursor(const Json& arguments) {
  const auto text = text_argument(arguments, "cursor");
  if (!text) return std::nullopt;
  session::Matches::Match at;
  const char* const end = text->data() + text->size();
  const auto time = std::from_chars(text->data(), end, at.timestamp_ms);
  if (time.ec == std::errc() && time.ptr != end && *time.ptr == '-') {
    const auto seq = std::from_chars(time.ptr + 1, end, at.seq);
    if (seq.ec == std::errc() && seq.ptr == end) return at;
  }
  return fail(Code::kInvalid, "cursor is none: give nextCursor of an answer.");
}

// The rows that an answer has room for, and where the next page begins.
template <class MakeItem>
void put_page(Json& answer, const FoundRows& found, const MakeItem& make_item) {
  Page page;
  for (const session::Row& row : found.rows) {
    if (!page.add(make_item(row))) break;
  }
  const std::size_t shown = page.size();
  answer["items"] = page.take();
  if (shown == 0 || found.offset + shown >= found.total) return;
  const session::Row& last = found.rows[shown - 1];
  answer["nextOffset"] = found.offset + shown;
  answer["nextCursor"] = fmt::format("{}-{}", last.timestamp_ms, last.seq);
}

Result<FoundRows> find_page(const session::Reader& reader, const Json& arguments,
                            const std::optional<analysis::FilterExpression>& expression, CallContext& context) {
  SLUICE_TRY(const auto after, read_row_cursor(arguments));
  const auto limit = static_cast<std::uint64_t>(*integer_argument(arguments, "limit"));
  const auto offset = static_cast<std::uint64_t>(*integer_argument(arguments, "offset"));
  return find_rows(reader, read_query(arguments), expression, offset, limit, context, after);
}

ToolResult query_session(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const auto expression, read_expression(arguments));
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  SLUICE_TRY(const FoundRows found, find_page(*reader, arguments, expression, context));
  Json answer = {{"total", found.total}, {"limit", *integer_argument(arguments, "limit")}, {"offset", found.offset}};
  put_page(answer, found, row_json);
  if (found.searched) answer["searched"] = *found.searched;
  return answer;
}

ToolResult get_handshakes(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  SLUICE_TRY(const FoundRows found, find_page(*reader, arguments, std::nullopt, context));
  Json answer = {{"sessionId", reader->manifest().id},
                 {"total", found.total},
                 {"withTlsMetadata", found.with_tls},
                 {"withoutTlsMetadata", found.total - found.with_tls},
                 {"unavailableReason", "Plain HTTP, imported and replayed exchanges have no client handshake."}};
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  put_page(answer, found, [&](const session::Row& row) {
    return Json{{"seq", row.seq},       {"exchangeId", row.id},   {"timestamp", row.timestamp_ms},
                {"hostname", row.host}, {"url", row.url},         {"ja3", text(row.ja3)},
                {"ja4", text(row.ja4)}, {"ja3s", text(row.ja3s)}, {"hasTls", row.has_tls}};
  });
  return answer;
}

// {prefix}BodyText, {prefix}BodyBase64, {prefix}Body: what body_json says, in the contract's members.
Status add_body(Json& record, const char* prefix, const session::Reader& reader, const flow::Exchange& exchange,
                flow::Direction direction, const analysis::BodyOptions& options) {
  SLUICE_TRY(Json body, body_json(reader, exchange, direction, options));
  const std::string name(prefix);
  const auto take = [&](const char* member) {
    Json value;
    if (body.contains(member)) {
      value = std::move(body[member]);
      body.erase(member);
    }
    return value;
  };
  Json text = take("text"), octets = take("base64");
  if (!octets.is_null()) record[name + "BodyBase64"] = std::move(octets);
  record[name + "BodyText"] = std::move(text);
  record[name + "Body"] = std::move(body);
  return {};
}

ToolResult get_exchange(const Json& arguments, CallContext& context) {
  const auto seq = integer_argument(arguments, "seq");
  const auto id = text_argument(arguments, "exchange_id");
  if (!seq && !id) return fail(Code::kInvalid, "Provide seq or exchange_id.");
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  const auto looked_up = seq ? reader->find(static_cast<std::uint64_t>(*seq)) : reader->find(*id);
  if (!looked_up) return fail(looked_up.error());
  const session::Row& row = *looked_up;
  Json answer = {{"index", row_json(row)}};
  if (!flag_argument(arguments, "include_body")) return answer;
  SLUICE_TRY(const flow::Exchange exchange, reader->exchange(row));
  const auto limit = integer_argument(arguments, "limit");
  ExchangeView view;
  view.server_tls = context.services->server_tls_shown->load();
  view.body.redactor = context.redactor;
  view.body.offset = static_cast<ByteCount>(*integer_argument(arguments, "offset"));
  view.body.limit = limit ? static_cast<ByteCount>(*limit) : kDefaultBodyLimit;
  view.body.form = flag_argument(arguments, "decoded") ? analysis::Form::kDecoded : analysis::Form::kAsOnWire;
  view.body.stop = context.stop;
  if (row.protocol == flow::Protocol::kWebSocket) view.include |= kMessages;
  view.messages.redactor = context.redactor;
  view.messages.stop = context.stop;
  // Unless the caller wants so much, bodies are shortened until they fit: else nextOffset would be behind what is
  // shown.
  for (;; view.body.limit /= 2) {
    Json record = {{"seq", row.seq}, {"sessionId", reader->manifest().id}};
    SLUICE_TRY(record["exchange"], exchange_json(*reader, exchange, view));
    SLUICE_CHECK(add_body(record, "request", *reader, exchange, flow::Direction::kRequest, view.body));
    SLUICE_CHECK(add_body(record, "response", *reader, exchange, flow::Direction::kResponse, view.body));
    answer["record"] = std::move(record);
    if (limit || view.body.limit <= kLeastBodyLimit || dump_json(answer).size() <= kPageOctets) return answer;
  }
}

void add_page_fields(Tool& tool, int limit) {
  tool.fields.push_back({.name = "limit",
                         .type = FieldType::kInteger,
                         .meaning = "Page size.",
                         .default_value = limit,
                         .minimum = 1,
                         .maximum = kMostRows});
  tool.fields.push_back(
      {.name = "offset", .type = FieldType::kInteger, .meaning = "Rows to skip.", .default_value = 0, .minimum = 0});
  tool.fields.push_back({.name = "cursor",
                         .meaning = "nextCursor of the last answer, with the same other arguments: in place of offset; "
                                    "rows that came meanwhile shift nothing."});
  tool.fields.push_back({.name = "sort", .meaning = "By time.", .default_value = "desc", .choices = {"asc", "desc"}});
}

Field id_field() { return {.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true}; }

Tool query_tool() {
  Tool tool = {
      .name = "proxy_query_session",
      .title = "Query a recording",
      .summary =
          "Exchanges of a recording, newest first, with the exact total; all filters must hold. Works while it is "
          "being made.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {id_field()},
      .result = {{"total", "number", "after filters"},
                 {"limit", "number", ""},
                 {"offset", "number", ""},
                 {"items", "object[]", "", false, false, row_result()},
                 {"nextOffset", "number", "there are more", true},
                 {"nextCursor", "string", "the same, and stays right while rows are added", true},
                 {"searched", "number", "time ran out after this many exchanges", true}},
      .function = query_session,
  };
  add_page_fields(tool, 50);
  add_query_fields(tool.fields);
  tool.fields.push_back({.name = "filter", .meaning = "As in proxy_list_traffic: ~d host ~c 5.. ~b body ! & | ()"});
  return tool;
}

Tool handshakes_tool() {
  Tool tool = {
      .name = "proxy_get_session_handshakes",
      .title = "Fingerprints in a recording",
      .summary = "JA3, JA4 and JA3S of each exchange of a recording, and how many have them.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {id_field()},
      .result = {{"sessionId", "string", ""},
                 {"total", "number", ""},
                 {"withTlsMetadata", "number", ""},
                 {"withoutTlsMetadata", "number", ""},
                 {"unavailableReason", "string", "why some have none"},
                 {"items",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"seq", "number", ""},
                   {"exchangeId", "string", ""},
                   {"timestamp", "number", "ms"},
                   {"hostname", "string", ""},
                   {"url", "string", ""},
                   {"ja3", "string", "", false, true},
                   {"ja4", "string", "", false, true},
                   {"ja3s", "string", "", false, true},
                   {"hasTls", "boolean", ""}}},
                 {"nextOffset", "number", "there are more", true},
                 {"nextCursor", "string", "the same, and stays right while rows are added", true}},
      .function = get_handshakes,
  };
  add_page_fields(tool, 200);
  tool.fields.push_back({.name = "hostname_contains", .meaning = "Part of the host."});
  tool.fields.push_back({.name = "url_contains", .meaning = "Part of the URL."});
  return tool;
}

Tool exchange_tool() {
  return {
      .name = "proxy_get_session_exchange",
      .title = "One recorded exchange",
      .summary = "One exchange of a recording by seq or exchange_id, with heads, TLS and bodies.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {id_field(),
                 {.name = "seq", .type = FieldType::kInteger, .meaning = "From a query.", .minimum = 0},
                 {.name = "exchange_id", .meaning = "From a query; seq wins."},
                 {.name = "include_body",
                  .type = FieldType::kBoolean,
                  .meaning = "The whole record; else its row alone.",
                  .default_value = true},
                 {.name = "decoded",
                  .type = FieldType::kBoolean,
                  .meaning = "Take content codings off.",
                  .default_value = true},
                 {.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "Of bodies, in bytes.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Bytes of each body (16384, at most 1 MiB).",
                  .minimum = 0,
                  .maximum = static_cast<double>(kMiB)}},
      .result = {{"index", "object", "", false, false, row_result()},
                 {"record",
                  "object",
                  "",
                  true,
                  false,
                  {{"seq", "number", ""},
                   {"sessionId", "string", ""},
                   {"exchange", "object", "", false, false, exchange_result()},
                   {"requestBodyBase64", "string", "what is no text", true},
                   {"requestBodyText", "string", "", false, true},
                   {"requestBody", "object", "{contentType, codings, offset, bytes, total, complete, nextOffset?}"},
                   {"responseBodyBase64", "string", "", true},
                   {"responseBodyText", "string", "", false, true},
                   {"responseBody", "object", ""}}}},
      .function = get_exchange,
  };
}

}  // namespace

std::vector<Tool> session_query_tools() {
  return {query_tool(), search_session_tool(), handshakes_tool(), exchange_tool()};
}

}  // namespace sluice::tools

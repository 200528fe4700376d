// get_traffic_summary, inspect_flow, inspect_flows, search_traffic, clear_traffic (mitm-tools.json). Flows are the
// exchanges of proxy_*, open ones too; newest first.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "analysis/domain.h"
#include "analysis/search.h"
#include "base/text.h"
#include "tools/mitm_flow.h"
#include "tools/page.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

using flow::Direction;

constexpr std::int64_t kMostRows = 10'000;
constexpr ByteCount kMostMeasured = 64 * kMiB;  // decoded octets read for the sizes of one page
constexpr ByteCount kBodyLimit = 16 * kKiB;     // octets of a body where the caller names no limit
constexpr ByteCount kLeastBody = 1 * kKiB;      // of one that has to be shortened for the page's sake

// --- pages ---

std::size_t wanted_rows(const Json& arguments) {
  const std::int64_t limit = *integer_argument(arguments, "limit");
  return static_cast<std::size_t>(limit < 0 ? kMostRows : std::min(limit, kMostRows));
}

// Every state: a flow is there from its request on.
Result<capture::Filter> flow_filter(const Json& arguments) {
  capture::Filter filter;
  filter.after_rev = 0;
  filter.method = to_upper(text_argument(arguments, "method").value_or(""));
  if (const auto text = text_argument(arguments, "domain"); text && !text->empty()) {
    SLUICE_TRY(analysis::Domain domain, analysis::parse_domain(*text));
    filter.host_passes = [domain = std::move(domain)](std::string_view host, std::uint16_t port) {
      return domain.holds(host, port);
    };
  }
  return filter;
}

class Rows {
 public:
  bool add(Json row) { return rows_.add(std::move(row)); }
  Json answer(std::optional<std::size_t> total, const std::optional<std::uint64_t>& next) {
    Json answer = {{"result", rows_.take()}};
    if (total) answer["total"] = *total;
    if (next) answer["next_cursor"] = std::to_string(*next);
    return answer;
  }
  std::size_t size() const { return rows_.size(); }

 private:
  Page rows_;
};

// The newest flows that pass, newest first. The first page says how many there are.
template <class MakeRow>
Result<Json> newest(const Json& arguments, const CallContext& context, const MakeRow& make_row) {
  const capture::Ring& ring = context.services->ring;
  context.services->ring.sync();
  SLUICE_TRY(capture::Filter filter, flow_filter(arguments));
  SLUICE_TRY(const auto cursor, read_cursor(arguments));
  std::optional<std::size_t> total;
  if (!cursor) total = ring.list(filter, 0, 0).total;
  filter.before_rev = cursor;
  const std::size_t wanted = wanted_rows(arguments);
  Rows rows;
  for (const flow::Exchange& exchange : ring.newest(filter, wanted + 1)) {
    if (rows.size() == wanted || !rows.add(make_row(exchange))) return rows.answer(total, exchange.rev + 1);
  }
  return rows.answer(total, std::nullopt);
}

// --- the tools ---

ToolResult get_traffic_summary(const Json& arguments, CallContext& context) {
  ByteCount budget = kMostMeasured;
  return newest(arguments, context, [&](const flow::Exchange& exchange) {
    return Json{{"id", exchange.id},
                {"url", flow::url_of(exchange)},
                {"method", exchange.method},
                {"status_code", status_or_null(exchange)},
                {"content_type", content_type_or_unknown(exchange, Direction::kResponse)},
                {"size", decoded_size(exchange, budget, context)},
                {"timestamp", started_seconds(exchange)}};
  });
}

Json found_row(const flow::Exchange& exchange) {
  return {{"id", exchange.id},
          {"url", flow::url_of(exchange)},
          {"method", exchange.method},
          {"status_code", status_or_null(exchange)},
          {"timestamp", started_seconds(exchange)}};
}

ToolResult search_traffic(const Json& arguments, CallContext& context) {
  const std::string text = text_argument(arguments, "query").value_or("");
  if (text.empty()) return newest(arguments, context, found_row);
  capture::Ring& ring = context.services->ring;
  ring.sync();
  analysis::SearchQuery query;
  query.text = text;
  SLUICE_TRY(query.filter, flow_filter(arguments));
  SLUICE_TRY(const auto cursor, read_cursor(arguments));
  // What changes after the first page is left out of the others, so that none is shown twice.
  query.filter.before_rev = cursor;
  query.newest_first = true;
  query.index = context.services->text_index;
  query.limit = wanted_rows(arguments);
  query.redactor = context.redactor;
  query.stop = context.stop;
  query.enough = deadline_passed(context);
  SLUICE_TRY(const analysis::SearchResult found, analysis::search(ring, query));
  Rows rows;
  std::uint64_t next = found.rev;
  bool whole = found.whole;
  for (std::size_t i = 0; i < found.hits.size(); ++i) {
    const auto exchange = ring.find(found.hits[i].id);
    if (!exchange) continue;  // it left the ring meanwhile
    Json row = found_row(*exchange);
    row["found_in"] = to_string(found.hits[i].place);
    if (!rows.add(std::move(row))) {
      next = found.hits[i].rev + 1;
      whole = false;
      break;
    }
  }
  const bool known = found.whole && !cursor;
  Json answer =
      rows.answer(known ? std::optional(found.total) : std::nullopt, whole ? std::nullopt : std::optional(next));
  if (!known) answer["searched"] = found.searched;
  return answer;
}

BodyView body_view(const Json& arguments) {
  BodyView view;
  view.name = "body";
  view.offset = static_cast<ByteCount>(*integer_argument(arguments, "offset"));
  view.limit = static_cast<ByteCount>(integer_argument(arguments, "limit").value_or(kBodyLimit));
  view.units = SIZE_MAX;
  return view;
}

ToolResult inspect_flow(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  const bool paged = find_member(arguments, "limit") || *integer_argument(arguments, "offset") > 0;
  if (flag_argument(arguments, "full_body") || paged) return flow_detail(exchange, body_view(arguments), context);
  return flow_detail(exchange, {}, context);
}

// --- inspect_flows ---

constexpr std::array<std::string_view, 12> kColumns{"id",
                                                    "url",
                                                    "method",
                                                    "status_code",
                                                    "request_headers",
                                                    "request_body",
                                                    "response_headers",
                                                    "response_body",
                                                    "timestamp",
                                                    "size",
                                                    "content_type",
                                                    "response_content_type"};

Result<std::vector<std::string>> read_columns(const Json& arguments) {
  std::vector<std::string> columns = comma_list(text_argument(arguments, "fields").value_or(""));
  if (columns.empty()) return std::vector<std::string>(kColumns.begin(), kColumns.begin() + 8);
  std::vector<std::string> unknown;
  for (const std::string& column : columns) {
    if (std::find(kColumns.begin(), kColumns.end(), column) == kColumns.end()) unknown.push_back(column);
  }
  if (unknown.empty()) return columns;
  return fail(Code::kInvalid,
              fmt::format("Unknown fields: {}. There are: {}.", fmt::join(unknown, ", "), fmt::join(kColumns, ", ")));
}

class ColumnReader {
 public:
  ColumnReader(std::vector<std::string> columns, BodyView view, const CallContext& context)
      : columns_(std::move(columns)), view_(view), context_(context) {}

  // Bodies shorter than was usual, where the page has room for no more: what is left of them is the next page then.
  Result<Json> read_first(const flow::Exchange& exchange) {
    BodyView view = view_;
    for (;; view.limit /= 2) {
      SLUICE_TRY(Json json, read(exchange, view));
      if (view.limit <= kLeastBody || dump_json(json).size() <= kPageOctets) return json;
    }
  }

  Result<Json> read(const flow::Exchange& exchange) { return read(exchange, view_); }

 private:
  Result<Json> read(const flow::Exchange& exchange, const BodyView& view) {
    Json json = {{"id", exchange.id}};
    Json request = Json::object(), response = Json::object();
    if (has("url")) request["url"] = flow::url_of(exchange);
    if (has("method")) request["method"] = exchange.method;
    if (has("request_headers")) request["headers"] = header_pairs(fields_of(exchange, Direction::kRequest));
    if (has("request_body")) SLUICE_CHECK(put_body(request, exchange, Direction::kRequest, view, context_));
    if (exchange.status != 0) {
      if (has("status_code")) response["status_code"] = exchange.status;
      if (has("response_headers")) response["headers"] = header_pairs(fields_of(exchange, Direction::kResponse));
      if (has("response_body")) SLUICE_CHECK(put_body(response, exchange, Direction::kResponse, view, context_));
    }
    if (!request.empty()) json["request"] = std::move(request);
    if (!response.empty()) json["response"] = std::move(response);
    if (has("timestamp")) json["timestamp"] = started_seconds(exchange);
    if (has("size")) json["size"] = decoded_size(exchange, budget_, context_);
    if (has("content_type")) json["content_type"] = content_type_or_unknown(exchange, Direction::kRequest);
    if (has("response_content_type")) {
      json["response_content_type"] = content_type_or_unknown(exchange, Direction::kResponse);
    }
    return json;
  }

  bool has(std::string_view column) const {
    return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
  }

  std::vector<std::string> columns_;
  BodyView view_;
  const CallContext& context_;
  ByteCount budget_ = kMostMeasured;
};

ToolResult inspect_flows(const Json& arguments, CallContext& context) {
  SLUICE_TRY(std::vector<std::string> columns, read_columns(arguments));
  ColumnReader reader(std::move(columns), body_view(arguments), context);
  const bool limited = find_member(arguments, "limit") != nullptr;
  Page page(limited ? kMiB : kPageOctets);
  Json missing = Json::array();
  const std::vector<std::string> ids = comma_list(*text_argument(arguments, "flow_ids"));
  std::size_t next = 0;
  for (; next < ids.size(); ++next) {
    const std::string& id = ids[next];
    if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    const auto exchange = find_flow(context, id);
    if (!exchange) {
      missing.push_back(id);
      continue;
    }
    SLUICE_TRY(Json item, page.empty() && !limited ? reader.read_first(*exchange) : reader.read(*exchange));
    if (!page.add(std::move(item))) break;
  }
  Json answer = {{"result", page.take()}};
  if (!missing.empty()) answer["missing"] = std::move(missing);
  if (next < ids.size()) {
    answer["next_flow_id"] = ids[next];
    answer["not_shown"] = ids.size() - next;
  }
  return answer;
}

ToolResult clear_traffic(const Json&, CallContext& context) {
  context.services->ring.sync();
  const std::size_t cleared = context.services->ring.clear();
  Json answer = sentence(fmt::format("Traffic cleared: {} flows.", cleared));
  answer["cleared"] = cleared;
  return answer;
}

// --- definitions ---

constexpr unsigned kReading = kMitmproxy | kSlow | kReturnsTraffic | kIdempotent;

Field limit_field(std::int64_t usual) {
  return {.name = "limit",
          .type = FieldType::kInteger,
          .meaning = "At most so many; negative: as many as fit.",
          .default_value = usual};
}
Field cursor_field() { return {.name = "cursor", .meaning = "next_cursor of the last answer: older ones."}; }

std::vector<Field> body_fields() {
  return {{.name = "offset",
           .type = FieldType::kInteger,
           .meaning = "Octets of the bodies to skip.",
           .default_value = 0,
           .minimum = 0},
          {.name = "limit",
           .type = FieldType::kInteger,
           .meaning = "Octets of each body (16384, at most 1 MiB).",
           .minimum = 0,
           .maximum = static_cast<double>(kMiB)}};
}

std::vector<ResultField> page_result(std::vector<ResultField> row) {
  return {{"result", "object[]", "", false, false, std::move(row)},
          {"total", "number", "flows that pass; on a first page, if all were looked at", true},
          {"next_cursor", "string", "go on here: there are older ones", true},
          {"searched", "number", "flows that were looked at, where that is not all", true}};
}

Tool summary_tool() {
  return {.name = "get_traffic_summary",
          .title = "Newest flows",
          .summary = "The newest captured flows, one line each, newest first.",
          .group = "traffic",
          .risk = Risk::kRead,
          .hints = kReading | kWrapped,
          .fields = {limit_field(20), cursor_field()},
          .result = page_result({{"id", "string", ""},
                                 {"url", "string", ""},
                                 {"method", "string", ""},
                                 {"status_code", "number", "null: no answer", false, true},
                                 {"content_type", "string", "of the answer; unknown"},
                                 {"size", "number", "of the answer, decoded"},
                                 {"timestamp", "number", "s"}}),
          .function = get_traffic_summary};
}

Tool inspect_flow_tool() {
  Tool tool = {.name = "inspect_flow",
               .title = "One flow",
               .summary = "One flow: heads, the beginnings of its bodies or whole bodies in pages, a curl command.",
               .group = "traffic",
               .risk = Risk::kRead,
               .hints = kReading | kIncludesBody,
               .fields = {flow_id_field(),
                          {.name = "full_body",
                           .type = FieldType::kBoolean,
                           .meaning = "Bodies from offset on instead of their first 2000 characters.",
                           .default_value = false}},
               .result = flow_detail_result(),
               .function = inspect_flow};
  for (Field& field : body_fields()) tool.fields.push_back(std::move(field));
  return tool;
}

Tool inspect_flows_tool() {
  std::vector<ResultField> request = {
      {"url", "string", "", true}, {"method", "string", "", true}, {"headers", "array", "[[name, value]]", true}};
  std::vector<ResultField> response = {{"status_code", "number", "", true},
                                       {"headers", "array", "[[name, value]]", true}};
  for (std::vector<ResultField>* side : {&request, &response}) {
    for (const ResultField& field : body_result("body")) side->push_back(field);
  }
  Tool tool = {
      .name = "inspect_flows",
      .title = "Several flows",
      .summary = "Chosen parts of several flows, in the order in which they are named.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kReading | kWrapped | kIncludesBody,
      .fields = {{.name = "flow_ids", .meaning = "Ids with commas between.", .required = true},
                 {.name = "fields",
                  .meaning = "With commas between: id, url, method, status_code, request_headers, request_body, "
                             "response_headers, response_body, timestamp, size, content_type (of the request), "
                             "response_content_type. Absent: the first eight."},
                 {.name = "full_body",
                  .type = FieldType::kBoolean,
                  .meaning = "Bodies are whole, in pages, in any case.",
                  .default_value = false}},
      .result = {{"result",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"id", "string", ""},
                   {"request", "object", "", true, false, request},
                   {"response", "object", "", true, false, response},
                   {"timestamp", "number", "s", true},
                   {"size", "number", "", true},
                   {"content_type", "string", "", true},
                   {"response_content_type", "string", "", true}}},
                 {"missing", "string[]", "ids of no flow", true},
                 {"next_flow_id", "string", "there is room for no more: ask again for this one and those behind it",
                  true},
                 {"not_shown", "number", "how many those are", true}},
      .function = inspect_flows};
  for (Field& field : body_fields()) tool.fields.push_back(std::move(field));
  return tool;
}

Tool search_tool_of_flows() {
  return {.name = "search_traffic",
          .title = "Search flows",
          .summary = "Flows that hold a text, any case, in URL, header values or decoded bodies; newest first.",
          .group = "traffic",
          .risk = Risk::kRead,
          .hints = kReading | kWrapped,
          .fields = {{.name = "query", .meaning = "Text to find; absent: every flow."},
                     {.name = "domain", .meaning = "example.com (and all below it), *.example.com or host:port."},
                     {.name = "method", .meaning = "Any case."},
                     limit_field(50),
                     cursor_field()},
          .result = page_result(
              {{"id", "string", ""},
               {"url", "string", ""},
               {"method", "string", ""},
               {"status_code", "number", "null: no answer", false, true},
               {"timestamp", "number", "s"},
               {"found_in", "string", "url, request_header, response_header, request_body or response_body", true}}),
          .function = search_traffic};
}

}  // namespace

std::vector<Tool> mitm_traffic_tools() {
  Tool clear = {.name = "clear_traffic",
                .title = "Forget traffic",
                .summary = "Forget all ended flows. Open ones stay.",
                .group = "traffic",
                .risk = Risk::kDestructive,
                .hints = kMitmproxy | kWrapped | kSlow | kIdempotent,
                .result = {{"result", "string", ""}, {"cleared", "number", ""}},
                .function = clear_traffic};
  return {summary_tool(), inspect_flow_tool(), inspect_flows_tool(), search_tool_of_flows(), std::move(clear)};
}

}  // namespace sluice::tools

#include "tools/search.h"

#include <algorithm>

#include "analysis/search.h"
#include "tools/exchange_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

void read_places(const Json& arguments, analysis::SearchQuery& query) {
  const Json* in = find_member(arguments, "in");
  if (!in || in->empty()) return;
  const auto holds = [in](std::string_view name) {
    return std::any_of(in->begin(), in->end(), [&](const Json& item) { return item == name; });
  };
  query.in_url = holds("url");
  query.in_headers = holds("headers");
  query.in_bodies = holds("body");
}

ToolResult search_traffic(const Json& arguments, CallContext& context) {
  capture::Ring& ring = context.services->ring;
  analysis::SearchQuery query;
  query.text = *text_argument(arguments, "query");
  query.limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  query.offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  read_places(arguments, query);
  read_cursor(arguments, query.filter);
  query.redactor = context.redactor;
  query.index = context.services->text_index;
  query.stop = context.stop;
  SLUICE_TRY(const auto expression, read_expression(arguments));
  if (expression) query.expression = &*expression;
  query.enough = deadline_passed(context);
  if (context.progress) {
    query.progress = [&context](std::size_t done, std::size_t all) {
      context.progress(static_cast<double>(done), static_cast<double>(all), "searching");
    };
  }
  ring.sync();
  SLUICE_TRY(const analysis::SearchResult found, analysis::search(ring, query));
  Json results = Json::array();
  for (const analysis::SearchHit& hit : found.hits) {
    const auto exchange = ring.find(hit.id);
    if (!exchange) continue;  // it left the ring meanwhile
    results.push_back(search_row(*exchange));
    results.back()["foundIn"] = to_string(hit.place);
  }
  Json answer = {{"query", query.text}, {"matches", results.size()}, {"total", found.total}, {"offset", query.offset}};
  answer["results"] = std::move(results);
  if (!found.whole) answer["searched"] = found.searched;
  return answer;
}

}  // namespace

Tool search_tool() {
  Tool tool = {
      .name = "proxy_search_traffic",
      .title = "Search traffic",
      .summary =
          "Captured exchanges that hold a text, any case, in URL, header values or decoded bodies; oldest first.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kCore | kSlow | kReturnsTraffic | kIdempotent | kPagesByItem,
      .fields = {{.name = "query", .meaning = "Text to find.", .required = true},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Most hits.",
                  .default_value = 20,
                  .minimum = 0,
                  .maximum = 10'000},
                 {.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "Hits to skip.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "in",
                  .type = FieldType::kStringArray,
                  .meaning = "Absent: everywhere.",
                  .choices = {"url", "headers", "body"}}},
      .result = {{"query", "string", ""},
                 {"matches", "number", "hits answered"},
                 {"total", "number", "hits found"},
                 {"offset", "number", ""},
                 {"results",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"id", "string", ""},
                   {"timestamp", "number", "ms"},
                   {"method", "string", ""},
                   {"url", "string", ""},
                   {"status", "number", "", false, true},
                   {"duration", "number", "ms", false, true},
                   {"seq", "number", ""},
                   {"rev", "number", ""},
                   {"state", "string", ""},
                   {"foundIn", "string", "url, request_header, response_header, request_body or response_body"}}},
                 {"searched", "number", "time ran out after this many exchanges", true}},
      .function = search_traffic,
  };
  add_cursor_fields(tool.fields, "As in proxy_list_traffic.");
  return tool;
}

}  // namespace sluice::tools

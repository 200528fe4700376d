#include "tools/search.h"

#include "base/text.h"
#include "tools/exchange_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

// Decoded octets of each body that are looked at.
constexpr ByteCount kSearchedBody = 1 * kMiB;
// Between two notices of progress and two looks at the clock.
constexpr std::size_t kStride = 64;

struct Places {
  bool url = true, headers = true, body = true;
};

Places places_of(const Json& arguments) {
  const Json* in = find_member(arguments, "in");
  if (!in || in->empty()) return {};
  Places places{false, false, false};
  for (const Json& name : *in) {
    places.url |= name == "url";
    places.headers |= name == "headers";
    places.body |= name == "body";
  }
  return places;
}

bool in_headers(const std::string& head, std::string_view query) {
  const http::FieldList fields = flow::parse_fields(head);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (ifind(fields.value(i), query) != std::string_view::npos) return true;
  }
  return false;
}

bool in_body(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
             std::string_view query) {
  return ifind(decoded_prefix(ring, exchange, direction, kSearchedBody).octets, query) != std::string_view::npos;
}

bool holds(const capture::Ring& ring, const flow::Exchange& exchange, std::string_view query, const Places& places) {
  using flow::Direction;
  if (places.url && ifind(flow::url_of(exchange), query) != std::string_view::npos) return true;
  if (places.headers &&
      (in_headers(exchange.request.head, query) || in_headers(shown_head(exchange, Direction::kResponse), query))) {
    return true;
  }
  return places.body &&
         (in_body(ring, exchange, Direction::kRequest, query) || in_body(ring, exchange, Direction::kResponse, query));
}

ToolResult search_traffic(const Json& arguments, CallContext& context) {
  const std::string query = *text_argument(arguments, "query");
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  const Places places = places_of(arguments);
  capture::Filter filter;
  read_cursor(arguments, filter);

  capture::Ring& ring = context.services->ring;
  const Clock& clock = context.services->clock;
  ring.sync();
  Json results = Json::array();
  std::size_t total = 0, searched = 0;
  const std::size_t size = ring.size();
  bool whole = true;
  ring.for_each(filter, [&](const flow::Exchange& exchange) {
    if (context.stop.stop_requested() || (context.deadline && clock.mono() >= *context.deadline)) return whole = false;
    if (++searched % kStride == 0 && context.progress) {
      context.progress(static_cast<double>(searched), static_cast<double>(size), "searching");
    }
    if (!holds(ring, exchange, query, places)) return true;
    if (total >= offset && results.size() < limit) results.push_back(search_row(exchange));
    ++total;
    return true;
  });
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The search was cancelled.");
  Json answer = {{"query", query}, {"matches", results.size()}, {"total", total}, {"offset", offset}};
  answer["results"] = std::move(results);
  if (!whole) answer["searched"] = searched;
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
      .hints = kCore | kSlow | kReturnsTraffic | kIdempotent,
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
                  .meaning = "Where; absent: everywhere.",
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
                   {"state", "string", ""}}},
                 {"searched", "number", "time ran out after this many exchanges", true}},
      .function = search_traffic,
  };
  add_cursor_fields(tool.fields);
  return tool;
}

}  // namespace sluice::tools

#include "tools/search.h"

#include "base/redact.h"
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

// Looks for a text where the caller may read it: a hit inside a secret that is masked would be an oracle (gate.md 7).
class Finder {
 public:
  Finder(const capture::Ring& ring, const Redactor* redactor, std::string query, Places places)
      : ring_(ring), redactor_(redactor), query_(std::move(query)), places_(places) {}

  bool holds(const flow::Exchange& exchange) const {
    if (places_.url && in_url(flow::url_of(exchange))) return true;
    for (const auto direction : {flow::Direction::kRequest, flow::Direction::kResponse}) {
      if (places_.headers && in_headers(shown_head(exchange, direction))) return true;
    }
    for (const auto direction : {flow::Direction::kRequest, flow::Direction::kResponse}) {
      if (places_.body && in_body(exchange, direction)) return true;
    }
    return false;
  }

 private:
  bool found(std::string_view text) const { return ifind(text, query_) != std::string_view::npos; }

  bool in_url(const std::string& url) const {
    return found(url) && (!redactor_ || found(redactor_->mask_url(url).text));
  }

  bool in_headers(const std::string& head) const {
    const http::FieldList fields = flow::parse_fields(head);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!found(fields.value(i))) continue;
      if (!redactor_ || found(redactor_->mask_header_value(fields.name(i), fields.value(i)).text)) return true;
    }
    return false;
  }

  bool in_body(const flow::Exchange& exchange, flow::Direction direction) const {
    const BodyPart part = decoded_prefix(ring_, exchange, direction, kSearchedBody);
    if (!found(part.octets)) return false;
    if (!redactor_) return true;
    const auto type = flow::parse_fields(shown_head(exchange, direction)).joined("content-type");
    return found(redactor_->mask_body(part.octets, type.value_or("")).text);
  }

  const capture::Ring& ring_;
  const Redactor* redactor_;
  std::string query_;
  Places places_;
};

ToolResult search_traffic(const Json& arguments, CallContext& context) {
  const std::string query = *text_argument(arguments, "query");
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  capture::Filter filter;
  read_cursor(arguments, filter);

  capture::Ring& ring = context.services->ring;
  const Clock& clock = context.services->clock;
  const Finder finder(ring, context.redactor, query, places_of(arguments));
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
    if (!finder.holds(exchange)) return true;
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

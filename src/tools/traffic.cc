// proxy_list_traffic, proxy_get_exchange, proxy_clear_traffic. proxy.md (c), engine.md 5.
#include <fmt/format.h>

#include <algorithm>

#include "base/redact.h"
#include "base/text.h"
#include "tools/decode_tool.h"
#include "tools/exchange_json.h"
#include "tools/export_tool.h"
#include "tools/message_json.h"
#include "tools/search.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr double kMostRows = 10'000;

struct FilteredPage {
  capture::Page page;
  std::optional<std::size_t> searched;  // time ran out after so many
};

// As Ring::list, with an expression that must hold too.
Result<FilteredPage> list_filtered(const capture::Filter& filter,
                                   const std::optional<analysis::FilterExpression>& expression, std::int64_t offset,
                                   std::int64_t limit, CallContext& context) {
  const capture::Ring& ring = context.services->ring;
  FilteredPage filtered;
  if (!expression) {
    filtered.page = ring.list(filter, offset, static_cast<std::size_t>(limit));
    return filtered;
  }
  capture::Page& page = filtered.page;
  page.last_rev = ring.last_rev();  // before looking: what changes meanwhile is newer
  SLUICE_TRY(const analysis::Filtered found, analysis::find_filtered(ring, {.filter = filter,
                                                                            .expression = &*expression,
                                                                            .reading = filter_reading(context),
                                                                            .enough = deadline_passed(context)}));
  if (!found.whole) {
    filtered.searched = found.searched;
    page.last_rev = found.last_rev;  // who follows goes on from there
  }
  page.total = found.ids.size();
  const auto total = static_cast<std::int64_t>(page.total);
  page.offset = static_cast<std::size_t>(offset < 0 ? std::max(offset, -total) + total : std::min(offset, total));
  for (std::size_t i = page.offset; i < page.total && page.exchanges.size() < static_cast<std::size_t>(limit); ++i) {
    if (auto exchange = ring.find(found.ids[i])) page.exchanges.push_back(*std::move(exchange));
  }
  return filtered;
}

ToolResult list_traffic(const Json& arguments, CallContext& context) {
  capture::Filter filter;
  filter.method = to_upper(text_argument(arguments, "method_filter").value_or(""));
  filter.url_contains = text_argument(arguments, "url_filter").value_or("");
  if (const Redactor* redactor = context.redactor) {
    // Or a token in a URL could be guessed letter by letter.
    filter.mask_url = [redactor](std::string& url) { url = without_masks(redactor->mask_url(url).text); };
  }
  filter.host_contains = text_argument(arguments, "hostname_filter").value_or("");
  if (const auto status = integer_argument(arguments, "status_filter")) filter.status = static_cast<int>(*status);
  if (const auto source = text_argument(arguments, "source_filter")) {
    filter.source = *source == "explicit" ? flow::Source::kExplicit : flow::Source::kTransparent;
  }
  read_cursor(arguments, filter);

  SLUICE_TRY(const auto expression, read_expression(arguments));
  context.services->ring.sync();
  const std::int64_t limit = *integer_argument(arguments, "limit"), offset = *integer_argument(arguments, "offset");
  SLUICE_TRY(const FilteredPage filtered, list_filtered(filter, expression, offset, limit, context));
  const capture::Page& page = filtered.page;
  Json rows = Json::array();
  for (const flow::Exchange& exchange : page.exchanges) rows.push_back(list_row(exchange));
  Json answer = {{"total", page.total},
                 {"count", page.total},
                 {"offset", page.offset},
                 {"limit", limit},
                 {"showing", rows.size()}};
  answer["exchanges"] = std::move(rows);
  answer["lastRev"] = page.last_rev;
  if (filtered.searched) answer["searched"] = *filtered.searched;
  return answer;
}

unsigned include_of(const Json& arguments) {
  static constexpr std::pair<std::string_view, Include> kNames[] = {
      {"request_body", kRequestBody}, {"response_body", kResponseBody}, {"original", kOriginal}, {"raw_head", kRawHead},
      {"timings", kTimings},          {"connection", kConnection},      {"messages", kMessages}};
  unsigned bits = 0;
  const Json* include = find_member(arguments, "include");
  if (!include) return 0;
  for (const Json& name : *include) {
    for (const auto& [known, bit] : kNames) {
      if (name == known) bits |= bit;
    }
  }
  return bits;
}

ToolResult get_exchange(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_id");
  capture::Ring& ring = context.services->ring;
  ring.sync();
  const auto exchange = ring.find(id);
  if (!exchange) return fail(Code::kNotFound, fmt::format("Exchange '{}' not found", id));
  ExchangeView view;
  view.server_tls = context.services->server_tls_shown->load();
  view.include = include_of(arguments);
  const auto offset = static_cast<std::uint64_t>(*integer_argument(arguments, "offset"));
  const auto limit = integer_argument(arguments, "limit");
  const auto form = flag_argument(arguments, "decoded") ? analysis::Form::kDecoded : analysis::Form::kAsOnWire;
  view.body = {.offset = offset,
               .limit = limit ? static_cast<ByteCount>(*limit) : kDefaultBodyLimit,
               .form = form,
               .redactor = context.redactor,
               .stop = context.stop};
  view.messages = {.offset = offset,
                   .limit = limit ? std::min(static_cast<std::size_t>(*limit), kMostMessages) : kDefaultMessages,
                   .budget = limit ? kMiB : kDefaultBodyLimit,
                   .form = form,
                   .redactor = context.redactor,
                   .stop = context.stop};
  SLUICE_TRY(Json json, exchange_json(ring, *exchange, view));
  return Json{{"exchange", std::move(json)}};
}

ToolResult clear_traffic(const Json&, CallContext& context) {
  context.services->ring.sync();
  return Json{{"cleared", context.services->ring.clear()}};
}

Tool list_tool() {
  Tool tool = {
      .name = "proxy_list_traffic",
      .title = "List traffic",
      .summary =
          "Captured exchanges, oldest first; all filters must hold. To follow pass after_rev: the last row's "
          "rev.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kCore | kSlow | kReturnsTraffic | kIdempotent | kPagesByItem,
      .fields =
          {{.name = "limit",
            .type = FieldType::kInteger,
            .meaning = "Page size.",
            .default_value = 50,
            .minimum = 0,
            .maximum = kMostRows},
           {.name = "offset", .type = FieldType::kInteger, .meaning = "Negative: from the end.", .default_value = 0},
           {.name = "method_filter", .meaning = "Verb."},
           {.name = "url_filter", .meaning = "Part of the URL."},
           {.name = "status_filter", .type = FieldType::kInteger, .meaning = "Exact status."},
           {.name = "hostname_filter", .meaning = "Part of the host."},
           {.name = "source_filter", .meaning = "Listener.", .choices = {"explicit", "transparent"}}},
      .result = {{"total", "number", "after filters"},
                 {"count", "number", "as total"},
                 {"offset", "number", ""},
                 {"limit", "number", ""},
                 {"showing", "number", ""},
                 {"exchanges", "object[]", "", false, false, list_row_result()},
                 {"lastRev", "number", "newest revision"},
                 {"searched", "number", "time ran out after this many exchanges", true}},
      .function = list_traffic,
  };
  add_cursor_fields(tool.fields, "mitmproxy-like: ~d host ~m POST ~c 5.. ~b body ! & | ()");
  return tool;
}

Tool get_tool() {
  return {
      .name = "proxy_get_exchange",
      .title = "One exchange",
      .summary =
          "One exchange: heads, body previews, TLS; include adds bodies in pieces, raw heads, timings, "
          "connection, messages (WebSocket, SSE, gRPC).",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kCore | kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "From a list.", .required = true},
                 {.name = "include",
                  .type = FieldType::kStringArray,
                  .meaning = "What else to answer.",
                  .choices = {"request_body", "response_body", "original", "raw_head", "timings", "connection",
                              "messages"}},
                 {.name = "decoded",
                  .type = FieldType::kBoolean,
                  .meaning = "Take content codings off.",
                  .default_value = true},
                 {.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "Of bodies, in bytes, or messages.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Bytes of each body (16384, at most 1 MiB) or messages (50, 1000).",
                  .minimum = 0,
                  .maximum = static_cast<double>(kMiB)}},
      .result = {{"exchange", "object", "", false, false, exchange_result()}},
      .function = get_exchange,
  };
}

}  // namespace

std::vector<Tool> traffic_tools() {
  Tool clear = {
      .name = "proxy_clear_traffic",
      .title = "Forget traffic",
      .summary = "Forget all ended exchanges. Open ones stay.",
      .group = "traffic",
      .risk = Risk::kDestructive,
      .hints = kSlow | kIdempotent,
      .result = {{"cleared", "number", ""}},
      .function = clear_traffic,
  };
  return {list_tool(), get_tool(), search_tool(), std::move(clear), decode_tool(), export_tool()};
}

}  // namespace sluice::tools

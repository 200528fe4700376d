// Beyond the contract: proxy_list_ws_streams, proxy_get_ws_frames.
#include <fmt/format.h>

#include "tools/exchange_json.h"
#include "tools/message_json.h"
#include "tools/session_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

Result<Json> stream_json(const capture::BodySource& source, const flow::Exchange& exchange) {
  SLUICE_TRY(const capture::MessagePage page, source.messages(exchange.id, 0, 0, 0));
  return Json{{"exchangeId", exchange.id},
              {"url", flow::url_of(exchange)},
              {"status", exchange.status},
              {"startedAt", iso8601_ms(exchange.started)},
              {"state", flow::to_string(exchange.state)},
              {"messages", page.total},
              {"sentBytes", exchange.request.body.size},
              {"receivedBytes", exchange.response.body.size}};
}

ToolResult list_streams(const Json& arguments, CallContext& context) {
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  const auto offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  Json items = Json::array();
  std::size_t total = 0;
  Status failed;
  const auto take = [&](const capture::BodySource& source, const flow::Exchange& exchange) {
    if (total++ < offset || items.size() >= limit) return;
    auto item = stream_json(source, exchange);
    if (item) items.push_back(*std::move(item));  // else it has left meanwhile
  };
  if (find_member(arguments, "session_id")) {
    SLUICE_TRY(const auto reader, open_session(arguments, context));
    SLUICE_CHECK(reader->visit({}, 0, UINT64_MAX, [&](const session::Row& row) {
      if (context.stop.stop_requested()) return false;
      if (row.protocol != flow::Protocol::kWebSocket) return true;
      if (const auto exchange = reader->exchange(row)) take(*reader, *exchange);
      return true;
    }));
  } else {
    const capture::Ring& ring = context.services->ring;
    context.services->ring.sync();
    capture::Filter filter;
    filter.states = {flow::State::kOpen, flow::State::kDone, flow::State::kFailed, flow::State::kAborted,
                     flow::State::kDropped};
    std::vector<flow::Exchange> newest;
    ring.for_each(filter, [&](const flow::Exchange& exchange) {
      if (exchange.protocol == flow::Protocol::kWebSocket) newest.push_back(exchange);
      return !context.stop.stop_requested();
    });
    for (auto exchange = newest.rbegin(); exchange != newest.rend(); ++exchange) take(ring, *exchange);
  }
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  return Json{{"total", total}, {"offset", offset}, {"items", std::move(items)}};
}

ToolResult get_frames(const Json& arguments, CallContext& context) {
  analysis::MessageQuery query;
  query.offset = static_cast<std::uint64_t>(*integer_argument(arguments, "offset"));
  query.limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  query.budget = static_cast<ByteCount>(*integer_argument(arguments, "bytes"));
  query.redactor = context.redactor;
  query.stop = context.stop;
  SLUICE_TRY(const OpenExchange open, open_exchange(arguments, context));
  const flow::Exchange& exchange = open.exchange;
  if (exchange.protocol != flow::Protocol::kWebSocket) return fail(Code::kInvalid, "This exchange is no WebSocket.");
  SLUICE_TRY(Json messages, messages_json(*open.bodies, exchange, query));
  messages["exchangeId"] = exchange.id;
  return messages;
}

Field session_field() { return {.name = "session_id", .meaning = "A recording; absent: what was captured last."}; }

}  // namespace

std::vector<Tool> socket_tools() {
  Tool streams = {
      .name = "proxy_list_ws_streams",
      .title = "List WebSockets",
      .summary = "WebSockets of the ring or of a recording, newest first, with how much went through them.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent | kPagesByItem,
      .fields =
          {session_field(),
           {.name = "limit",
            .type = FieldType::kInteger,
            .meaning = "Page size.",
            .default_value = 50,
            .minimum = 1,
            .maximum = 1'000},
           {.name = "offset", .type = FieldType::kInteger, .meaning = "To skip.", .default_value = 0, .minimum = 0}},
      .result = {{"total", "number", ""},
                 {"offset", "number", ""},
                 {"items",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"exchangeId", "string", ""},
                   {"url", "string", ""},
                   {"status", "number", ""},
                   {"startedAt", "string", ""},
                   {"state", "string", ""},
                   {"messages", "number", "control frames too"},
                   {"sentBytes", "number", "by the client"},
                   {"receivedBytes", "number", ""}}}},
      .function = list_streams,
  };
  std::vector<ResultField> page = messages_result();
  page.push_back({"exchangeId", "string", ""});
  Tool frames = {
      .name = "proxy_get_ws_frames",
      .title = "Messages of a WebSocket",
      .summary = "Messages and control frames of one WebSocket in both directions, decompressed, a page at a time.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "From a list.", .required = true},
                 session_field(),
                 {.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "The first message.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Messages.",
                  .default_value = kDefaultMessages,
                  .minimum = 1,
                  .maximum = static_cast<double>(kMostMessages)},
                 {.name = "bytes",
                  .type = FieldType::kInteger,
                  .meaning = "Of all their content together.",
                  .default_value = 16'384,
                  .minimum = 1,
                  .maximum = static_cast<double>(kMiB)}},
      .result = std::move(page),
      .function = get_frames,
  };
  return {std::move(streams), std::move(frames)};
}

}  // namespace sluice::tools

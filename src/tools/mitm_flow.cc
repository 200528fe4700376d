#include "tools/mitm_flow.h"

#include <algorithm>

#include "analysis/body.h"
#include "analysis/export.h"
#include "analysis/flow_view.h"
#include "base/text.h"

namespace sluice::tools {
namespace {

using flow::Direction;

constexpr std::size_t kCommandRoom = 256 * kKiB;
constexpr ByteCount kMostMeasured = 64 * kMiB;  // decoded octets of a body that are counted
constexpr std::size_t kMostIds = 1'000;         // of a comma-separated list

// As list_rules calls it.
std::string rule_name(std::uint32_t number, const CallContext& context) {
  std::string id = "rule_" + std::to_string(number);
  const rules::RulePtr rule = context.services->rules.find(id);
  return rule && !rule->spec.name.empty() ? rule->spec.name : id;
}

Json start_and_fields(const std::string& head) {
  const std::string_view line = std::string_view(head).substr(0, head.find_first_of("\r\n"));
  return {{"start_line", line}, {"header_pairs", header_pairs(flow::parse_fields(head))}};
}

// What the other side had, where rules changed it.
void put_changes(Json& json, const flow::Exchange& exchange, const CallContext& context) {
  Json ids = Json::array();
  for (const std::uint32_t number : exchange.rule_ids) ids.push_back(rule_name(number, context));
  json["rule_ids"] = std::move(ids);
  if (!exchange.request.effective.empty()) json["effective_request"] = start_and_fields(exchange.request.effective);
  if (!exchange.response.effective.empty()) json["original_response"] = start_and_fields(exchange.response.head);
}

Status put_message(Json& message, const flow::Exchange& exchange, Direction direction, const BodyView& view,
                   const CallContext& context) {
  const http::FieldList fields = fields_of(exchange, direction);
  message["headers"] = header_map(fields, context.redactor);
  message["header_pairs"] = header_pairs(fields);
  return put_body(message, exchange, direction, view, context);
}

}  // namespace

std::vector<std::string> comma_list(std::string_view text) {
  std::vector<std::string> items;
  for (const std::string_view part : split(text, ',')) {
    std::string item(trim(part));
    if (item.empty() || std::find(items.begin(), items.end(), item) != items.end()) continue;
    items.push_back(std::move(item));
    if (items.size() == kMostIds) break;
  }
  return items;
}

Result<flow::Exchange> find_flow(const CallContext& context, std::string_view id) {
  context.services->ring.sync();
  auto exchange = context.services->ring.find(id);
  if (!exchange) return fail(Code::kNotFound, "Flow not found.");
  return *std::move(exchange);
}

Field flow_id_field() {
  return {.name = "flow_id", .meaning = "From get_traffic_summary or a search.", .required = true};
}

Json header_map(const http::FieldList& fields, const Redactor* redactor) {
  Json map = Json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    std::string value = analysis::shown_value(fields, i, redactor);
    auto same = map.begin();
    while (same != map.end() && !iequals(same.key(), fields.name(i))) ++same;
    if (same == map.end()) {
      map[std::string(fields.name(i))] = std::move(value);
    } else {
      same->get_ref<std::string&>().append(", ").append(value);
    }
  }
  return map;
}

Json header_pairs(const http::FieldList& fields) {
  Json pairs = Json::array();
  for (std::size_t i = 0; i < fields.size(); ++i) pairs.push_back(Json::array({fields.name(i), fields.value(i)}));
  return pairs;
}

http::FieldList fields_of(const flow::Exchange& exchange, Direction direction) {
  return flow::parse_fields(analysis::shown_head(exchange, direction));
}

// A whole number has no ".0", as JSON.stringify would write it.
Json started_seconds(const flow::Exchange& exchange) {
  const std::int64_t ms = unix_ms(exchange.started);
  return ms % 1000 == 0 ? Json(ms / 1000) : Json(static_cast<double>(ms) / 1000);
}

Json status_or_null(const flow::Exchange& exchange) { return exchange.status == 0 ? Json() : Json(exchange.status); }

std::string content_type_or_unknown(const flow::Exchange& exchange, Direction direction) {
  return fields_of(exchange, direction).joined("content-type").value_or("unknown");
}

ByteCount decoded_size(const flow::Exchange& exchange, ByteCount& budget, const CallContext& context) {
  const ByteCount wire = exchange.response.body.size;
  if (wire == 0 || !fields_of(exchange, Direction::kResponse).joined("content-encoding")) return wire;
  if (budget == 0) return wire;
  const auto window = analysis::read_window(context.services->ring, exchange, Direction::kResponse,
                                            {.limit = 0, .budget = budget, .stop = context.stop});
  if (!window || !window->total || !window->problem.empty()) return wire;
  budget -= std::min(budget, *window->total);
  return *window->total;
}

Status put_body(Json& message, const flow::Exchange& exchange, Direction direction, const BodyView& view,
                const CallContext& context) {
  const std::string name(view.name);
  const flow::BodyInfo& info = analysis::body_info(exchange, direction);
  message[name] = nullptr;
  if (info.size == 0) {
    message["total_bytes"] = 0;
    message["truncated"] = false;
    return {};
  }
  SLUICE_TRY(const analysis::BodyWindow window,
             analysis::read_window(context.services->ring, exchange, direction,
                                   {.offset = view.offset,
                                    .limit = view.limit,
                                    .redactor = context.redactor,
                                    .budget = std::max(kMostMeasured, view.offset + view.limit),
                                    .stop = context.stop}));
  bool more = window.more;
  if (is_utf8(window.octets)) {
    const std::string_view kept = utf16_prefix(window.octets, view.units);
    more = more || kept.size() < window.octets.size();
    message[name] = kept;
  } else {
    message["body_base64"] = base64_encode(window.octets);
  }
  message["total_bytes"] = window.total ? Json(*window.total) : Json();
  message["truncated"] = more || !info.complete;
  if (view.name == "body") {
    message["offset"] = window.offset;
    if (window.more && window.bytes > 0) message["next_offset"] = window.offset + window.bytes;
  }
  if (!window.problem.empty()) message["problem"] = window.problem;
  return {};
}

std::vector<ResultField> body_result(std::string_view name) {
  return {{name, "string", "decoded; null: none, or no text", true, true},
          {"body_base64", "string", "where it is no text", true},
          {"total_bytes", "number", "decoded; null: not measured", true, true},
          {"truncated", "boolean", "there is more", true},
          {"offset", "number", "", true},
          {"next_offset", "number", "pass it as offset for the rest", true},
          {"problem", "string", "why there is less than there should be", true}};
}

std::string curl_command(const flow::Exchange& exchange, const CallContext& context) {
  if (!analysis::is_exportable(analysis::ExportFormat::kCurl, exchange)) return "# a tunnel is no request";
  analysis::ExportSink sink({}, kCommandRoom);
  const Status written = analysis::write_export(
      analysis::ExportFormat::kCurl,
      {.bodies = context.services->ring, .exchange = exchange, .redactor = context.redactor, .stop = context.stop},
      sink);
  if (!written) return "# the body is no longer there";
  if (sink.stopped()) return "# the body is too long for one command";
  std::string command = sink.text();
  if (command.ends_with('\n')) command.pop_back();
  return command;
}

Result<Json> flow_detail(const flow::Exchange& exchange, const BodyView& view, const CallContext& context) {
  Json json = {{"id", exchange.id}};
  Json& request = json["request"] = {{"method", exchange.method}, {"url", flow::url_of(exchange)}};
  SLUICE_CHECK(put_message(request, exchange, Direction::kRequest, view, context));
  json["response"] = nullptr;
  if (exchange.status != 0) {
    Json response = {{"status_code", exchange.status}};
    SLUICE_CHECK(put_message(response, exchange, Direction::kResponse, view, context));
    json["response"] = std::move(response);
  }
  json["curl_command"] = curl_command(exchange, context);
  json["state"] = flow::to_string(exchange.state);
  json["protocol"] = flow::to_string(exchange.protocol);
  json["error"] = exchange.failure ? Json(exchange.failure->message) : Json();
  put_changes(json, exchange, context);
  return json;
}

std::vector<ResultField> flow_detail_result() {
  std::vector<ResultField> request = {{"method", "string", ""},
                                      {"url", "string", ""},
                                      {"headers", "object", "values of one name joined by \", \""},
                                      {"header_pairs", "array", "[[name, value]] in wire order"}};
  std::vector<ResultField> response = request;
  response[0] = {"status_code", "number", ""};
  response.erase(response.begin() + 1);
  std::vector<ResultField> body = body_result("body_preview");
  body.insert(body.begin() + 1, {"body", "string", "with full_body", true, true});
  request.insert(request.end(), body.begin(), body.end());
  response.insert(response.end(), body.begin(), body.end());
  const std::vector<ResultField> head = {{"start_line", "string", ""}, {"header_pairs", "array", ""}};
  return {{"id", "string", ""},
          {"request", "object", "as it came", false, false, request},
          {"response", "object", "as it was sent", false, true, response},
          {"curl_command", "string", ""},
          {"state", "string", "open, done, failed, aborted or dropped"},
          {"protocol", "string", ""},
          {"error", "string", "", false, true},
          {"rule_ids", "string[]", "rules that applied"},
          {"effective_request", "object", "as servers got it, where rules changed it", true, false, head},
          {"original_response", "object", "as it came, where rules changed it", true, false, head}};
}

}  // namespace sluice::tools

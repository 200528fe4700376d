// trace_value (analysis.md): where a value came from, and where it went.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "analysis/trace.h"
#include "base/text.h"
#include "tools/mitm_inference.h"

namespace sluice::tools {
namespace {

using analysis::PlaceKind;
using analysis::TracedPlace;
using flow::Direction;

constexpr ByteCount kMostBody = 1 * kMiB;  // decoded octets of a body that are read

// A found place with the flow that holds it.
struct Found {
  std::string flow, method, origin, path;
  TracedPlace traced;
};

// The value must be none that the caller does not know: what is told of places never spells it.
std::string without_value(std::string text, const std::string& value, const CallContext& context) {
  if (!context.redactor) return text;
  const std::string mask = context.redactor->mask("value", value);
  for (std::size_t at = text.find(value); at != std::string::npos; at = text.find(value, at + mask.size()))
    text.replace(at, value.size(), mask);
  return text;
}

std::string path_without_value(const Found& found, const std::string& value, const CallContext& context) {
  std::string path;
  for (const std::string_view segment : split(std::string_view(found.path).substr(1), '/')) {
    const std::string plain = percent_decode(segment);
    path += '/';
    path += plain.find(value) == std::string::npos ? std::string(segment) : without_value(plain, value, context);
  }
  return path;
}

Json place_json(const Found& found, const std::string& value, const CallContext& context) {
  const analysis::Place& place = found.traced.place;
  Json json = {{"flow_id", found.flow},
               {"method", found.method},
               {"url", found.origin + path_without_value(found, value, context)},
               {"message", found.traced.message == Direction::kRequest ? "request" : "response"},
               {"in", to_string(place.kind)},
               {"pointer", without_value(place.label(), value, context)},
               {"encodings", found.traced.encodings}};
  if (place.kind == PlaceKind::kHtml) json["attribute"] = place.name.empty() ? Json() : Json(place.name);
  if (place.hidden) json["hidden"] = true;
  if (!found.traced.inside.empty()) json["inside"] = without_value(found.traced.inside, value, context);
  if (found.traced.word) json["word"] = true;
  return json;
}

std::vector<ResultField> place_result() {
  return {
      {"flow_id", "string", ""},
      {"method", "string", ""},
      {"url", "string", "without its query"},
      {"message", "string", "request or response"},
      {"in", "string", "header, cookie, path, query, form, json, html, text"},
      {"pointer", "string", "JSON pointer; name of the field, cookie, parameter; CSS selector; number of the segment"},
      {"encodings", "string[]", "percent, base64, json, html, jwt; outermost first"},
      {"attribute", "string", "html; null: its text", true, true},
      {"hidden", "boolean", "a hidden field of a form", true},
      {"inside", "string", "pointer or parameter within a value that has parts", true},
      {"word", "boolean", "a word of a longer text", true}};
}

PlaceKind kind_of(std::string_view name) {
  int kind = 0;
  while (to_string(static_cast<PlaceKind>(kind)) != name) ++kind;
  return static_cast<PlaceKind>(kind);
}

Result<std::string> read_value(const Json& arguments, CallContext& context) {
  const auto value = text_argument(arguments, "value"), id = text_argument(arguments, "flow_id");
  if (value.has_value() == id.has_value()) return fail(Code::kInvalid, "Give either value, or flow_id and pointer.");
  if (value) {
    if (holds_mask(*value))
      return fail(Code::kInvalid, "The value is a mask: name the secret by flow_id and pointer instead.");
    return *value;
  }
  const auto pointer = text_argument(arguments, "pointer");
  if (!pointer) return fail(Code::kInvalid, "pointer is missing: it says where in the flow the value stands.");
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *id));
  const analysis::BodyReader bodies = [&](const flow::Exchange& of, Direction direction) {
    return read_body(context, of, direction, kMostBody);
  };
  const Direction message =
      *text_argument(arguments, "message") == "request" ? Direction::kRequest : Direction::kResponse;
  auto found = analysis::value_at(analysis::FlowView(exchange, bodies), message,
                                  kind_of(*text_argument(arguments, "in")), *pointer);
  if (!found) return fail(Code::kNotFound, "The flow has no value at this place: in, message and pointer name it.");
  return *std::move(found);
}

// What programs take a value from: one place of one answer.
bool may_be_chained(const Found& first, std::size_t in_its_message) {
  const analysis::Place& place = first.traced.place;
  if (first.traced.message != Direction::kResponse || in_its_message != 1 || !first.traced.inside.empty()) return false;
  if (place.kind == PlaceKind::kHtml) return place.first && !place.name.empty();
  return first.traced.encodings.empty() || place.kind == PlaceKind::kJson;
}

ToolResult trace_value(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const std::string value, read_value(arguments, context));
  if (value.size() < analysis::kLeastTraced)
    return fail(Code::kInvalid, "Values below 8 octets are not traced: too much is alike.");
  if (value.size() > analysis::kMostTraced) return fail(Code::kTooLarge, "At most 8 KiB can be traced: take a part.");
  SLUICE_TRY(const auto cursor, read_cursor(arguments));
  const std::size_t offset = cursor.value_or(0);
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  FlowChoice choice;
  choice.include_generated = flag_argument(arguments, "include_generated");
  choice.body_limit = kMostBody;
  const analysis::Tracer tracer(value);
  std::optional<Found> first;
  std::size_t total = 0, flows = 0, in_first_message = 0, cut = 0;
  Json uses = Json::array();
  SLUICE_TRY(const FlowsSeen seen, visit_flows(context, choice, [&](const analysis::FlowView& flow) {
               analysis::TracedFlow traced = tracer.look_at(flow);
               if (!traced.places.empty()) ++flows;
               if (traced.cut) ++cut;
               for (TracedPlace& place : traced.places) {
                 Found found{flow.exchange.id, flow.exchange.method, flow.exchange.scheme + "://" + flow.authority,
                             std::string(flow.path), std::move(place)};
                 if (!first) {
                   const auto same = [&](const TracedPlace& each) { return each.message == found.traced.message; };
                   in_first_message = 1 + static_cast<std::size_t>(std::count_if(
                                              &place + 1, traced.places.data() + traced.places.size(), same));
                   first = std::move(found);
                   continue;
                 }
                 if (total++ >= offset && uses.size() < limit) uses.push_back(place_json(found, value, context));
               }
             }));
  Json answer = {{"first", first ? place_json(*first, value, context) : Json()},
                 {"chained", first && may_be_chained(*first, in_first_message)},
                 {"length", value.size()},
                 {"flows", flows},
                 {"total", total},
                 {"uses", std::move(uses)}};
  if (offset + answer["uses"].size() < total) answer["next_cursor"] = std::to_string(offset + answer["uses"].size());
  if (cut > 0) answer["cut_flows"] = cut;
  put_seen(answer, seen);
  return answer;
}

}  // namespace

Tool trace_value_tool() {
  Tool tool = {
      .name = "trace_value",
      .title = "Where a value comes from",
      .summary =
          "Where a value first stood (header, cookie, path, parameter, JSON, HTML), behind which encodings, and every "
          "later use. The value is given, or named by its place in a flow and then never shown.",
      .group = "analysis",
      .risk = Risk::kRead,
      .hints = kMitmproxy | kBeyondContract | kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "value", .meaning = "8 octets to 8 KiB; decoded. Whole values and words only."},
                 {.name = "flow_id", .meaning = "In place of value: the flow that holds it."},
                 {.name = "pointer", .meaning = "With flow_id: JSON pointer, name, or selector as answered here."},
                 {.name = "in",
                  .meaning = "With flow_id: what pointer names.",
                  .default_value = "json",
                  .choices = {"header", "cookie", "path", "query", "form", "json", "html"}},
                 {.name = "message",
                  .meaning = "With flow_id: whose it is.",
                  .default_value = "response",
                  .choices = {"request", "response"}},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Uses at most.",
                  .default_value = 50,
                  .minimum = 1,
                  .maximum = 200},
                 {.name = "cursor", .meaning = "next_cursor of the last answer."},
                 {.name = "include_generated",
                  .type = FieldType::kBoolean,
                  .meaning = "Also our own replays and probes, and answers that rules made.",
                  .default_value = false}},
      .result = {{"first", "object", "null: nowhere", false, true, place_result()},
                 {"chained", "boolean", "programs take it from there: it is an answer's only place of this value"},
                 {"length", "number", "octets of the value"},
                 {"flows", "number", "that hold it"},
                 {"total", "number", "uses behind the first"},
                 {"uses", "object[]", "oldest first", false, false, place_result()},
                 {"next_cursor", "string", "there are more", true},
                 {"cut_flows", "number", "flows of which only 100 places are told", true}},
      .function = trace_value};
  for (ResultField& field : seen_result()) tool.result.push_back(std::move(field));
  return tool;
}

}  // namespace sluice::tools

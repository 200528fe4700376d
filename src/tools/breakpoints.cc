// What `hold` rules hold: who is waiting, and what becomes of it. engine.md 6; docs/rules.md.
#include <fmt/format.h>

#include <unordered_map>

#include "base/redact.h"
#include "base/text.h"
#include "tools/exchange_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

constexpr std::int64_t kShownByDefault = 4'096;

// The ids of exchanges under way, by what the engine calls them.
std::unordered_map<ExchangeSeq, std::string> open_ids(const capture::Ring& ring) {
  std::unordered_map<ExchangeSeq, std::string> ids;
  capture::Filter filter;
  filter.states = {flow::State::kOpen};
  ring.for_each(filter, [&](const flow::Exchange& exchange) {
    ids.emplace(exchange.seq, exchange.id);
    return true;
  });
  return ids;
}

// What is not recorded has no id of its own.
std::string unrecorded_id(ExchangeSeq seq) { return "held_" + std::to_string(seq.value); }

void put_body(Json& row, const proxy::HeldMessage& message, std::size_t limit, const Redactor* redactor) {
  row["bodySize"] = message.body_size;
  row["bodyEditable"] = message.body_at_hand;
  if (message.body.empty()) return;
  if (!is_utf8(message.body)) {
    if (!redactor) row["bodyBase64"] = base64_encode(Bytes(message.body).substr(0, limit));
    return;
  }
  const std::string type(message.fields.find("content-type").value_or(""));
  const std::string text = redactor ? redactor->mask_body(message.body, type).text : message.body;  // before it is cut
  const std::string_view shown = utf16_prefix(text, limit);
  row["body"] = shown.size() < text.size() ? std::string(shown) + "..." : text;
}

Json row_of(const proxy::Held& held, std::string id, MonoTime now, std::size_t limit, const Redactor* redactor) {
  using std::chrono::milliseconds;
  const proxy::HeldMessage& message = held.message;
  const bool request = message.side == proxy::HoldSide::kRequest;
  Json row = {{"exchange_id", std::move(id)},
              {"phase", request ? "request" : "response"},
              {"ruleId", "rule_" + std::to_string(message.rule)},
              {"heldMs", (now - held.since) / milliseconds(1)},
              {"remainingMs", std::max<std::int64_t>((held.until - now) / milliseconds(1), 0)},
              {"method", message.method},
              {"url", message.url}};
  if (!request) row["statusCode"] = message.status;
  row["headers"] = headers_json(message.fields, redactor);
  row["rawHeaders"] = raw_headers_json(message.fields);
  put_body(row, message, limit, redactor);
  return row;
}

ToolResult list_held(const Json& arguments, CallContext& context) {
  Services& services = *context.services;
  services.ring.sync();
  const auto ids = open_ids(services.ring);
  const auto wanted = text_argument(arguments, "exchange_id");
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "body_limit"));
  Json rows = Json::array();
  for (const proxy::Held& held : services.engine.held()) {
    const auto found = ids.find(held.seq);
    std::string id = found == ids.end() ? unrecorded_id(held.seq) : found->second;
    if (wanted && *wanted != id) continue;
    rows.push_back(row_of(held, std::move(id), services.clock.mono(), limit, context.redactor));
  }
  Json answer = {{"count", rows.size()}};
  answer["held"] = std::move(rows);
  return answer;
}

// Secrets that were answered masked are not known to who edits: a mask would go out in their place.
Status check_masks(const proxy::HoldEdits& edits) {
  const auto check = [](std::string_view text, std::string_view member) -> Status {
    if (!holds_mask(text)) return {};
    return fail(Code::kInvalid, fmt::format("edits.{} holds a mask of Sluice where a secret was: leave it out, or list "
                                            "with show_secrets to have the secret itself",
                                            member));
  };
  for (const auto& [name, value] : edits.headers) {
    if (value) SLUICE_CHECK(check(*value, "headers"));
  }
  if (edits.all_headers) {
    for (const auto& [name, value] : *edits.all_headers) SLUICE_CHECK(check(value, "rawHeaders"));
  }
  if (edits.url) SLUICE_CHECK(check(*edits.url, "url"));
  if (edits.body) SLUICE_CHECK(check(*edits.body, "body"));
  return {};
}

Result<proxy::HoldEdits> edits_of(const Json& arguments) {
  proxy::HoldEdits edits;
  const Json* given = find_member(arguments, "edits");
  if (!given) return edits;
  edits.method = text_argument(*given, "method");
  edits.url = text_argument(*given, "url");
  if (const auto status = integer_argument(*given, "status")) edits.status = static_cast<int>(*status);
  if (const Json* headers = find_member(*given, "headers")) {
    for (const auto& [name, value] : headers->items()) {
      edits.headers.emplace_back(name, value.is_null() ? std::nullopt : std::optional(value.get<std::string>()));
    }
  }
  if (const Json* pairs = find_member(*given, "rawHeaders")) {
    edits.all_headers.emplace();
    for (const Json& pair : *pairs)
      edits.all_headers->emplace_back(pair[0].get<std::string>(), pair[1].get<std::string>());
  }
  edits.body = text_argument(*given, "body");
  if (const auto coded = text_argument(*given, "bodyBase64")) {
    if (edits.body) return fail(Code::kInvalid, "edits: give body or bodyBase64, not both");
    edits.body = base64_decode(*coded);
    if (!edits.body) return fail(Code::kInvalid, "edits.bodyBase64 is not base64");
  }
  SLUICE_CHECK(check_masks(edits));
  return edits;
}

ToolResult resume_exchange(const Json& arguments, CallContext& context) {
  Services& services = *context.services;
  const std::string id = *text_argument(arguments, "exchange_id");
  const std::string action = *text_argument(arguments, "action");
  const auto how = action == "respond" ? proxy::HoldAction::kRespond
                   : action == "drop"  ? proxy::HoldAction::kDrop
                                       : proxy::HoldAction::kContinue;
  services.ring.sync();
  std::optional<ExchangeSeq> seq;
  if (const auto exchange = services.ring.find(id)) seq = exchange->seq;
  for (const proxy::Held& held : services.engine.held()) {
    if (unrecorded_id(held.seq) == id) seq = held.seq;
  }
  auto edits = edits_of(arguments);
  if (!edits) return thrown(std::move(edits).error());
  edits->grant = context.grant;
  const Status done = seq ? services.engine.resume(*seq, how, *std::move(edits)) : fail(Code::kNotFound, "");
  if (!done && done.error().code == Code::kNotFound) {
    return fail(Code::kNotFound, fmt::format("Exchange '{}' is not held: proxy_list_held lists what is",
                                             repair_utf8(utf16_prefix(repair_utf8(id), 200))));
  }
  if (!done) return thrown(done.error());
  return Json{{"exchange_id", id}, {"message", fmt::format("Exchange '{}': {}.", id, action)}};
}

Tool list_tool() {
  return {
      .name = "proxy_list_held",
      .title = "List held exchanges",
      .summary =
          "Requests and answers that hold rules hold just now, as they would go on, longest held first. Decide with "
          "proxy_resume_exchange before remainingMs is over: then they go on unchanged.",
      .group = "rules",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "This one alone."},
                 {.name = "body_limit",
                  .type = FieldType::kInteger,
                  .meaning = "Of each body shown.",
                  .default_value = kShownByDefault,
                  .minimum = 0,
                  .maximum = static_cast<double>(kMiB)}},
      .result = {{"count", "number", ""},
                 {"held",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"exchange_id", "string", ""},
                   {"phase", "string", "request or response"},
                   {"ruleId", "string", "the rule that holds it"},
                   {"heldMs", "number", "so far"},
                   {"remainingMs", "number", "until it goes on by itself"},
                   {"method", "string", ""},
                   {"url", "string", ""},
                   {"statusCode", "number", "of an answer", true},
                   {"headers", "object", "lower-case names"},
                   {"rawHeaders", "object[]", "order, case and repetitions as they are"},
                   {"body", "string", "decoded text", true},
                   {"bodyBase64", "string", "what is no text; with show_secrets", true},
                   {"bodySize", "number", "octets, coded as they are"},
                   {"bodyEditable", "boolean", "false: too large or endless, it passes as it stands"}}}},
      .function = list_held,
  };
}

Tool resume_tool() {
  return {
      .name = "proxy_resume_exchange",
      .title = "Decide a held exchange",
      .summary =
          "End a hold: continue (with edits, if any), respond (answer the client yourself: edits.status, headers, "
          "body) or drop (close the client's connection). Bad edits are refused and it stays held.",
      .group = "rules",
      .risk = Risk::kExecute,
      .hints = kSlow,
      .fields =
          {{.name = "exchange_id", .meaning = "From proxy_list_held.", .required = true},
           {.name = "action",
            .meaning = "What becomes of it.",
            .default_value = "continue",
            .choices = {"continue", "respond", "drop"}},
           {.name = "edits",
            .type = FieldType::kObject,
            .meaning = "What is not given stays.",
            .fields = {{.name = "method", .meaning = "Of a request."},
                       {.name = "url", .meaning = "Of a request: absolute."},
                       {.name = "status", .type = FieldType::kInteger, .meaning = "Of an answer."},
                       {.name = "headers", .type = FieldType::kNullableStringMap, .meaning = "Set; null removes."},
                       {.name = "rawHeaders",
                        .type = FieldType::kPairs,
                        .meaning = "All headers anew: [name, value], in order."},
                       {.name = "body", .meaning = "All of it, as text."},
                       {.name = "bodyBase64", .meaning = "All of it, as octets."}}}},
      .result = {{"exchange_id", "string", ""}, {"message", "string", ""}},
      .function = resume_exchange,
  };
}

}  // namespace

std::vector<Tool> breakpoint_tools() { return {list_tool(), resume_tool()}; }

}  // namespace sluice::tools

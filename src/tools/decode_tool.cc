// proxy_decode_exchange: what a body says, whatever it is wrapped in. Beyond the contract; output bounded as
// engine.md 5.
#include "tools/decode_tool.h"

#include "analysis/body.h"
#include "analysis/decode.h"
#include "base/text.h"
#include "tools/body_text.h"
#include "tools/page.h"
#include "tools/session_json.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

using flow::Direction;

constexpr std::size_t kDefaultItems = 100;
constexpr std::size_t kMostItems = 10'000;

struct Wanted {
  analysis::DecodeAs as = analysis::DecodeAs::kDetect;
  std::size_t offset = 0;
  std::optional<std::size_t> limit;
};

struct WholeBody {
  std::string octets;
  std::string problem;
};

// With its content codings off, as far as it may be decoded.
Result<WholeBody> read_body(const capture::BodySource& bodies, const flow::Exchange& exchange, Direction direction,
                            const std::string& coding, CallContext& context) {
  WholeBody body;
  analysis::BodyStream stream(bodies, exchange.id, direction, coding, {.budget = analysis::kMostDecodeInput + 1});
  while (body.octets.size() <= analysis::kMostDecodeInput) {
    if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    SLUICE_TRY(const std::string_view piece, stream.next());
    if (piece.empty()) break;
    body.octets.append(piece);
  }
  body.problem = stream.problem();
  if (body.octets.size() > analysis::kMostDecodeInput) {
    body.octets.resize(analysis::kMostDecodeInput);
    body.problem = "longer than 4 MiB: only the beginning was looked at";
  }
  return body;
}

// As they come off: the last one applied first.
Json coding_names(const std::string& coding) {
  Json names = Json::array();
  const std::vector<std::string_view> parts = split(coding, ',');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    const std::string name = to_lower(trim(*part));
    if (!name.empty() && name != "identity") names.push_back(name);
  }
  return names;
}

// As much as there is room for, where the caller does not say how much: else the next page would begin behind what an
// answer can show.
analysis::DecodedWindow window_that_fits(const Json& value, const Wanted& wanted) {
  const std::size_t usual = value.is_string() ? static_cast<std::size_t>(kDefaultBodyLimit) : kDefaultItems;
  const std::size_t most = value.is_string() ? static_cast<std::size_t>(kMiB) : kMostItems;
  for (std::size_t limit = std::min(wanted.limit.value_or(usual), most);; limit /= 2) {
    analysis::DecodedWindow window = analysis::window_of(Json(value), wanted.offset, limit);
    if (wanted.limit || limit <= 1 || dump_json(window.value).size() <= kPageOctets / 2) return window;
  }
}

Result<Json> side_json(const capture::BodySource& bodies, const flow::Exchange& exchange, Direction direction,
                       const Wanted& wanted, CallContext& context) {
  const flow::BodyInfo& info = analysis::body_info(exchange, direction);
  if (info.size == 0) return Json();
  const http::FieldList fields = flow::parse_fields(analysis::shown_head(exchange, direction));
  const std::string type = fields.joined("content-type").value_or("");
  const std::string coding = fields.joined("content-encoding").value_or("");
  const std::string grpc = fields.joined("grpc-encoding").value_or("");
  SLUICE_TRY(const WholeBody body, read_body(bodies, exchange, direction, coding, context));
  analysis::Decoding decoded = analysis::decode(
      body.octets, {.content_type = type, .grpc_encoding = grpc, .as = wanted.as, .redactor = context.redactor});
  analysis::DecodedWindow window = window_that_fits(decoded.value, wanted);
  Json json = {{"contentType", type.empty() ? Json() : Json(type)}, {"bytes", body.octets.size()}};
  Json& chain = json["chain"] =
      body.problem.empty() || body.octets.size() == analysis::kMostDecodeInput ? coding_names(coding) : Json::array();
  for (std::string& name : decoded.chain) chain.push_back(std::move(name));
  json["value"] = std::move(window.value);
  json["offset"] = wanted.offset;
  json["total"] = window.total;
  if (window.next_offset) json["nextOffset"] = *window.next_offset;
  std::string problem = body.problem;
  if (!decoded.problem.empty()) problem += (problem.empty() ? "" : "; ") + decoded.problem;
  if (!info.complete) problem += std::string(problem.empty() ? "" : "; ") + "the body was not kept whole";
  if (!problem.empty()) json["problem"] = std::move(problem);
  return json;
}

bool wants(const Json& arguments, std::string_view side) {
  const Json* include = find_member(arguments, "include");
  return !include || include->empty() || std::find(include->begin(), include->end(), side) != include->end();
}

ToolResult decode_exchange(const Json& arguments, CallContext& context) {
  const std::string id = *text_argument(arguments, "exchange_id");
  SLUICE_TRY(const OpenExchange open, open_exchange(arguments, context));
  if (open.exchange.protocol == flow::Protocol::kWebSocket) {
    return fail(Code::kInvalid,
                "A WebSocket has messages and no body: proxy_get_exchange with include: [\"messages\"].");
  }
  Wanted wanted;
  wanted.as =
      analysis::find_decoding(text_argument(arguments, "as").value_or("")).value_or(analysis::DecodeAs::kDetect);
  wanted.offset = static_cast<std::size_t>(*integer_argument(arguments, "offset"));
  if (const auto limit = integer_argument(arguments, "limit")) wanted.limit = static_cast<std::size_t>(*limit);
  Json answer = {{"exchange_id", id}};
  for (const Direction direction : {Direction::kRequest, Direction::kResponse}) {
    const std::string side(flow::to_string(direction));
    if (!wants(arguments, side)) continue;
    SLUICE_TRY(answer[side], side_json(*open.bodies, open.exchange, direction, wanted, context));
  }
  return answer;
}

std::vector<ResultField> side_result() {
  return {{"contentType", "string", "", false, true},
          {"bytes", "number", "without content codings"},
          {"chain", "string[]", "what came off, in order"},
          {"value", "any", "null: nothing was recognised", false, true},
          {"offset", "number", ""},
          {"total", "number", "items, members, or octets of text"},
          {"nextOffset", "number", "", true},
          {"problem", "string", "why there is less than there should be", true}};
}

}  // namespace

Tool decode_tool() {
  return {
      .name = "proxy_decode_exchange",
      .title = "Decoded bodies",
      .summary =
          "What the bodies of an exchange say: content codings, then JSON, forms, multipart, base64, JWT (never the "
          "signature), MessagePack, CBOR, protobuf and gRPC without a schema, GraphQL. Names the chain that applied.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {{.name = "exchange_id", .meaning = "From a list.", .required = true},
                 {.name = "session_id", .meaning = "The recording that has it; absent: what was captured last."},
                 {.name = "include",
                  .type = FieldType::kStringArray,
                  .meaning = "Which bodies; absent: both.",
                  .choices = {"request", "response"}},
                 {.name = "as",
                  .meaning = "Take it for this, whatever its type says.",
                  .choices = {"base64", "cbor", "form", "graphql", "grpc", "json", "jwt", "msgpack", "multipart",
                              "protobuf"}},
                 {.name = "offset",
                  .type = FieldType::kInteger,
                  .meaning = "Items of the outermost list, members of the object, or octets of text to skip.",
                  .default_value = 0,
                  .minimum = 0},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "At most so many items (100, at most 10000) or octets (16384, at most 1 MiB).",
                  .minimum = 0,
                  .maximum = static_cast<double>(kMiB)}},
      .result = {{"exchange_id", "string", ""},
                 {"request", "object", "null: it has no body", true, true, side_result()},
                 {"response", "object", "null: it has no body", true, true, side_result()}},
      .function = decode_exchange,
  };
}

}  // namespace sluice::tools

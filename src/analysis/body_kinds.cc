#include "analysis/body_kinds.h"

#include <algorithm>

#include "analysis/graphql.h"
#include "analysis/grpc.h"
#include "analysis/multipart.h"
#include "analysis/protobuf_json.h"
#include "base/text.h"
#include "codings/codings.h"
#include "flow/exchange.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostPairs = 10'000;    // parameters of a form, lines of JSON
constexpr std::size_t kMostMessages = 1'000;  // of gRPC in one body
constexpr std::size_t kShownOctets = 16'384;  // of a part that is not text
constexpr ByteCount kMostMessage = 1 * kMiB;  // of one gRPC message, decompressed

std::string_view trimmed(Bytes text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == Bytes::npos ? Bytes() : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

// By the names and shapes that a body of JSON is masked by: numbers under secret names, JSON inside strings, tokens.
// What was JSON stays JSON under a mask.
Result<Json> masked(Json value, const Redactor* redactor) {
  if (!redactor) return value;
  Redacted text = redactor->mask_body(dump_json(value), "application/json");
  if (!text.masked) return value;
  auto again = parse_json(text.text, {.max_depth = 66, .max_members = SIZE_MAX, .refuse_duplicate_keys = false});
  if (!again) return fail(Code::kRefused, "this cannot be masked; with show_secrets it can be shown");
  return again;
}

Result<Json> read_json(Bytes octets, const DecodeOptions& options) {
  const JsonLimits limits{.refuse_duplicate_keys = false};
  auto whole = parse_json(octets, limits);
  if (whole) return masked(*std::move(whole), options.redactor);
  // Lines of JSON.
  const std::string_view text = trimmed(octets);
  if (text.find('\n') == std::string_view::npos) return fail(whole.error());
  Json lines = Json::array();
  for (std::string_view line : split(text, '\n')) {
    line = trimmed(line);
    if (line.empty()) continue;
    auto json = lines.size() < kMostPairs ? parse_json(line, limits) : fail(Code::kTooLarge, "too many lines");
    if (!json) return fail(whole.error());
    lines.push_back(*std::move(json));
  }
  return masked(std::move(lines), options.redactor);
}

// [{name, value}], in order, repeated names too (WHATWG URL §5.1).
Result<Json> read_form(Bytes octets, const DecodeOptions& options) {
  const std::string shown = options.redactor
                                ? options.redactor->mask_body(octets, "application/x-www-form-urlencoded").text
                                : std::string(octets);
  const auto plain = [](std::string_view text) {
    std::string spaced(text);
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    return repair_utf8(percent_decode(spaced));
  };
  Json pairs = Json::array();
  for (const std::string_view pair : split(trimmed(shown), '&')) {
    if (pair.empty()) continue;
    if (pairs.size() == kMostPairs) return fail(Code::kTooLarge, "a form of more than 10000 parameters");
    const std::size_t equals = pair.find('=');
    const std::string name = plain(pair.substr(0, equals));
    pairs.push_back({{"name", name}, {"value", equals == Bytes::npos ? "" : plain(pair.substr(equals + 1))}});
  }
  if (pairs.empty()) return fail(Code::kInvalid, "not a form: it has no parameters");
  return masked(std::move(pairs), options.redactor);
}

Json part_headers(const http::FieldList& fields, const Redactor* redactor) {
  Json headers = Json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string value(fields.value(i));
    headers[to_lower(fields.name(i))] =
        repair_utf8(redactor ? redactor->mask_header_value(fields.name(i), value).text : value);
  }
  return headers;
}

Json part_json(const BodyPart& part, const Redactor* redactor) {
  const http::FieldList fields = flow::parse_fields(std::string(part.head) + "\r\n");
  const std::string disposition = fields.joined("content-disposition").value_or("");
  Json json = Json::object();
  if (const auto file = field_parameter(disposition, "filename")) json["filename"] = repair_utf8(*file);
  const auto name = field_parameter(disposition, "name");
  if (name) json["name"] = repair_utf8(*name);
  json["headers"] = part_headers(fields, redactor);
  json["bytes"] = part.content.size();
  const std::string type = fields.joined("content-type").value_or("");
  std::string content(part.content);
  if (redactor) {
    content = redactor->mask_body(content, type).text;
    if (name) content = redactor->mask_member(*name, content).text;
  }
  if (is_utf8(content)) {
    json["value"] = std::move(content);
  } else {
    json["value"] = octets_text(content.substr(0, kShownOctets));
    if (content.size() > kShownOctets) json["shownBytes"] = kShownOctets;
  }
  if (!part.complete) json["complete"] = false;
  return json;
}

Result<Json> read_multipart(Bytes octets, const DecodeOptions& options) {
  const auto boundary = field_parameter(options.content_type, "boundary");
  SLUICE_TRY(const Multipart multipart, parse_multipart(octets, boundary.value_or("")));
  if (multipart.cut) return fail(Code::kTooLarge, "a multipart body of more than 1000 parts");
  Json parts = Json::array();
  for (const BodyPart& part : multipart.parts) parts.push_back(part_json(part, options.redactor));
  return parts;
}

Result<Json> read_jwt(Bytes octets, const DecodeOptions& options) {
  SLUICE_TRY(Json jwt, parse_jwt(trimmed(octets)));
  if (options.redactor) mask_personal_claims(jwt, *options.redactor);
  return masked(std::move(jwt), options.redactor);
}

Result<Json> read_protobuf(Bytes octets, const DecodeOptions& options) {
  const auto fields = parse_protobuf(octets);
  if (!fields) return fail(Code::kInvalid, "not a protocol buffer from end to end, or one of more than 500 fields");
  return masked(protobuf_json(*fields, options.redactor), options.redactor);
}

constexpr const char* kNothingLeft = "not decompressed: with those before it, it is more than there is for one body";

// `left`: of what all messages of a body together may be decompressed to.
Json grpc_message(const GrpcFrame& frame, const DecodeOptions& options, ByteCount& left) {
  Json json = {{"bytes", frame.length}};
  if (!frame.complete) json["complete"] = false;
  std::string payload = frame.payload;
  if (frame.compressed) {
    json["compressed"] = true;
    if (left == 0) {
      json["problem"] = kNothingLeft;
      return json;
    }
    // gRPC knows one coding for a message, and what lies between several would be counted by nobody.
    const bool known = !options.grpc_encoding.empty() && options.grpc_encoding.find(',') == std::string_view::npos;
    codings::Decoded plain;
    if (known) plain = codings::decode_all(payload, options.grpc_encoding, std::min(kMostMessage, left));
    left -= std::min<ByteCount>(left, plain.text.size());
    if (!known || !plain.problem.empty()) {
      json["problem"] = known && left == 0 ? kNothingLeft : "the message cannot be decompressed";
      return json;
    }
    payload = std::move(plain.text);
  }
  const Redactor* const redactor = options.redactor;
  if (frame.trailers) {
    json["trailers"] = part_headers(flow::parse_fields(payload), redactor);
  } else if (const auto fields = parse_protobuf(payload)) {
    json["fields"] = protobuf_json(*fields, redactor);
  } else {
    const std::string shown = redactor ? redactor->mask_body(payload, "").text : payload;
    json["value"] = is_utf8(shown) ? shown : octets_text(shown.substr(0, kShownOctets));
  }
  return json;
}

Result<Json> read_grpc(Bytes octets, const DecodeOptions& options) {
  GrpcParser parser(grpc_form(options.content_type).value_or(GrpcForm::kBinary), kMostMessage);
  parser.feed(octets);
  Json messages = Json::array();
  ByteCount left = kMostDecodeInput;
  for (;;) {
    SLUICE_TRY(auto frame, parser.next());
    if (!frame) frame = parser.finish();
    if (!frame) return messages;
    if (messages.size() == kMostMessages) return fail(Code::kTooLarge, "more than 1000 gRPC messages");
    messages.push_back(grpc_message(*frame, options, left));
    if (!frame->complete) return messages;
  }
}

Json operations_json(const std::vector<GraphqlOperation>& operations) {
  Json list = Json::array();
  for (const GraphqlOperation& operation : operations) {
    list.push_back({{"type", operation.type}, {"name", operation.name.empty() ? Json() : Json(operation.name)}});
  }
  return list;
}

Result<Json> read_graphql(Bytes octets, const DecodeOptions& options) {
  if (auto json = parse_json(octets, {.refuse_duplicate_keys = false})) {
    if (auto request = graphql_of_json(*json)) return masked(*std::move(request), options.redactor);
  }
  const auto operations = graphql_operations(octets);
  if (!operations) return fail(Code::kInvalid, "not GraphQL: neither a document nor a JSON object with one as `query`");
  const std::string shown = options.redactor ? options.redactor->mask_body(octets, "").text : std::string(octets);
  return Json{{"operations", operations_json(*operations)}, {"query", repair_utf8(shown)}};
}

std::optional<Json> graphql_request(const Json& json) {
  const Json* const query = find_member(json, "query");
  if (!query || !query->is_string()) return std::nullopt;
  const auto operations = graphql_operations(query->get_ref<const std::string&>());
  if (!operations) return std::nullopt;
  Json request = {{"operations", operations_json(*operations)}};
  for (const char* name : {"operationName", "variables", "extensions", "query"}) {
    if (const Json* member = find_member(json, name)) request[name] = *member;
  }
  return request;
}

}  // namespace

std::optional<Json> graphql_of_json(const Json& json) {
  if (!json.is_array()) return graphql_request(json);
  Json batch = Json::array();
  for (const Json& item : json) {
    auto request = graphql_request(item);
    if (!request) return std::nullopt;
    batch.push_back(*std::move(request));
  }
  return batch.empty() ? std::nullopt : std::optional(std::move(batch));
}

Result<Json> read_body_kind(DecodeAs as, Bytes octets, const DecodeOptions& options) {
  switch (as) {
    case DecodeAs::kJson:
      return read_json(octets, options);
    case DecodeAs::kForm:
      return read_form(octets, options);
    case DecodeAs::kMultipart:
      return read_multipart(octets, options);
    case DecodeAs::kJwt:
      return read_jwt(octets, options);
    case DecodeAs::kProtobuf:
      return read_protobuf(octets, options);
    case DecodeAs::kGrpc:
      return read_grpc(octets, options);
    case DecodeAs::kGraphql:
      return read_graphql(octets, options);
    case DecodeAs::kMsgpack:
    case DecodeAs::kCbor: {
      SLUICE_TRY(Json value, as == DecodeAs::kCbor ? parse_cbor(octets) : parse_msgpack(octets));
      return masked(std::move(value), options.redactor);
    }
    case DecodeAs::kDetect:
    case DecodeAs::kBase64:
      break;
  }
  return fail(Code::kInternal, "no kind of body");
}

}  // namespace sluice::analysis

#include "mcp/jsonrpc.h"

#include <fmt/format.h>

#include <array>

#include "base/json_spelling.h"
#include "base/text.h"

namespace sluice::mcp {
namespace {

constexpr std::size_t kMaxIdOctets = 256;
constexpr std::int64_t kMaxIdNumber = std::int64_t{1} << 53;  // what JavaScript clients read back unchanged

constexpr std::array<std::string_view, 6> kMembers = {"jsonrpc", "id", "method", "params", "result", "error"};

// As find_member, but null is a value: `"id": null` is not the same as no id.
Json* member(Json& object, std::string_view name) {
  for (auto& [key, value] : object.get_ref<Json::object_t&>()) {
    if (key == name) return &value;
  }
  return nullptr;
}

// A4: `Method` beside or instead of `method` could be read as either by the next hop.
bool has_lookalike(const Json& object) {
  for (const auto& [key, value] : object.get_ref<const Json::object_t&>()) {
    for (const std::string_view known : kMembers) {
      if (key != known && iequals(key, known)) return true;
    }
  }
  return false;
}

Malformed malformed(int code, std::string message, std::optional<RequestId> id = std::nullopt) {
  return Malformed{std::move(id), RpcError{code, std::move(message)}};
}

Message parse_call(Json& object, const Json* id_member, std::optional<RequestId> id) {
  const Json* method = member(object, "method");
  if (!method->is_string() || method->get_ref<const std::string&>().empty()) {
    return malformed(rpc::kInvalidRequest, "`method` must be a string", std::move(id));
  }
  if (id_member && !id) {
    return malformed(rpc::kInvalidRequest, "`id` must be a string of at most 256 octets or an integer within 2^53");
  }
  Json* params = member(object, "params");
  if (params && !params->is_object()) {
    Malformed refused = malformed(rpc::kInvalidParams, "`params` must be an object", std::move(id));
    refused.is_notification = !id_member;
    return refused;
  }
  Json arguments = params ? std::move(*params) : Json::object();
  if (!id_member) return Notification{method->get<std::string>(), std::move(arguments)};
  return Request{*std::move(id), method->get<std::string>(), std::move(arguments)};
}

Message parse_object(Json& object) {
  const Json* id_member = member(object, "id");
  std::optional<RequestId> id = id_member ? RequestId::from_json(*id_member) : std::nullopt;
  const Json* version = member(object, "jsonrpc");
  const bool has_method = member(object, "method") != nullptr;
  const bool has_result = member(object, "result") != nullptr;
  const bool has_error = member(object, "error") != nullptr;
  if (!has_method && (has_result || has_error)) {
    Response response{std::move(id), has_error};
    if (has_result != has_error) response.body = std::move(*member(object, has_error ? "error" : "result"));
    return response;
  }
  if (!version || *version != "2.0") {
    return malformed(rpc::kInvalidRequest, "`jsonrpc` must be \"2.0\"", std::move(id));
  }
  if (has_lookalike(object)) {
    return malformed(rpc::kInvalidRequest, "a member's name differs from a known one only by case", std::move(id));
  }
  if (!has_method) return malformed(rpc::kInvalidRequest, "`method` is missing", std::move(id));
  if (has_result || has_error) {
    return malformed(rpc::kInvalidRequest, "a request has neither `result` nor `error`", std::move(id));
  }
  return parse_call(object, id_member, std::move(id));
}

Json envelope() {
  Json message = Json::object();
  message["jsonrpc"] = "2.0";
  return message;
}

}  // namespace

std::optional<RequestId> RequestId::from_json(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kMaxIdOctets) return std::nullopt;
    return RequestId(text);
  }
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(kMaxIdNumber)) return std::nullopt;
    return RequestId(static_cast<std::int64_t>(number));
  }
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number < -kMaxIdNumber || number > kMaxIdNumber) return std::nullopt;
    return RequestId(number);
  }
  return std::nullopt;
}

Json RequestId::to_json() const {
  return std::visit([](const auto& value) { return Json(value); }, value_);
}

namespace {

Message parse(std::string_view text, Result<Json> (*parse_text)(std::string_view, const JsonLimits&),
              const JsonLimits& limits) {
  // The JSON library would skip a byte order mark; RFC 8259 §8.1 allows to refuse it, and A7 asks for it.
  if (text.starts_with("\xEF\xBB\xBF")) return malformed(rpc::kParseError, "a byte order mark stands before the JSON");
  auto parsed = parse_text(text, limits);
  if (!parsed) {
    const int code = parsed.error().code == Code::kTooLarge ? rpc::kInvalidRequest : rpc::kParseError;
    return malformed(code, std::move(parsed.error().message));
  }
  if (parsed->is_array()) {
    return malformed(rpc::kInvalidRequest, "batches are not accepted: send one message at a time");
  }
  if (!parsed->is_object()) return malformed(rpc::kInvalidRequest, "a message is a JSON object");
  return parse_object(*parsed);
}

}  // namespace

Message parse_message(std::string_view text, const JsonLimits& limits) { return parse(text, parse_json, limits); }

Message parse_spelled_message(std::string_view text, const JsonLimits& limits) {
  return parse(text, parse_spelled_json, limits);
}

std::string write_result(const RequestId& id, Json result) {
  Json message = envelope();
  message["id"] = id.to_json();
  message["result"] = std::move(result);
  return dump_spelled_json(message);
}

std::string write_result_text(const RequestId& id, std::string_view result) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", dump_spelled_json(id.to_json()), result);
}

std::string write_error(const std::optional<RequestId>& id, const RpcError& error) {
  Json message = envelope();
  if (id) message["id"] = id->to_json();
  Json& body = message["error"];
  body["code"] = error.code;
  body["message"] = error.message;
  if (!error.data.is_null()) body["data"] = error.data;
  return dump_spelled_json(message);
}

std::string write_notification(std::string_view method, Json params) {
  Json message = envelope();
  message["method"] = method;
  if (!params.empty()) message["params"] = std::move(params);
  return dump_spelled_json(message);
}

std::string write_request(const RequestId& id, std::string_view method, Json params) {
  Json message = envelope();
  message["id"] = id.to_json();
  message["method"] = method;
  if (!params.empty()) message["params"] = std::move(params);
  return dump_spelled_json(message);
}

std::string write_raw_error(const RequestId& id, Json error) {
  Json message = envelope();
  message["id"] = id.to_json();
  message["error"] = std::move(error);
  return dump_spelled_json(message);
}

}  // namespace sluice::mcp

#include "tools/message_json.h"

#include "analysis/protobuf_json.h"
#include "base/text.h"

namespace sluice::tools {
namespace {

using analysis::MessageKind;

void add_content(Json& json, const analysis::SeenMessage& message, MessageKind kind) {
  const bool binary = kind == MessageKind::kGrpc && message.type == "message";
  if (kind == MessageKind::kEvents && !message.bytes) return;  // a block without data
  if (message.type == "close") return;
  if (!binary && is_utf8(message.content)) {
    json["text"] = message.content;
  } else {
    json["base64"] = base64_encode(message.content);
  }
}

Json item_json(const analysis::SeenMessage& message, MessageKind kind, const Redactor* redactor) {
  Json json = {{"number", message.number},
               {"from", message.direction == flow::Direction::kRequest ? "client" : "server"},
               {"type", message.type}};
  if (message.at) json["at"] = unix_ms(*message.at);
  if (message.event) json["event"] = message.event->empty() ? "message" : *message.event;
  if (message.id) json["id"] = *message.id;
  if (message.retry_ms) json["retry"] = *message.retry_ms;
  if (message.close_code) json["code"] = *message.close_code;
  if (!message.close_reason.empty()) json["reason"] = message.close_reason;
  if (message.bytes) json["bytes"] = *message.bytes;
  add_content(json, message, kind);
  if (!message.small.empty()) {
    if (const auto fields = analysis::parse_protobuf(message.small))
      json["fields"] = analysis::protobuf_json(*fields, redactor);
  }
  if (message.compressed) json["compressed"] = true;
  if (message.cut) json["cut"] = true;
  if (!message.complete) json["complete"] = false;
  if (!message.problem.empty()) json["problem"] = message.problem;
  return json;
}

bool has_ended(const flow::Exchange& exchange) {
  return exchange.state != flow::State::kOpen && exchange.request.body.complete && exchange.response.body.complete;
}

}  // namespace

Result<Json> messages_json(const capture::BodySource& ring, const flow::Exchange& exchange,
                           const analysis::MessageQuery& query) {
  if (!analysis::message_kind(exchange)) return Json();
  SLUICE_TRY(const analysis::MessagePage page, analysis::read_messages(ring, exchange, query));
  Json json = {{"kind", analysis::to_string(page.kind)},
               {"offset", query.offset},
               {"total", page.total},
               {"complete", has_ended(exchange)}};
  if (page.next_offset) json["nextOffset"] = *page.next_offset;
  if (!page.problem.empty()) json["problem"] = page.problem;
  if (page.status) {
    json["status"] = {{"code", page.status->code},
                      {"name", analysis::grpc_status_name(page.status->code)},
                      {"message", page.status->message}};
  }
  Json& items = json["items"] = Json::array();
  for (const analysis::SeenMessage& message : page.messages)
    items.push_back(item_json(message, page.kind, query.redactor));
  return json;
}

std::vector<ResultField> messages_result() {
  return {{"kind", "string", "websocket, events or grpc"},
          {"offset", "number", ""},
          {"total", "number", "so far"},
          {"complete", "boolean", "all were captured"},
          {"nextOffset", "number", "", true},
          {"problem", "string", "", true},
          {"status", "object", "gRPC's", true},
          {"items", "object[]", "{number, from, type, text|base64, …}"}};
}

}  // namespace sluice::tools

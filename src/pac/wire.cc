#include "pac/wire.h"

#include "base/json.h"
#include "pac/answer.h"

namespace sluice::pac {
namespace {

Result<std::string> text_of(const Json& object, std::string_view name) {
  const Json* found = find_member(object, name);
  if (!found || !found->is_string()) return fail(Code::kInvalid, "a member is missing or no string");
  return found->get<std::string>();
}

}  // namespace

std::string write(const Request& request) {
  if (request.script) return dump_json(Json{{"script", *request.script}});
  return dump_json(Json{{"url", request.url}, {"host", request.host}});
}

std::string write(const Reply& reply) {
  Json json = Json::object();
  if (reply.answer) {
    json["answer"] = *reply.answer;
  } else {
    json["error"] = reply.answer.error().message;
    if (reply.answer.error().code == Code::kTooLarge) json["large"] = true;
  }
  if (!reply.alerts.texts.empty()) json["alerts"] = reply.alerts.texts;
  if (reply.alerts.dropped > 0) json["dropped"] = reply.alerts.dropped;
  if (reply.last) json["last"] = true;
  return dump_json(json);
}

Result<Request> read_request(std::string_view line) {
  SLUICE_TRY(const Json json, parse_json(line));
  Request request;
  if (find_member(json, "script")) {
    SLUICE_TRY(request.script, text_of(json, "script"));
    return request;
  }
  SLUICE_TRY(request.url, text_of(json, "url"));
  SLUICE_TRY(request.host, text_of(json, "host"));
  return request;
}

Result<Reply> read_reply(std::string_view line) {
  SLUICE_TRY(const Json json, parse_json(line));
  Reply reply;
  if (find_member(json, "error")) {
    SLUICE_TRY(const std::string message, text_of(json, "error"));
    reply.answer = fail(find_member(json, "large") ? Code::kTooLarge : Code::kInvalid, shown(message, 400));
  } else {
    SLUICE_TRY(reply.answer, text_of(json, "answer"));
  }
  if (const Json* alerts = find_member(json, "alerts")) {
    const ScriptLimits limits;
    if (!alerts->is_array() || alerts->size() > limits.alerts) return fail(Code::kInvalid, "too many alerts");
    for (const Json& alert : *alerts) {
      if (!alert.is_string()) return fail(Code::kInvalid, "an alert is no string");
      reply.alerts.texts.push_back(shown(alert.get<std::string>(), limits.alert_length));
    }
  }
  if (const Json* dropped = find_member(json, "dropped")) {
    if (!dropped->is_number_unsigned()) return fail(Code::kInvalid, "a count is no number");
    reply.alerts.dropped = dropped->get<std::size_t>();
  }
  reply.last = find_member(json, "last") != nullptr;
  return reply;
}

}  // namespace sluice::pac

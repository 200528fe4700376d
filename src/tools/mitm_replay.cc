// replay_flow (mitm-tools.json, analysis.md).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "tools/login_run.h"
#include "tools/mitm_flow.h"
#include "tools/mitm_send.h"
#include "tools/mitm_values.h"
#include "tools/replaying.h"

namespace sluice::tools {
namespace {

constexpr std::string_view kOmit = "__omit__";  // mitm-tools.json

// What the body will be: as the caller says, or as it was.
analysis::VariablePlace place_of_body(const flow::Exchange& exchange, const replay::Overrides& overrides) {
  std::string type(flow::parse_fields(exchange.request.head).find("content-type").value_or(""));
  for (const auto& [name, value] : overrides.fields) {
    if (iequals(name, "content-type")) type = value.value_or("");
  }
  type = to_lower(type);
  if (type.find("json") != std::string::npos) return analysis::VariablePlace::kJson;
  if (type.starts_with("application/x-www-form-urlencoded")) return analysis::VariablePlace::kForm;
  return analysis::VariablePlace::kText;
}

Result<replay::Overrides> read_overrides(const Json& arguments, const flow::Exchange& exchange, CallerValues& values) {
  replay::Overrides overrides;
  if (auto method = text_argument(arguments, "method"); method && !method->empty()) {
    overrides.method = to_upper(*method);
  }
  if (const auto text = text_argument(arguments, "url"); text && !text->empty()) {
    SLUICE_TRY(const std::string made, values.put(*text, analysis::VariablePlace::kUrl));
    auto url = parse_url(made);
    if (!url) return fail(Code::kInvalid, "url: " + url.error().message);
    overrides.url = *std::move(url);
  }
  if (const auto headers = text_argument(arguments, "headers_json"); headers && !headers->empty()) {
    SLUICE_CHECK(read_headers_json(*headers, values, overrides));
  }
  const auto body = text_argument(arguments, "body");
  if (flag_argument(arguments, "omit_body") || body == kOmit) {
    if (body && body != kOmit) return fail(Code::kInvalid, "Give a body or omit_body, not both.");
    overrides.content.emplace();
  } else if (body) {
    SLUICE_TRY(overrides.content, values.put(*body, place_of_body(exchange, overrides)));
    // What is given here is not coded as the captured body was.
    if (flow::parse_fields(exchange.request.head).find("content-encoding")) {
      overrides.fields.emplace_back("content-encoding", std::nullopt);
    }
  }
  return overrides;
}

Result<Json> answer_of(const proxy::SendResult& sent, const std::string& id, CallContext& context) {
  const int status = sent.head->status;
  Json answer = {{"result", fmt::format("Replayed: status {}.", status)},
                 {"flow_id", id.empty() ? Json() : Json(id)},
                 {"status_code", status},
                 {"duration_ms", static_cast<double>(sent.duration.count()) / 1'000},
                 {"headers", header_map(sent.head->fields, context.redactor)}};
  if (sent.failure) answer["problem"] = sent.failure->message;
  const auto exchange = id.empty() ? std::nullopt : context.services->ring.find(id);
  if (exchange) SLUICE_CHECK(put_body(answer, *exchange, flow::Direction::kResponse, {}, context));
  return answer;
}

ToolResult replay_flow(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  SecretFiller handles(context);
  CallerValues values(context, &handles);
  SLUICE_TRY(replay::Overrides overrides, read_overrides(arguments, exchange, values));
  if (const Status may = replay::check_replayable(exchange, overrides); !may) {
    return fail(may.error().code, "This flow cannot be replayed: " + may.error().message + ".");
  }
  std::string content;
  if (!overrides.content) {
    SLUICE_TRY(content, recorded_content(context.services->ring, exchange));
  }
  if (flag_argument(arguments, "substitute_captured")) {
    const PutCaptured put = [&values](std::string_view text, analysis::VariablePlace place) {
      return values.put(text, place, analysis::Given::kCaptured);
    };
    SLUICE_CHECK(substitute_captured(exchange, content, put, overrides));
  }
  SLUICE_TRY(proxy::SendRequest request, replay::make_request(exchange, std::move(content), overrides));
  SLUICE_CHECK(handles.bind(request));  // first: what the others say of the request may name what was filled in
  SLUICE_CHECK(check_target(exchange, request, WithoutScope::kOwnOrigin, context));
  request.direct = flag_argument(arguments, "direct");
  request.timeout =
      std::chrono::milliseconds(static_cast<std::int64_t>(number_argument(arguments, "timeout").value_or(30) * 1'000));
  const LoginCheckPtr check =
      context.services->login_checks->of_origin(context.grant, request.scheme, request.host, request.port);
  SLUICE_TRY(const proxy::SendResult sent, send_and_wait(std::move(request), context));
  context.services->ring.sync();
  const std::string id = sent.seq ? context.services->ring.id_of(sent.seq) : "";
  if (!sent.head) {
    return fail(Code::kUnavailable, fmt::format("The replay got no answer ({}): {}{}", sent.failure->code,
                                                sent.failure->message, id.empty() ? "" : ". Its flow is " + id));
  }
  SLUICE_TRY(Json answer, answer_of(sent, id, context));
  if (!values.unresolved().empty()) answer["unresolved"] = values.unresolved();
  if (check) {
    // The replay was sent, whatever comes of the check.
    const auto state = run_login_check(*check, context);
    LoginState unknown;
    if (!state) unknown.reason = state.error().message;
    answer["session"] = login_json(*check, state ? *state : unknown, context);
  }
  return answer;
}

}  // namespace

Tool replay_flow_tool() {
  std::vector<ResultField> result = sentence_result();
  result.push_back({"flow_id", "string", "of the new flow; null: it is not recorded", false, true});
  result.push_back({"status_code", "number", ""});
  result.push_back({"duration_ms", "number", ""});
  result.push_back({"headers", "object", ""});
  result.push_back({"unresolved", "string[]", "session variables that are not set", true});
  result.push_back(
      {"session", "object", "where login_check knows this origin: whether it lives", true, false, login_result()});
  for (ResultField& field : body_result("body_preview")) {
    field.optional = true;
    result.push_back(std::move(field));
  }
  return {
      .name = "replay_flow",
      .title = "Send a request again",
      .summary =
          "Send a captured request again, octet for octet or with changes; answers status, headers, a preview "
          "and the new flow's id. Without a scope it goes to its own origin only.",
      .group = "traffic",
      .risk = Risk::kExecute,
      .hints = kMitmproxy | kWrapped | kSlow | kReturnsTraffic | kOpenWorld,
      .fields = {flow_id_field(),
                 {.name = "method", .meaning = "Another method."},
                 {.name = "headers_json",
                  .meaning = "JSON object as text: headers to set; null removes.",
                  .takes_handles = true},
                 {.name = "body", .meaning = "Another body; __omit__ sends none.", .takes_handles = true},
                 {.name = "timeout",
                  .type = FieldType::kNumber,
                  .meaning = "Seconds, to the answer's end.",
                  .default_value = 30,
                  .minimum = 0.1,
                  .maximum = 600},
                 {.name = "url", .meaning = "Another URL, within the scope.", .takes_handles = true},
                 {.name = "omit_body", .type = FieldType::kBoolean, .meaning = "Send no body.", .default_value = false},
                 {.name = "direct",
                  .type = FieldType::kBoolean,
                  .meaning = "Past rules and upstream proxies.",
                  .default_value = false},
                 {.name = "substitute_captured",
                  .type = FieldType::kBoolean,
                  .meaning = "Put session variables into the captured request, too: ${name} only.",
                  .default_value = false}},
      .result = std::move(result),
      .function = replay_flow};
}

}  // namespace sluice::tools

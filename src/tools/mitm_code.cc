// generate_scraper_code (mitm-tools.json; analysis.md).
#include <algorithm>

#include "analysis/codegen.h"
#include "base/text.h"
#include "replay/request.h"
#include "tools/mitm_inference.h"

namespace sluice::tools {
namespace {

constexpr ByteCount kMostBody = 1 * kMiB;      // of one request or answer, decoded
constexpr std::size_t kMostCode = 900 * 1024;  // octets: an answer has a MiB

analysis::CodeFlow code_flow(const analysis::FlowView& flow, bool& whole) {
  analysis::CodeFlow code;
  code.method = flow.exchange.method;
  code.url = flow::url_of(flow.exchange);
  const bool coded = flow.request.find("content-encoding").has_value();
  for (std::size_t i = 0; i < flow.request.size(); ++i) {
    // The body is written decoded.
    if (coded && flow.request.is_named(i, "content-encoding")) continue;
    code.headers.push_back({std::string(flow.request.name(i)), std::string(flow.request.value(i))});
  }
  code.body = flow.request_body();
  whole = flow.exchange.request.body.complete && code.body.size() < kMostBody;
  if (!whole) code.body.clear();
  for (std::size_t i = flow.response.next_named("set-cookie"); i < flow.response.size();
       i = flow.response.next_named("set-cookie", i + 1)) {
    code.set_cookies.emplace_back(flow.response.value(i));
  }
  for (std::size_t i = 0; i < flow.response.size(); ++i) {
    if (!flow.response.is_named(i, "set-cookie"))
      code.answer_headers.push_back({std::string(flow.response.name(i)), std::string(flow.response.value(i))});
  }
  const std::string media = analysis::media_type_of(flow.response);
  code.answer_is_json = analysis::is_json_media(media);
  code.answer_is_html = media == "text/html" || media == "application/xhtml+xml";
  if (code.answer_is_json || code.answer_is_html) code.answer = flow.response_body();
  return code;
}

// The login check of the first origin that has one, as the last step.
void add_login_check(std::vector<analysis::CodeFlow>& flows, const std::vector<flow::Exchange>& origins,
                     CallContext& context) {
  for (const flow::Exchange& exchange : origins) {
    const LoginCheckPtr check =
        context.services->login_checks->of_origin(context.grant, exchange.scheme, exchange.host, exchange.port);
    if (!check) continue;
    const analysis::BodyReader bodies = [&](const flow::Exchange&, flow::Direction direction) {
      return direction == flow::Direction::kRequest ? check->content : std::string();
    };
    bool whole = true;
    analysis::CodeFlow code = code_flow(analysis::FlowView(check->exchange, bodies), whole);
    code.answer_headers.clear();
    code.set_cookies.clear();
    code.answer.clear();
    code.expected_status = check->expectation.status;
    if (!holds_mask(check->expectation.text)) code.expected_text = check->expectation.text;
    // What programs do not look at stands for the status that the flow had.
    if (code.expected_status == 0 && code.expected_text.empty()) code.expected_status = check->exchange.status;
    flows.push_back(std::move(code));
    return;
  }
}

ToolResult generate_scraper_code(const Json& arguments, CallContext& context) {
  FlowChoice choice;
  choice.ids = comma_list(*text_argument(arguments, "flow_ids"));
  choice.body_limit = kMostBody;
  if (choice.ids.empty()) return fail(Code::kInvalid, "flow_ids names no flow.");
  if (choice.ids.size() > analysis::kMostCodeSteps)
    return fail(Code::kTooLarge, "More than 50 flows make no program: name fewer.");
  const auto target = analysis::find_code_target(*text_argument(arguments, "target_framework"));
  if (!target) return fail(Code::kInvalid, "target_framework is not one of those that are written.");
  std::vector<analysis::CodeFlow> flows;
  std::vector<flow::Exchange> origins;
  Json left_out = Json::array(), sockets = Json::array();
  replay::Overrides any_body;  // one that is not there whole is left out of the program, the flow is not
  any_body.content.emplace();
  SLUICE_TRY(const FlowsSeen seen, visit_flows(context, choice, [&](const analysis::FlowView& flow) {
               if (!replay::check_replayable(flow.exchange, any_body)) return sockets.push_back(flow.exchange.id);
               bool whole = true;
               flows.push_back(code_flow(flow, whole));
               if (!whole) left_out.push_back(flow.exchange.id);
               if (std::none_of(origins.begin(), origins.end(), [&](const flow::Exchange& each) {
                     return each.scheme == flow.exchange.scheme && each.host == flow.exchange.host &&
                            each.port == flow.exchange.port;
                   }))
                 origins.push_back(flow.exchange);
             }));
  if (flows.empty() && !sockets.empty())
    return fail(Code::kRefused, "No program can be written: it is a socket or a tunnel, no request with an answer.");
  if (flows.empty()) return fail(Code::kNotFound, "Flow not found.");
  add_login_check(flows, origins, context);
  std::string code = analysis::generate_code(*target, flows, context.redactor);
  if (code.size() > kMostCode)
    return fail(Code::kTooLarge, "The program would be longer than 900 KiB: name fewer flows.");
  Json answer = sentence(std::move(code));
  if (!left_out.empty()) answer["bodies_left_out"] = std::move(left_out);
  if (!sockets.empty()) answer["sockets_left_out"] = std::move(sockets);
  put_seen(answer, seen);
  return answer;
}

}  // namespace

Tool scraper_code_tool() {
  Tool tool = {.name = "generate_scraper_code",
               .title = "A program that does it again",
               .summary =
                   "A program that sends the requests of flows again, in the order given: values of earlier "
                   "answers are taken from them, secrets from environment variables.",
               .group = "analysis",
               .risk = Risk::kRead,
               .hints = kMitmproxy | kWrapped | kSlow | kReturnsTraffic | kIdempotent | kUncapped | kMasksItself,
               .fields = {{.name = "flow_ids", .meaning = "Ids with commas between, at most 50.", .required = true},
                          {.name = "target_framework",
                           .meaning = "Python libraries first.",
                           .default_value = "curl_cffi",
                           .choices = {"curl_cffi", "requests", "aiohttp", "playwright", "curl", "node_fetch", "go",
                                       "cpp", "http", "postman"}}},
               .result = {{"result", "string", "the program"},
                          {"bodies_left_out", "string[]", "flows whose body is not there whole, or over 1 MiB", true},
                          {"sockets_left_out", "string[]", "flows that are no request with an answer", true}},
               .function = generate_scraper_code};
  for (ResultField& field : seen_result()) tool.result.push_back(std::move(field));
  return tool;
}

}  // namespace sluice::tools

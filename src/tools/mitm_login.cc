// login_check (analysis.md): a request that tells whether a session still lives, kept for replays, fuzzing and code.
#include "base/json_pointer.h"
#include "base/text.h"
#include "replay/request.h"
#include "tools/login_run.h"
#include "tools/mitm_flow.h"
#include "tools/mitm_values.h"
#include "tools/replaying.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostText = 2'000;  // octets of an expectation

Result<analysis::Expectation> read_expectation(const Json& arguments, const flow::Exchange& exchange) {
  analysis::Expectation expected;
  expected.status = static_cast<int>(integer_argument(arguments, "status").value_or(0));
  expected.header = text_argument(arguments, "header").value_or("");
  expected.header_text = text_argument(arguments, "header_text").value_or("");
  expected.text = text_argument(arguments, "text").value_or("");
  expected.pointer = text_argument(arguments, "pointer");
  if (const Json* equals = find_member(arguments, "equals")) expected.equals = *equals;
  if (!expected.header_text.empty() && expected.header.empty())
    return fail(Code::kInvalid, "header_text needs header, the name of the field that holds it.");
  if (expected.equals && !expected.pointer)
    return fail(Code::kInvalid, "equals needs pointer, which says where the value stands.");
  if (expected.pointer) SLUICE_CHECK(check_pointer(*expected.pointer));
  for (const std::string& text : {expected.header, expected.header_text, expected.text}) {
    if (text.size() > kMostText) return fail(Code::kTooLarge, "An expected text has at most 2000 octets.");
    if (holds_mask(text))
      return fail(Code::kInvalid, "Masks of secrets are no part of an answer: expect another text.");
  }
  if (!expected.header.empty() && !http::is_token(expected.header))
    return fail(Code::kInvalid, "header is no name of a header field.");
  // Nothing given: as it was.
  if (expected.empty()) expected.status = exchange.status;
  if (expected.empty()) return fail(Code::kInvalid, "The flow has no answer: say what is expected.");
  return expected;
}

Json expectation_json(const analysis::Expectation& expected) {
  Json json = Json::object();
  if (expected.status != 0) json["status"] = expected.status;
  if (!expected.header.empty()) json["header"] = expected.header;
  if (!expected.header_text.empty()) json["header_text"] = expected.header_text;
  if (!expected.text.empty()) json["text"] = expected.text;
  if (expected.pointer) json["pointer"] = *expected.pointer;
  if (expected.equals) json["equals"] = *expected.equals;
  return json;
}

ToolResult save(const Json& arguments, CallContext& context) {
  const auto id = text_argument(arguments, "flow_id");
  if (!id) return fail(Code::kInvalid, "flow_id is missing: the flow whose request is the check.");
  LoginCheck check;
  check.name = *text_argument(arguments, "name");
  if (!analysis::is_variable_name(check.name))
    return fail(Code::kInvalid, "name has letters, digits and _, at most 64, no digit first.");
  SLUICE_TRY(check.exchange, find_flow(context, *id));
  if (const Status may = replay::check_replayable(check.exchange, {}); !may)
    return fail(may.error().code, "This flow cannot be sent again: " + may.error().message + ".");
  if (!replay::is_safe_method(check.exchange.method) && !flag_argument(arguments, "allow_unsafe")) {
    return fail(Code::kRefused,
                "A check is sent often, and this method may change something each time: allow_unsafe says "
                "that it may.");
  }
  SLUICE_TRY(check.content, recorded_content(context.services->ring, check.exchange));
  SLUICE_TRY(check.expectation, read_expectation(arguments, check.exchange));
  check.headers_json = text_argument(arguments, "headers_json").value_or("");
  SLUICE_TRY(const LoginState state, run_login_check(check, context));
  Json answer = login_json(check, state, context);
  answer["result"] = state.alive ? "Saved: the session lives." : "Saved: the session does not live.";
  answer["expects"] = expectation_json(check.expectation);
  SLUICE_CHECK(context.services->login_checks->set(context.grant, std::move(check)));
  return answer;
}

ToolResult run(const Json& arguments, CallContext& context) {
  const auto check = context.services->login_checks->find(context.grant, *text_argument(arguments, "name"));
  if (!check) return fail(Code::kNotFound, "There is no login check of this name; action list names them.");
  SLUICE_TRY(const LoginState state, run_login_check(*check, context));
  Json answer = login_json(*check, state, context);
  answer["result"] = state.alive ? "The session lives." : "The session does not live.";
  return answer;
}

ToolResult list(CallContext& context) {
  Json checks = Json::array();
  for (const LoginCheckPtr& check : context.services->login_checks->of(context.grant)) {
    checks.push_back({{"name", check->name},
                      {"method", check->exchange.method},
                      {"url", flow::url_of(check->exchange)},
                      {"expects", expectation_json(check->expectation)}});
  }
  const std::size_t count = checks.size();
  return Json{{"result", count == 0 ? "There are no login checks." : "Login checks: " + std::to_string(count)},
              {"checks", std::move(checks)}};
}

ToolResult login_check(const Json& arguments, CallContext& context) {
  const std::string action = *text_argument(arguments, "action");
  if (action == "save") return save(arguments, context);
  if (action == "list") return list(context);
  if (action == "run") return run(arguments, context);
  if (!context.services->login_checks->erase(context.grant, *text_argument(arguments, "name")))
    return fail(Code::kNotFound, "There is no login check of this name; action list names them.");
  return sentence("Deleted.");
}

std::vector<ResultField> expectation_result() {
  return {{"status", "number", "", true}, {"header", "string", "", true},  {"header_text", "string", "", true},
          {"text", "string", "", true},   {"pointer", "string", "", true}, {"equals", "any", "", true}};
}

}  // namespace

Tool login_check_tool() {
  std::vector<ResultField> result = sentence_result();
  for (ResultField field : login_result()) {
    field.optional = true;
    result.push_back(std::move(field));
  }
  result.push_back({"expects", "object", "save", true, false, expectation_result()});
  result.push_back({"checks",
                    "object[]",
                    "list",
                    true,
                    false,
                    {{"name", "string", ""},
                     {"method", "string", ""},
                     {"url", "string", ""},
                     {"expects", "object", "", false, false, expectation_result()}}});
  return {.name = "login_check",
          .title = "Whether a session lives",
          .summary =
              "Keep a flow's request and what its answer must be like while one is logged in. replay_flow then says "
              "whether the session lives, fuzz_endpoint stops when it does not, programs end with the check.",
          .group = "variables",
          .risk = Risk::kExecute,
          .hints = kMitmproxy | kBeyondContract | kWrapped | kSlow | kReturnsTraffic | kOpenWorld,
          .fields = {{.name = "action",
                      .meaning = "save also runs it.",
                      .default_value = "run",
                      .choices = {"save", "run", "list", "delete"}},
                     {.name = "name", .meaning = "Of the check.", .default_value = "login"},
                     {.name = "flow_id", .meaning = "save: whose request it is; to its own origin, or in the scope."},
                     {.name = "status",
                      .type = FieldType::kInteger,
                      .meaning = "Expected; nothing given: the status that the flow had.",
                      .minimum = 100,
                      .maximum = 599},
                     {.name = "header", .meaning = "Expected field of the answer."},
                     {.name = "header_text", .meaning = "What its value holds."},
                     {.name = "text", .meaning = "What the body holds. Secrets are looked for as their masks."},
                     {.name = "pointer", .meaning = "JSON pointer to what the body has."},
                     {.name = "equals", .type = FieldType::kAny, .meaning = "What stands there."},
                     {.name = "headers_json",
                      .meaning = "JSON object as text: headers to set each time; ${name} are session variables."},
                     {.name = "allow_unsafe",
                      .type = FieldType::kBoolean,
                      .meaning = "Also a POST and the like.",
                      .default_value = false}},
          .result = std::move(result),
          .function = login_check};
}

}  // namespace sluice::tools

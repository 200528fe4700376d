#include "tools/login_run.h"

#include "tools/mitm_send.h"
#include "tools/mitm_values.h"
#include "tools/replaying.h"

namespace sluice::tools {
namespace {

constexpr std::chrono::seconds kTimeout{15};

}  // namespace

Result<proxy::SendRequest> login_request(const LoginCheck& check, CallContext& context,
                                         std::vector<std::string>* unresolved) {
  CallerValues values(context);
  replay::Overrides overrides;
  if (!check.headers_json.empty()) SLUICE_CHECK(read_headers_json(check.headers_json, values, overrides));
  if (unresolved) *unresolved = values.unresolved();
  SLUICE_TRY(proxy::SendRequest request, replay::make_request(check.exchange, check.content, overrides));
  SLUICE_CHECK(check_target(check.exchange, request, WithoutScope::kOwnOrigin, context));
  request.direct = false;  // as a client's: rules may add credentials
  request.timeout = kTimeout;
  request.keep = kMostCompared;
  return request;
}

LoginState judge_login(const LoginCheck& check, const proxy::SendResult& sent, const CallContext& context) {
  LoginState state;
  state.seq = sent.seq;
  if (!sent.head) {
    state.reason = "There is no answer: " + (sent.failure ? sent.failure->message : std::string("unknown"));
    return state;
  }
  const replay::Answer answer = received_answer(sent);
  state.status = answer.status;
  state.reason = analysis::why_unmet(check.expectation, answer.status, answer.fields, answer.content, context.redactor);
  state.alive = state.reason.empty();
  return state;
}

Result<LoginState> run_login_check(const LoginCheck& check, CallContext& context) {
  std::vector<std::string> unresolved;
  SLUICE_TRY(proxy::SendRequest request, login_request(check, context, &unresolved));
  SLUICE_TRY(const proxy::SendResult sent, send_and_wait(std::move(request), context));
  LoginState state = judge_login(check, sent, context);
  state.unresolved = std::move(unresolved);
  return state;
}

Json login_json(const LoginCheck& check, const LoginState& state, const CallContext& context) {
  Json json = {
      {"check", check.name}, {"alive", state.alive}, {"status_code", state.status == 0 ? Json() : Json(state.status)}};
  if (!state.reason.empty()) json["reason"] = state.reason;
  if (state.seq) {
    context.services->ring.sync();
    if (const std::string id = context.services->ring.id_of(state.seq); !id.empty()) json["flow_id"] = id;
  }
  if (!state.unresolved.empty()) json["unresolved"] = state.unresolved;
  return json;
}

std::vector<ResultField> login_result() {
  return {{"check", "string", "its name"},
          {"alive", "boolean", "the answer is as expected"},
          {"status_code", "number", "null: no answer", false, true},
          {"reason", "string", "why it does not live", true},
          {"flow_id", "string", "of the check", true},
          {"unresolved", "string[]", "session variables that are not set", true}};
}

}  // namespace sluice::tools

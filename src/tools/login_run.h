// A login check sent, and what came of it. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "proxy/sender.h"
#include "tools/login_checks.h"
#include "tools/mitm_subjects.h"

namespace sluice::tools {

struct LoginState {
  bool alive = false;
  int status = 0;      // 0: there was no answer
  std::string reason;  // why it does not live
  ExchangeSeq seq;
  std::vector<std::string> unresolved;  // session variables that are not set
};

// The request with the caller's session variables of now. kRefused: it may not go there.
Result<proxy::SendRequest> login_request(const LoginCheck& check, CallContext& context,
                                         std::vector<std::string>* unresolved = nullptr);
LoginState judge_login(const LoginCheck& check, const proxy::SendResult& sent, const CallContext& context);
// Sends and waits. kCancelled.
Result<LoginState> run_login_check(const LoginCheck& check, CallContext& context);

// {check, alive, status_code, reason?, flow_id?, unresolved?}
Json login_json(const LoginCheck& check, const LoginState& state, const CallContext& context);
std::vector<ResultField> login_result();

}  // namespace sluice::tools

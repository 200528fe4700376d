// Approvals over HTTP for whoever has the admin credential: a chat's bot, a page of one's own. On a loopback port of
// its own, which is nobody's whose token is an agent's (gate.md 1, 5).
//
//   GET  /approvals              those that wait, as `sluice approvals list --json`
//   GET  /approvals/ID           one
//   POST /approvals/ID/approve   and /deny: the decision, once
//
// Each with `Authorization: Bearer <admin credential>`. Pages of a browser are refused: nothing here is for them.
// Control thread only. Where the state lies elsewhere it is asked on the lane's thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/entropy.h"
#include "gateway/approval_store.h"
#include "gateway/audit.h"
#include "gateway/control_guard.h"
#include "gateway/grant_store.h"
#include "gateway/http_server.h"
#include "gateway/remote_state.h"

namespace sluice::gateway {

// Whether whoever asked may still act. kRefused: its grant has ended, and its call with it.
Status grant_holds(GrantStore& grants, const std::string& grant, std::int64_t now_ms);

class AdminApi final : public HttpHandler {
 public:
  struct Deps {  // all outlive it
    const Clock& clock;
    Entropy& entropy;
    GrantStore& grants;
    ApprovalStore& approvals;
    AuditLog& audit;
    RemoteState* remote = nullptr;  // where grants and approvals lie there
  };
  explicit AdminApi(Deps deps) : deps_(deps) {}

  std::optional<HttpAnswer> judge(const HttpRequest& request) override;
  void handle(HttpRequest request, std::shared_ptr<HttpReply> reply) override;
  HttpAnswer too_large(const http::RequestHead& head) override;

 private:
  using ReplyPtr = std::shared_ptr<HttpReply>;
  // Nothing: the credential is right.
  std::optional<HttpAnswer> refuse(const http::RequestHead& head);
  void list(const ReplyPtr& reply);
  void show(const std::string& id, const ReplyPtr& reply);
  void decide(const std::string& id, bool approve, const ReplyPtr& reply);
  // What the stores say to `work`: here and now, or on their own thread.
  template <class T>
  void ask(std::function<Result<T>()> work, std::function<void(Result<T>)> then);
  Status record(std::string_view method, std::string_view subject, std::string_view decision, std::string_view rule,
                std::string_view approval, std::string_view message = "");
  std::int64_t now_ms() const { return unix_ms(deps_.clock.wall()); }

  Deps deps_;
  ControlGuard guard_{{}};
  std::optional<MonoTime> told_;  // of a wrong credential: at most one line a second
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::gateway

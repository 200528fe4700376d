#include "gateway/admin_api.h"

#include <algorithm>

#include "base/ids.h"
#include "base/text.h"
#include "gateway/approval_json.h"
#include "gateway/credential.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kRoot = "/approvals";
constexpr std::chrono::seconds kBetweenLines{1};

HttpAnswer json_answer(int status, const Json& body) {
  return {status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, dump_json(body) + "\n"};
}

int status_of(Code code) {
  switch (code) {
    case Code::kNotFound:
      return 404;
    case Code::kConflict:
      return 409;
    case Code::kTimeout:
      return 410;
    case Code::kRefused:
      return 403;
    default:
      return 503;
  }
}

HttpAnswer error_answer(const Error& error) { return json_answer(status_of(error.code), {{"error", error.message}}); }

// "/approvals/ID/approve": ID and "approve".
struct Target {
  bool known = false;
  std::string id, verb;
};

Target read_target(std::string_view target) {
  Target out;
  if (!target.starts_with(kRoot)) return out;
  const std::vector<std::string_view> parts = split(target.substr(kRoot.size()), '/');
  if (!parts.front().empty() || parts.size() > 3) return out;
  if (parts.size() > 1) out.id = parts[1];
  if (parts.size() > 2) out.verb = parts[2];
  const bool verb = out.verb == "approve" || out.verb == "deny";
  out.known = parts.size() == 1 || (parts.size() == 2 && !out.id.empty()) || (verb && !out.id.empty());
  return out;
}

}  // namespace

Status grant_holds(GrantStore& grants, const std::string& grant, std::int64_t now_ms) {
  if (grant == "default") return {};
  SLUICE_TRY(const auto all, grants.load());
  const auto found = std::find_if(all.begin(), all.end(), [&](const Grant& one) { return one.name == grant; });
  if (found != all.end() && found->is_live(now_ms)) return {};
  return fail(Code::kRefused, "the grant " + grant + " has ended, and its call with it");
}

std::optional<HttpAnswer> AdminApi::refuse(const http::RequestHead& head) {
  const auto hash = deps_.remote ? deps_.remote->mirror.admin_hash() : deps_.grants.admin_hash();
  if (!hash) return error_answer({Code::kUnavailable, "the state cannot be read"});
  const auto given = bearer_token(head);
  if (given && same_hash(*hash, credential_hash(*given))) return std::nullopt;
  if (given && (!told_ || deps_.clock.mono() - *told_ >= kBetweenLines)) {
    told_ = deps_.clock.mono();
    (void)record("approvals", "", "deny", "(admin credential)", "");
  }
  HttpAnswer answer = text_answer(401, "This needs the admin credential.");
  answer.fields.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

std::optional<HttpAnswer> AdminApi::judge(const HttpRequest& request) {
  if (auto refusal = guard_.judge(request.head, request.local_address)) return refusal;
  if (request.head.fields.count("origin") > 0) return text_answer(403, "Pages are not served here.");
  if (auto refusal = refuse(request.head)) return refusal;
  const Target target = read_target(request.head.target);
  if (!target.known) return text_answer(404, "There is nothing here.");
  const std::string_view wanted = target.verb.empty() ? "GET" : "POST";
  if (request.head.method == wanted) return std::nullopt;
  HttpAnswer answer = text_answer(405, "This method is not for this address.");
  answer.fields.emplace_back("Allow", wanted);
  return answer;
}

void AdminApi::handle(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  // Again: the body may have taken its time.
  if (auto refusal = judge(request)) return reply->respond(*std::move(refusal));
  const Target target = read_target(request.head.target);
  if (!target.verb.empty()) return decide(target.id, target.verb == "approve", reply);
  if (target.id.empty()) return list(reply);
  show(target.id, reply);
}

HttpAnswer AdminApi::too_large(const http::RequestHead& /*head*/) {
  return text_answer(413, "No body is needed here.");
}

template <class T>
void AdminApi::ask(std::function<Result<T>()> work, std::function<void(Result<T>)> then) {
  if (!deps_.remote) return then(work());
  const auto said = std::make_shared<std::optional<Result<T>>>();
  StateLane::Piece piece;
  piece.work = [work = std::move(work), said] { said->emplace(work()); };
  piece.done = [alive = std::weak_ptr(alive_), said, then = std::move(then)](Status done) {
    if (alive.expired()) return;
    then(done ? **std::move(said) : Result<T>(fail(std::move(done).error())));
  };
  deps_.remote->lane.submit(StateLane::Kind::kCall, std::move(piece));
}

void AdminApi::list(const ReplyPtr& reply) {
  const std::int64_t now = now_ms();
  ask<std::vector<Approval>>([&approvals = deps_.approvals, now] { return approvals.waiting(now); },
                             [reply, now](const Result<std::vector<Approval>>& all) {
                               if (!all) return reply->respond(error_answer(all.error()));
                               Json rows = Json::array();
                               for (const Approval& one : *all) rows.push_back(approval_json(one, now));
                               reply->respond(json_answer(200, rows));
                             });
}

void AdminApi::show(const std::string& id, const ReplyPtr& reply) {
  ask<Approval>(
      [&approvals = deps_.approvals, id] { return approvals.find(id); },
      [reply, now = now_ms()](const Result<Approval>& approval) {
        reply->respond(approval ? json_answer(200, approval_json(*approval, now)) : error_answer(approval.error()));
      });
}

void AdminApi::decide(const std::string& id, bool approve, const ReplyPtr& reply) {
  const std::int64_t now = now_ms();
  const auto look = [&approvals = deps_.approvals, &grants = deps_.grants, id, now]() -> Result<Approval> {
    SLUICE_TRY(Approval waiting, approvals.find(id));
    SLUICE_CHECK(grant_holds(grants, waiting.grant, now));
    return waiting;
  };
  ask<Approval>(look, [this, id, approve, reply, now](const Result<Approval>& waiting) {
    if (!waiting) return reply->respond(error_answer(waiting.error()));
    const std::string method = approve ? "approvals/approve" : "approvals/deny";
    const auto refused = [this, method, tool = waiting->tool, rule = waiting->rule, id](const Error& why) {
      (void)record(method, tool, "deny", rule, id, why.message);
      return error_answer(why);
    };
    if (const Status open = ApprovalStore::may_decide(*waiting, now); !open) {
      return reply->respond(refused(open.error()));
    }
    if (const Status logged = record(method, waiting->tool, "allow", waiting->rule, id); !logged) {
      return reply->respond(error_answer(logged.error()));
    }
    ask<Approval>(
        [&approvals = deps_.approvals, id, approve, now] { return approvals.decide(id, approve, "admin", now); },
        [reply, refused, now](const Result<Approval>& decided) {
          reply->respond(decided ? json_answer(200, approval_json(*decided, now)) : refused(decided.error()));
        });
  });
}

// As the command line's decisions are written down.
Status AdminApi::record(std::string_view method, std::string_view subject, std::string_view decision,
                        std::string_view rule, std::string_view approval, std::string_view message) {
  const std::string uuid = make_uuid(deps_.entropy);
  auto line = AuditLog::DecisionRecord::by_person(uuid, method, subject, decision, rule, approval,
                                                  rule == "(admin credential)" ? "" : "admin");
  line.message = message;
  return deps_.audit.append(line);
}

}  // namespace sluice::gateway

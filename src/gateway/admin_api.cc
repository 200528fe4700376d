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
  const auto hash = deps_.grants.admin_hash();
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
  if (!target.verb.empty()) return reply->respond(decide(target.id, target.verb == "approve"));
  reply->respond(target.id.empty() ? list() : show(target.id));
}

HttpAnswer AdminApi::too_large(const http::RequestHead& /*head*/) {
  return text_answer(413, "No body is needed here.");
}

HttpAnswer AdminApi::list() {
  const auto all = deps_.approvals.waiting(now_ms());
  if (!all) return error_answer(all.error());
  Json rows = Json::array();
  for (const Approval& one : *all) rows.push_back(approval_json(one, now_ms()));
  return json_answer(200, rows);
}

HttpAnswer AdminApi::show(const std::string& id) {
  const auto approval = deps_.approvals.find(id);
  return approval ? json_answer(200, approval_json(*approval, now_ms())) : error_answer(approval.error());
}

HttpAnswer AdminApi::decide(const std::string& id, bool approve) {
  const auto waiting = deps_.approvals.find(id);
  if (!waiting) return error_answer(waiting.error());
  if (const Status live = grant_holds(deps_.grants, waiting->grant, now_ms()); !live) return error_answer(live.error());
  const std::string method = approve ? "approvals/approve" : "approvals/deny";
  const auto refused = [&](const Error& why) {
    (void)record(method, waiting->tool, "deny", waiting->rule, id, why.message);
    return error_answer(why);
  };
  if (const Status open = ApprovalStore::may_decide(*waiting, now_ms()); !open) return refused(open.error());
  if (const Status logged = record(method, waiting->tool, "allow", waiting->rule, id); !logged) {
    return error_answer(logged.error());
  }
  const auto decided = deps_.approvals.decide(id, approve, "admin", now_ms());
  return decided ? json_answer(200, approval_json(*decided, now_ms())) : refused(decided.error());
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

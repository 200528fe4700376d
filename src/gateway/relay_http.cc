#include "gateway/relay_http.h"

#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/mcp_answers.h"
#include "mcp/http_headers.h"

namespace sluice::gateway {
namespace {

HttpAnswer too_many_denials(WallTime until, const Clock& clock) {
  const auto wait = std::chrono::ceil<std::chrono::seconds>(until - clock.wall()).count();
  HttpAnswer answer = text_answer(429, "Too many calls were denied. Nothing is answered before " + iso8601_ms(until));
  answer.fields.emplace_back("Retry-After", std::to_string(std::max<std::int64_t>(wait, 1)));
  return answer;
}

constexpr std::chrono::seconds kRenewal{5};  // after a set of servers was made, of which one has ended

HttpAnswer ended() { return text_answer(503, "This session has ended."); }

}  // namespace

RelayHttp::RelayHttp(Deps deps, ControlGuard::Options guard, McpLimits limits)
    : deps_(std::move(deps)), guard_(std::move(guard)), limits_(limits) {}

std::optional<HttpAnswer> RelayHttp::judge(const HttpRequest& request) {
  if (auto refusal = guard_.judge(request.head, request.local_address)) return refusal;
  // gate.md 10: also /.well-known/oauth-*, so that clients do not begin OAuth.
  if (path_of(request.head) != kMcpPath) return text_answer(404, "There is nothing here. MCP is at /mcp.");
  const auto token = bearer_token(request.head);
  // Nobody fills memory who is not known: whether a token is new is asked behind the body.
  if (!deps_.identities.identify(token) && !(is_brief(request.head) && deps_.identities.may_be_new(token)))
    return unrecognised(deps_.identities.unusable());
  const auto head = mcp_head(request.head);
  if (!head) return refusal_answer(head.error());
  return std::nullopt;
}

HttpAnswer RelayHttp::too_large(const http::RequestHead& head) {
  if (const auto who = deps_.identities.identify(bearer_token(head))) deps_.malformed(who->caller);
  return refusal_answer(mcp::message_too_large());
}

void RelayHttp::handle(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  if (!deps_.identities.must_look(bearer_token(request.head))) return serve(request, reply);
  const auto kept = std::make_shared<const HttpRequest>(std::move(request));
  deps_.identities.look(*bearer_token(kept->head),
                        [this, alive = std::weak_ptr(alive_), kept, reply = std::move(reply)] {
                          if (!alive.expired() && !reply->is_gone()) serve(*kept, reply);
                        });
}

void RelayHttp::serve(const HttpRequest& request, const ReplyPtr& reply) {
  if (gone_) return reply->respond(text_answer(503, "The gateway ends."));
  const auto head = mcp_head(request.head);
  if (!head) return reply->respond(refusal_answer(head.error()));
  // Again: the body may have taken its time.
  const auto who = deps_.identities.identify(bearer_token(request.head));
  if (!who) return reply->respond(unrecognised(deps_.identities.unusable()));
  if (head->method == mcp::HttpMethod::kPost) return post(*who, *head, request, reply);
  const LegacyPtr session = find_session(*who, *head);
  if (!session) return reply->respond(refusal_answer(mcp::session_not_found()));
  if (head->method == mcp::HttpMethod::kDelete) {
    end_session(*head->session_id, ended());
    return reply->respond({200, {}, ""});
  }
  if (session->listen(reply, head->last_event_id)) return;
  reply->respond(text_answer(400, "Nobody can say what came behind this Last-Event-ID."));
}

void RelayHttp::post(const Identity& who, const mcp::HttpHead& head, const HttpRequest& request,
                     const ReplyPtr& reply) {
  if (const auto until = deps_.shut_out_until(who.caller)) {
    return reply->respond(too_many_denials(*until, deps_.clock));
  }
  mcp::Message message = mcp::parse_spelled_message(request.body);
  const auto route = mcp::route_post(head, message);
  if (!route) {
    deps_.malformed(who.caller);
    return reply->respond(refusal_answer(route.error()));
  }
  switch (*route) {
    case mcp::HttpRoute::kModern:
      return post_modern(who, fields_of(request.head), std::move(message), reply);
    case mcp::HttpRoute::kInitialize:
      return post_initialize(who, std::move(message), reply);
    case mcp::HttpRoute::kSession:
      return post_session(who, head, std::move(message), reply);
    case mcp::HttpRoute::kDropped:
      return reply->respond({202, {}, ""});
  }
}

void RelayHttp::post_modern(const Identity& who, const Fields& fields, mcp::Message message, const ReplyPtr& reply) {
  auto* request = std::get_if<mcp::Request>(&message);
  if (!request) return reply->respond({202, {}, ""});
  auto clients = of_grant(who.caller);
  if (!clients) return reply->respond(text_answer(503, clients.error().message));
  const Json* name = request->method == "tools/call" ? find_member(request->params, "name") : nullptr;
  if (name && name->is_string()) {
    const auto tool = (*clients)->backend().tool(name->get_ref<const std::string&>());
    const Status said = tool ? mcp::check_param_headers(plain_json(request->params), tool->headers, fields) : Status();
    if (!said) {
      const mcp::RpcError error{mcp::rpc::kHeaderMismatch, "Header mismatch: " + said.error().message, nullptr};
      return reply->respond(json_answer(400, mcp::write_error(request->id, error)));
    }
  }
  (*clients)->used = deps_.clock.mono();
  (*clients)->backend().set_caller(who.caller);
  (*clients)->post(std::move(*request), reply);
}

void RelayHttp::post_initialize(const Identity& who, mcp::Message message, const ReplyPtr& reply) {
  if (!make_room()) return reply->respond(text_answer(503, "There are too many sessions."));
  const std::string id = random_token(deps_.entropy, 24);
  Caller caller = who.caller;
  caller.session = id;
  auto session = LegacyClient::create(deps_.factory, caller);
  if (!session) return reply->respond(text_answer(503, session.error().message));
  (*session)->used = deps_.clock.mono();
  (*session)->set_fields({{"Mcp-Session-Id", id}});
  sessions_.emplace(id, *session);
  (*session)->post(std::move(message), reply, false);
}

void RelayHttp::post_session(const Identity& who, const mcp::HttpHead& head, mcp::Message message,
                             const ReplyPtr& reply) {
  const LegacyPtr session = find_session(who, head);
  if (!session) return reply->respond(refusal_answer(mcp::session_not_found(&message)));
  const auto revision = mcp::find_revision(head.protocol_version.value_or(""));
  const bool primed = revision && *revision >= mcp::Revision::k2025_11_25;
  session->post(std::move(message), reply, primed);
}

RelayHttp::LegacyPtr RelayHttp::find_session(const Identity& who, const mcp::HttpHead& head) {
  const auto found = head.session_id ? sessions_.find(*head.session_id) : sessions_.end();
  if (found == sessions_.end()) return nullptr;
  const LegacyPtr session = found->second;
  if (session->caller().grant != who.caller.grant || session->has_ended()) return nullptr;
  Caller caller = session->caller();
  caller.credential = who.caller.credential;
  session->backend().set_caller(std::move(caller));
  session->used = deps_.clock.mono();
  return session;
}

Result<RelayHttp::ModernPtr> RelayHttp::of_grant(const Caller& caller) {
  if (const auto found = grants_.find(caller.grant); found != grants_.end()) {
    ModernClients& there = *found->second;
    // A server that ended comes back with a new set, once nobody needs the others; not again and again.
    const bool renew = there.backend().is_worn() && !there.is_busy() && deps_.clock.mono() - there.made >= kRenewal;
    if (!there.has_ended() && !renew) return found->second;
    end_grant(caller.grant, ended());
  }
  if (!make_room()) return fail(Code::kUnavailable, "There are too many sessions.");
  SLUICE_TRY(ModernPtr clients, ModernClients::create(deps_.factory, caller));
  clients->made = deps_.clock.mono();
  grants_.emplace(caller.grant, clients);
  return clients;
}

// At the limit whoever has been idle the longest makes room; if nobody is idle there is none.
bool RelayHttp::make_room() {
  if (servers() < deps_.max_servers) return true;
  sweep();
  if (servers() < deps_.max_servers) return true;
  std::string session, grant;
  std::optional<MonoTime> oldest;
  for (const auto& [id, one] : sessions_) {
    if (!one->is_busy() && (!oldest || one->used < *oldest)) session = id, oldest = one->used;
  }
  for (const auto& [name, one] : grants_) {
    if (!one->is_busy() && (!oldest || one->used < *oldest)) grant = name, oldest = one->used;
  }
  // A program that was told to end still is one: it has some seconds, and the new one comes beside it.
  if (!oldest || leaving_ >= deps_.max_servers) return false;
  if (!grant.empty()) {
    end_grant(grant, ended());
  } else {
    end_session(session, ended());
  }
  return true;
}

void RelayHttp::sweep() {
  const MonoTime now = deps_.clock.mono();
  std::vector<std::pair<std::string, bool>> sessions, grants;  // and whether its grant goes on
  for (const auto& [id, one] : sessions_) {
    one->backend().tick();
    if (one->is_busy()) one->used = now;
    const bool valid = deps_.identities.is_valid(one->caller());
    const bool over = one->failed() || (one->has_ended() && !one->waits()) || now - one->used > limits_.session_idle;
    if (over || !valid) sessions.emplace_back(id, valid);
  }
  for (const auto& [name, one] : grants_) {
    one->backend().tick();
    if (one->is_busy()) one->used = now;
    const bool valid = deps_.identities.is_valid(one->caller());
    const bool over = (one->has_ended() && !one->is_busy()) || now - one->used > limits_.session_idle;
    if (over || !valid) grants.emplace_back(name, valid);
  }
  for (const auto& [id, valid] : sessions) end_session(id, valid ? ended() : unrecognised(deps_.identities.unusable()));
  for (const auto& [name, valid] : grants) end_grant(name, valid ? ended() : unrecognised(deps_.identities.unusable()));
}

void RelayHttp::look_again() {
  for (const auto& [id, one] : sessions_) one->backend().look_again();
  for (const auto& [name, one] : grants_) one->backend().look_again();
}

void RelayHttp::end_session(const std::string& id, const HttpAnswer& why) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const LegacyPtr kept = found->second;
  sessions_.erase(found);
  leave(*kept, why);
}

void RelayHttp::end_grant(const std::string& grant, const HttpAnswer& why) {
  const auto found = grants_.find(grant);
  if (found == grants_.end()) return;
  const ModernPtr kept = found->second;
  grants_.erase(found);
  leave(*kept, why);
}

void RelayHttp::leave(RelayClients& clients, const HttpAnswer& why) {
  ++leaving_;
  clients.close(why, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    --leaving_;
    if (gone_ && servers() == 0) gone_();
  });
}

void RelayHttp::close(std::function<void()> gone) {
  while (!sessions_.empty()) end_session(std::string(sessions_.begin()->first), ended());
  while (!grants_.empty()) end_grant(std::string(grants_.begin()->first), ended());
  gone_ = std::move(gone);
  if (servers() == 0) gone_();
}

}  // namespace sluice::gateway

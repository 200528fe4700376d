#include "gateway/mcp_http.h"

#include <map>

#include "base/text.h"
#include "gateway/mcp_answers.h"
#include "gateway/session_driver.h"

namespace sluice::gateway {
namespace {

// Writes what belongs to one POST into its reply.
void deliver(HttpReply& reply, const Outgoing& outgoing) {
  // A question of ours, where nobody had asked for events.
  if (!outgoing.last && !reply.begun()) reply.begin_events();
  if (reply.streaming()) {
    const auto weight = outgoing.last ? HttpReply::Weight::kAnswer : HttpReply::Weight::kNotice;
    if (!outgoing.text.empty()) reply.event(outgoing.text, weight);
    if (outgoing.last) reply.end();
  } else if (outgoing.last && outgoing.text.empty()) {
    reply.begin_events();  // cancelled: an empty stream of events (mcp/server_session.h)
    reply.end();
  } else if (outgoing.last) {
    reply.respond(json_answer(outgoing.http_status, outgoing.text));
  }
}

bool needs_events(const mcp::Operation& operation) {
  return operation.context.wants_progress || std::holds_alternative<mcp::Listen>(operation.body);
}

}  // namespace

// A legacy session: its driver, the replies that wait for outcomes, and the GET stream.
class McpHttp::Session : public std::enable_shared_from_this<Session> {
 public:
  std::string id;
  std::shared_ptr<SessionDriver> driver;
  std::map<mcp::OperationKey, std::weak_ptr<HttpReply>> replies;
  std::weak_ptr<HttpReply> channel;
  MonoTime used;
  Caller caller;  // with the credential that was shown last

  void send(const Outgoing& outgoing) {
    if (!outgoing.stream) {
      if (const auto reply = channel.lock()) reply->event(outgoing.text, HttpReply::Weight::kNotice);
      return;
    }
    const auto found = replies.find(outgoing.stream);
    if (found == replies.end()) return;
    // A client that went away does not cancel in this era: its answer is dropped.
    if (const auto reply = found->second.lock()) deliver(*reply, outgoing);
    if (outgoing.last) replies.erase(found);
  }

  bool is_busy() const { return driver->in_flight() > 0 || !channel.expired(); }

  void close() {
    driver->close();
    for (const auto& [key, weak] : replies) {
      if (const auto reply = weak.lock()) deliver(*reply, {key, "", true, 200});
    }
    replies.clear();
    if (const auto reply = channel.lock()) reply->end();
  }
};

McpHttp::McpHttp(McpHttpDeps deps, ControlGuard::Options guard, Identities& identities, McpLimits limits)
    : deps_(std::move(deps)), guard_(std::move(guard)), identities_(identities), limits_(limits) {}

McpHttp::~McpHttp() { close(); }

std::optional<HttpAnswer> McpHttp::judge(const HttpRequest& request) {
  if (auto refusal = guard_.judge(request.head, request.local_address)) return refusal;
  if (path_of(request.head) != kMcpPath) {
    // gate.md 10: also /.well-known/oauth-*, so that clients do not begin OAuth.
    return text_answer(404, "There is nothing here. MCP is at /mcp.");
  }
  const auto token = bearer_token(request.head);
  // Nobody fills memory who is not known: whether a token is new is asked behind the body.
  if (!identities_.identify(token) && !(is_brief(request.head) && identities_.may_be_new(token))) {
    return unrecognised(identities_.unusable());
  }
  const auto head = mcp_head(request.head);
  if (!head) return refusal_answer(head.error());
  return std::nullopt;
}

HttpAnswer McpHttp::too_large(const http::RequestHead& head) {
  if (const auto who = identities_.identify(bearer_token(head))) deps_.dispatcher.count_malformed(who->caller);
  return refusal_answer(mcp::message_too_large());
}

void McpHttp::handle(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  if (!identities_.must_look(bearer_token(request.head))) return serve(request, reply);
  const auto kept = std::make_shared<const HttpRequest>(std::move(request));
  identities_.look(*bearer_token(kept->head), [this, alive = std::weak_ptr(alive_), kept, reply = std::move(reply)] {
    if (!alive.expired() && !reply->is_gone()) serve(*kept, reply);
  });
}

void McpHttp::serve(const HttpRequest& request, const ReplyPtr& reply) {
  const auto head = mcp_head(request.head);
  if (!head) return reply->respond(refusal_answer(head.error()));
  // Again: the body may have taken its time.
  const auto who = identities_.identify(bearer_token(request.head));
  if (!who) return reply->respond(unrecognised(identities_.unusable()));
  if (head->method == mcp::HttpMethod::kPost) return post(*who, *head, request.body, reply);
  if (const auto routed = mcp::route_stream(*head); !routed) return reply->respond(refusal_answer(routed.error()));
  if (head->method == mcp::HttpMethod::kGet) return get_stream(*who, *head, reply);
  delete_session(*who, *head, reply);
}

void McpHttp::post(const Identity& who, const mcp::HttpHead& head, const std::string& body, const ReplyPtr& reply) {
  if (const auto until = deps_.dispatcher.shut_out_until(who.caller)) {
    const auto wait = std::chrono::ceil<std::chrono::seconds>(*until - deps_.clock.wall()).count();
    HttpAnswer answer =
        text_answer(429, "Too many calls were denied. Nothing is answered before " + iso8601_ms(*until));
    answer.fields.emplace_back("Retry-After", std::to_string(std::max<std::int64_t>(wait, 1)));
    return reply->respond(std::move(answer));
  }
  mcp::Message message = mcp::parse_message(body);
  const auto route = mcp::route_post(head, message);
  if (!route) {
    deps_.dispatcher.count_malformed(who.caller);
    return reply->respond(refusal_answer(route.error()));
  }
  switch (*route) {
    case mcp::HttpRoute::kModern:
      return post_modern(who, std::move(message), reply);
    case mcp::HttpRoute::kInitialize:
      return post_initialize(who, std::move(message), reply);
    case mcp::HttpRoute::kSession:
      return post_session(who, head, std::move(message), reply);
    case mcp::HttpRoute::kDropped:
      return reply->respond({202, {}, ""});
  }
}

void McpHttp::post_modern(const Identity& who, mcp::Message message, const ReplyPtr& reply) {
  auto driver = SessionDriver::create(*who.profile, mcp::Scope::kModernHttp, deps_.dispatcher, who.caller,
                                      [weak = std::weak_ptr(reply)](const Outgoing& outgoing) {
                                        if (const auto to = weak.lock()) deliver(*to, outgoing);
                                      });
  mcp::Step step = driver->feed(std::move(message));
  if (step.answer) return reply->respond(json_answer(step.answer->http_status, std::move(step.answer->text)));
  if (!step.operation) return reply->respond({202, {}, ""});
  reply->hold(driver);
  // Closing the stream is what cancels (MCP 2026-07-28).
  reply->on_gone([driver = driver.get()] { driver->close(); });
  if (needs_events(*step.operation)) reply->begin_events();
  stateless_.push_back({driver, reply});
  driver->begin(*std::move(step.operation));
}

void McpHttp::post_initialize(const Identity& who, mcp::Message message, const ReplyPtr& reply) {
  if (!make_room()) return reply->respond(text_answer(503, "There are too many sessions."));
  auto session = std::make_shared<Session>();
  session->id = random_token(deps_.entropy, 24);
  session->used = deps_.clock.mono();
  session->caller = who.caller;
  session->caller.session = session->id;
  session->driver = SessionDriver::create(*who.profile, mcp::Scope::kLegacyHttp, deps_.dispatcher, session->caller,
                                          [weak = std::weak_ptr(session)](const Outgoing& outgoing) {
                                            if (const auto to = weak.lock()) to->send(outgoing);
                                          });
  mcp::Step step = session->driver->feed(std::move(message));
  if (!step.answer) return reply->respond({202, {}, ""});
  HttpAnswer answer = json_answer(step.answer->http_status, std::move(step.answer->text));
  if (session->driver->initialized()) {
    answer.fields.emplace_back("Mcp-Session-Id", session->id);
    sessions_.emplace(session->id, std::move(session));
  }
  reply->respond(std::move(answer));
}

void McpHttp::post_session(const Identity& who, const mcp::HttpHead& head, mcp::Message message,
                           const ReplyPtr& reply) {
  const SessionPtr session = find_session(who, head);
  if (!session) return reply->respond(refusal_answer(mcp::session_not_found(&message)));
  mcp::Step step = session->driver->feed(std::move(message));
  if (step.answer) return reply->respond(json_answer(step.answer->http_status, std::move(step.answer->text)));
  if (!step.operation) return reply->respond({202, {}, ""});
  session->replies[step.operation->key] = reply;
  if (needs_events(*step.operation)) reply->begin_events();
  session->driver->begin(*std::move(step.operation));
}

void McpHttp::get_stream(const Identity& who, const mcp::HttpHead& head, const ReplyPtr& reply) {
  const SessionPtr session = find_session(who, head);
  if (!session) return reply->respond(refusal_answer(mcp::session_not_found()));
  if (const auto present = session->channel.lock(); present && !present->is_gone()) {
    return reply->respond(text_answer(409, "This session has a stream already."));
  }
  session->channel = reply;
  reply->begin_events();
}

void McpHttp::delete_session(const Identity& who, const mcp::HttpHead& head, const ReplyPtr& reply) {
  const SessionPtr session = find_session(who, head);
  if (!session) return reply->respond(refusal_answer(mcp::session_not_found()));
  end_session(session);
  reply->respond({200, {}, ""});
}

McpHttp::SessionPtr McpHttp::find_session(const Identity& who, const mcp::HttpHead& head) {
  const auto found = head.session_id ? sessions_.find(*head.session_id) : sessions_.end();
  if (found == sessions_.end()) return nullptr;
  const SessionPtr session = found->second;
  if (session->caller.grant != who.caller.grant) return nullptr;
  session->caller.credential = who.caller.credential;
  session->driver->set_credential(who.caller.credential);
  const MonoTime now = deps_.clock.mono();
  if (!session->is_busy() && now - session->used > limits_.session_idle) {
    end_session(session);
    return nullptr;
  }
  session->used = now;
  return session;
}

void McpHttp::end_invalid() {
  std::erase_if(stateless_, [this](const Stateless& one) {
    const auto driver = one.driver.lock();
    const auto reply = one.reply.lock();
    if (!driver || !reply || reply->ended()) return true;
    if (identities_.is_valid(driver->caller())) return false;
    driver->close();
    if (reply->streaming()) {
      reply->end();
    } else {
      reply->respond(unrecognised(identities_.unusable()));
    }
    return true;
  });
  std::vector<SessionPtr> invalid;
  for (const auto& [id, session] : sessions_) {
    if (!identities_.is_valid(session->caller)) invalid.push_back(session);
  }
  for (const SessionPtr& session : invalid) end_session(session);
}

void McpHttp::sweep() {
  end_invalid();
  const MonoTime now = deps_.clock.mono();
  std::vector<SessionPtr> idle;
  for (const auto& [id, session] : sessions_) {
    if (session->is_busy()) {
      session->used = now;
    } else if (now - session->used > limits_.session_idle) {
      idle.push_back(session);
    }
  }
  for (const SessionPtr& session : idle) end_session(session);
}

// At the limit the session that has been idle the longest makes room; if none is idle there is none.
bool McpHttp::make_room() {
  if (sessions_.size() < limits_.max_sessions) return true;
  sweep();
  if (sessions_.size() < limits_.max_sessions) return true;
  SessionPtr oldest;
  for (const auto& [id, session] : sessions_) {
    if (!session->is_busy() && (!oldest || session->used < oldest->used)) oldest = session;
  }
  if (!oldest) return false;
  end_session(oldest);
  return true;
}

void McpHttp::end_session(const SessionPtr& session) {
  const SessionPtr kept = session;
  sessions_.erase(kept->id);
  kept->close();
  if (deps_.on_session_end) deps_.on_session_end(kept->id);
}

void McpHttp::close() {
  while (!sessions_.empty()) end_session(sessions_.begin()->second);
}

}  // namespace sluice::gateway

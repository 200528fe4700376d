#include "gateway/relay_clients.h"

#include <utility>

#include "gateway/mcp_answers.h"
#include "gateway/relay_rules.h"

namespace sluice::gateway {
namespace {

// MCP 2026-07-28 "Streamable HTTP": what of JSON-RPC HTTP says, too.
int status_of(int error) {
  switch (error) {
    case mcp::rpc::kMethodNotFound:
      return 404;
    case mcp::rpc::kParseError:
    case mcp::rpc::kInvalidRequest:
    case mcp::rpc::kHeaderMismatch:
    case mcp::rpc::kMissingClientCapability:
    case mcp::rpc::kUnsupportedVersion:
      return 400;
    default:
      return 200;
  }
}

bool wants_progress(const Json& params) {
  const Json* meta = find_member(params, "_meta");
  return meta && find_member(*meta, "progressToken");
}

}  // namespace

namespace {

HttpAnswer stuck() { return {503, {{"Content-Type", "text/plain; charset=utf-8"}}, "The server does not read.\n"}; }

}  // namespace

Status RelayClients::open(const BackendFactory& factory, const Caller& caller, ClientEra era) {
  const std::weak_ptr<RelayClients> weak = weak_from_this();
  Backend::Events events;
  events.to_client = [weak](ToClient out) {
    if (const auto self = weak.lock()) self->to_client(std::move(out));
  };
  events.ended = [weak] {
    if (const auto self = weak.lock()) self->ended_ = true;
  };
  SLUICE_TRY(backend_, factory(caller, era, std::move(events)));
  return {};
}

bool RelayClients::is_stuck() const { return backend_->unread() > kMaxUnread; }

void RelayClients::close(const HttpAnswer& why, std::function<void()> gone) {
  if (std::exchange(closed_, true)) return;
  backend_->stop();
  let_go(why);
  backend_->close(std::move(gone));
}

// --- legacy ---

Result<std::shared_ptr<LegacyClient>> LegacyClient::create(const BackendFactory& factory, const Caller& caller) {
  auto client = std::make_shared<LegacyClient>();
  SLUICE_CHECK(client->open(factory, caller, ClientEra::kLegacy));
  return client;
}

void LegacyClient::post(mcp::Message message, const std::shared_ptr<HttpReply>& reply, bool primed) {
  const auto* request = std::get_if<mcp::Request>(&message);
  if (is_stuck()) return reply->respond(stuck());
  if (!request) {
    backend_->take(std::move(message), std::nullopt);
    return reply->respond({202, {}, ""});
  }
  if (waiting_.contains(request->id)) {
    // A10. The one in flight goes on under its id.
    return reply->respond(json_answer(
        400, mcp::write_error(request->id, {mcp::rpc::kInvalidRequest, "this id is already in flight", nullptr})));
  }
  const Waiting waiting{streams_.open(reply), !is_plain(request->method) && request->method != "tools/list",
                        request->method == "initialize"};
  waiting_[request->id] = waiting;
  if (waiting.initialize) {
    reply->on_gone([weak = weak_from_this()] {
      if (const auto self = std::static_pointer_cast<LegacyClient>(weak.lock())) self->failed_ = true;
    });
  }
  // Who may lose the connection over it shall be able to come back.
  if (request->method == "tools/call") streams_.begin(waiting.stream, primed);
  backend_->take(std::move(message), std::nullopt);
}

bool LegacyClient::listen(const std::shared_ptr<HttpReply>& reply, const std::optional<std::string>& last_event_id) {
  return streams_.listen(reply, last_event_id);
}

// What the server says of nothing in particular belongs to the one call that runs, if only one does.
KeptStreams::Number LegacyClient::stream_of(const std::optional<mcp::RequestId>& about) const {
  if (const auto found = about ? waiting_.find(*about) : waiting_.end(); found != waiting_.end()) {
    return found->second.stream;
  }
  KeptStreams::Number newest = KeptStreams::kOwn;
  std::size_t calls = 0;
  for (const auto& [id, one] : waiting_) {
    if (!one.call) continue;
    ++calls;
    newest = std::max(newest, one.stream);
  }
  return calls == 1 || !streams_.is_heard(KeptStreams::kOwn) ? newest : KeptStreams::kOwn;
}

void LegacyClient::to_client(ToClient out) {
  if (!out.last) {
    (void)streams_.say(stream_of(out.about), out.text);
    return;
  }
  const auto found = out.about ? waiting_.find(*out.about) : waiting_.end();
  if (found == waiting_.end()) return;
  const Waiting waiting = found->second;
  waiting_.erase(found);
  failed_ = failed_ || (waiting.initialize && out.error != 0);
  const bool begun = waiting.initialize && out.error == 0;
  streams_.answer(waiting.stream, out.text, begun ? std::exchange(fields_, {}) : decltype(fields_)());
}

// --- modern ---

Result<std::shared_ptr<ModernClients>> ModernClients::create(const BackendFactory& factory, const Caller& caller) {
  auto clients = std::make_shared<ModernClients>();
  SLUICE_CHECK(clients->open(factory, caller, ClientEra::kModern));
  return clients;
}

void ModernClients::post(mcp::Request request, const std::shared_ptr<HttpReply>& reply) {
  if (is_stuck()) return reply->respond(stuck());
  const mcp::RequestId id(++last_);
  waiting_[id] = reply;
  reply->on_gone([weak = weak_from_this(), id] {
    const auto self = std::static_pointer_cast<ModernClients>(weak.lock());
    if (!self || self->waiting_.erase(id) == 0) return;
    self->backend_->withdraw(id);
  });
  if (wants_progress(request.params) || request.method == "subscriptions/listen") reply->begin_events();
  backend_->take(std::move(request), id);
}

void ModernClients::to_client(ToClient out) {
  auto found = out.about ? waiting_.find(*out.about) : waiting_.end();
  // What the server says of nothing in particular can only be meant where one request runs.
  if (!out.about && waiting_.size() == 1) found = waiting_.begin();
  if (found == waiting_.end()) return;
  const auto reply = found->second.lock();
  if (out.last) waiting_.erase(found);
  if (!reply) return;
  if (!out.last || out.text.empty()) reply->begin_events();
  if (!reply->streaming()) return reply->respond(json_answer(status_of(out.error), std::move(out.text)));
  const auto weight = out.last ? HttpReply::Weight::kAnswer : HttpReply::Weight::kNotice;
  if (!out.text.empty()) reply->event(out.text, weight);
  if (out.last) reply->end();
}

void ModernClients::let_go(const HttpAnswer& why) {
  for (const auto& [id, weak] : std::exchange(waiting_, {})) {
    const auto reply = weak.lock();
    if (!reply) continue;
    if (reply->begun()) {
      reply->end();
    } else {
      reply->respond(why);
    }
  }
}

}  // namespace sluice::gateway

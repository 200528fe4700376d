// What goes out, and what HTTP says of it. Streams of events: http_upstream_streams.cc.
#include "gateway/http_upstream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/relay_rules.h"
#include "gateway/visible_text.h"
#include "mcp/http_headers.h"
#include "net/spawn.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::size_t kMaxSessionId = 1'024;

bool is_session_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxSessionId &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

bool has_type(const http::ResponseHead& head, std::string_view type) {
  const auto field = head.fields.find("content-type");
  return field && iequals(trim(field->substr(0, field->find(';'))), type);
}

std::string status_text(const http::ResponseHead& head) {
  const std::string_view phrase = http::reason_phrase(head.status);
  return fmt::format("HTTP {}{}{}", head.status, phrase.empty() ? "" : " ", phrase);
}

// An error that only a server of the modern era gives (MCP 2026-07-28 "HTTP+SSE Transport").
bool is_modern_error(std::string_view body) {
  const mcp::Message message = mcp::parse_message(body);
  const auto* response = std::get_if<mcp::Response>(&message);
  const Json* code = response && response->is_error ? find_member(response->body, "code") : nullptr;
  return code && (*code == mcp::rpc::kHeaderMismatch || *code == mcp::rpc::kMissingClientCapability ||
                  *code == mcp::rpc::kUnsupportedVersion);
}

}  // namespace

std::shared_ptr<HttpUpstream> HttpUpstream::create(boost::asio::io_context& io, HttpClient& client, std::string target,
                                                   std::shared_ptr<const UpstreamFields> credentials,
                                                   UpstreamEvents events, HttpUpstreamLimits limits,
                                                   std::shared_ptr<Bearer> bearer) {
  return std::shared_ptr<HttpUpstream>(new HttpUpstream(io, client, std::move(target), std::move(credentials),
                                                        std::move(events), limits, std::move(bearer)));
}

HttpUpstream::HttpUpstream(boost::asio::io_context& io, HttpClient& client, std::string target,
                           std::shared_ptr<const UpstreamFields> credentials, UpstreamEvents events,
                           HttpUpstreamLimits limits, std::shared_ptr<Bearer> bearer)
    : io_(io),
      client_(client),
      target_(std::move(target)),
      credentials_(std::move(credentials)),
      events_(std::move(events)),
      limits_(limits),
      bearer_(std::move(bearer)),
      order_(io),
      resume_(io),
      farewell_(io) {}

void HttpUpstream::spawn(Task<void> task) {
  net::spawn(io_.get_executor(), std::move(task), [weak = weak_from_this()](std::string_view what) {
    const auto self = weak.lock();
    if (self && !self->closed_) self->events_.notice("a bug: " + std::string(what));
  });
}

void HttpUpstream::send(std::string message) {
  if (closed_) return;
  auto post = std::make_shared<Post>();
  mcp::Message parsed = mcp::parse_spelled_message(message);
  if (const auto* request = std::get_if<mcp::Request>(&parsed)) {
    post->method = request->method;
    post->key.value = request->id.to_json().get<std::uint64_t>();  // a ClientSession's
    post->modern = is_modern_request(request->params);
    post->initialize = !post->modern && request->method == "initialize";
    if (post->modern) {
      const Json params = plain_json(request->params);
      const Json* name = request->method == "tools/call" ? find_member(params, "name") : nullptr;
      const auto tool = name && name->is_string() ? events_.tool(name->get_ref<const std::string&>()) : nullptr;
      post->fields = mcp::modern_headers(request->method, params,
                                         tool ? std::span(tool->headers) : std::span<const mcp::ParamHeader>());
    }
  } else if (const auto* notice = std::get_if<mcp::Notification>(&parsed)) {
    post->method = notice->method;
    post->modern = is_modern_request(notice->params);
    if (notice->method == "notifications/cancelled" && cancel(notice->params)) return;
    if (post->modern) post->fields = mcp::modern_headers(notice->method, plain_json(notice->params), {});
  }
  if (session_lost_ && !post->modern && !post->initialize) {
    return lose(post, "the server has ended this session: initialize again", true);
  }
  post->text = std::move(message);
  post->size = post->text.size();
  pending_ += post->size;
  queue_.push_back(std::move(post));
  pump();
}

bool HttpUpstream::cancel(const Json& params) {
  const Json* id = find_member(params, "requestId");
  if (!id || !id->is_number_unsigned()) return false;
  const mcp::SentKey key{id->get<std::uint64_t>()};
  const auto is_it = [&](const PostPtr& post) { return post->key == key; };
  if (const auto waiting = std::find_if(queue_.begin(), queue_.end(), is_it); waiting != queue_.end()) {
    pending_ -= (*waiting)->size;
    queue_.erase(waiting);
    return true;
  }
  const auto found = std::find_if(active_.begin(), active_.end(), is_it);
  if (found == active_.end()) return owed_.erase(key) == 0;
  const PostPtr post = *found;
  post->cancelled = true;
  if (post->modern) {  // closing the stream is what cancels
    if (post->exchange) post->exchange->cancel();
    return true;
  }
  // The server is told; then its stream ends by itself, or is ended.
  const auto leave = [](std::shared_ptr<HttpUpstream> self, PostPtr left) -> Task<void> {
    co_await self->pause(self->limits_.leave);
    if (left->exchange) left->exchange->cancel();
  };
  spawn(leave(shared_from_this(), post));
  return false;
}

// In order: `initialize` before everything else; a notice or an answer of ours after what was said before it has left,
// and before what is said after it.
void HttpUpstream::pump() {
  while (!queue_.empty() && !blocking_ && !closed_) {
    const PostPtr post = queue_.front();
    const bool settled = std::all_of(active_.begin(), active_.end(), [](const PostPtr& one) { return one->written; });
    if (!post->key && !settled) return;
    queue_.pop_front();
    start(post);
  }
}

void HttpUpstream::start(const PostPtr& post) {
  active_.insert(post);
  if (post->initialize || !post->key) {
    blocking_ = post;
    order_.expires_after(post->initialize ? limits_.handshake : limits_.order);
    order_.async_wait([weak = weak_from_this(), post](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self) self->unblock(post);
    });
  }
  if (post->initialize) {
    session_.clear();
    version_.clear();
    endpoint_.clear();
    session_lost_ = false;
    ++sessions_;
    for (const ExchangePtr& stream : std::set<ExchangePtr>(streams_)) stream->cancel();
  }
  spawn(run(post));
}

void HttpUpstream::unblock(const PostPtr& post) {
  if (blocking_ != post) return;
  blocking_ = nullptr;
  order_.cancel();
  pump();
}

void HttpUpstream::set_written(const PostPtr& post) {
  if (post->written) return;
  post->written = true;
  pending_ -= post->size;
  if (pending_ == 0) events_.drained();
  pump();
}

Task<Result<std::string>> HttpUpstream::take_token() {
  if (!bearer_) co_return std::string();
  co_return co_await bearer_->token();
}

UpstreamFields HttpUpstream::own_fields(In in, std::string_view token) const {
  UpstreamFields fields = *credentials_;
  if (!token.empty()) fields.emplace_back("Authorization", "Bearer " + std::string(token));
  if (in == In::kNothing) return fields;
  if (!version_.empty()) fields.emplace_back("MCP-Protocol-Version", version_);
  if (!session_.empty()) fields.emplace_back("Mcp-Session-Id", session_);
  return fields;
}

Task<void> HttpUpstream::run(PostPtr post) {
  const auto self = shared_from_this();
  try {
    co_await talk(post);
  } catch (...) {
    active_.erase(post);
    set_written(post);
    unblock(post);
    lose(post, "the gateway failed");
    throw;
  }
  active_.erase(post);
  if (closed_) co_return;
  set_written(post);
  unblock(post);
}

Task<void> HttpUpstream::talk(PostPtr post) {
  const auto token = co_await take_token();
  if (closed_ || post->cancelled) co_return;
  if (!token) co_return lose(post, token.error().message, true);
  const In in = post->modern || post->initialize ? In::kNothing : In::kSession;
  if (in == In::kSession) post->session = session_;
  HttpClient::Request request{"POST", endpoint_.empty() ? target_ : endpoint_, {}, std::exchange(post->text, {})};
  std::string again = post->initialize || (bearer_ && !post->renewed) ? request.body : std::string();
  request.fields = own_fields(in, *token);
  request.fields.emplace_back("Content-Type", kJson);
  request.fields.emplace_back("Accept", "application/json, text/event-stream");
  for (const auto& field : post->fields) request.fields.push_back(field);
  post->exchange = client_.open(std::move(request));
  const Status sent = co_await post->exchange->send();
  if (closed_) co_return;
  if (!sent) co_return lose(post, "the server cannot be reached: " + sent.error().message, !post->exchange->begun());
  if (!post->initialize) set_written(post);
  const bool handshake = post->initialize || post->method == "server/discover";
  auto head = co_await post->exchange->read_head(handshake   ? limits_.handshake
                                                 : post->key ? limits_.silence
                                                             : limits_.accepted);
  if (closed_) co_return;
  if (!head) co_return lose(post, "the server gave no answer: " + head.error().message);
  if (head->status >= 200 && head->status < 300) co_return co_await take_answer(post, *std::move(head));
  // The server did nothing of it (RFC 6750 §3.1): with another token it is asked once more.
  if (head->status == 401 && bearer_ && !std::exchange(post->renewed, true) && co_await bearer_->renew(*token)) {
    if (closed_ || post->cancelled) co_return;
    co_await drain(post->exchange);
    if (closed_ || post->cancelled) co_return;
    post->text = std::move(again);
    co_return co_await talk(post);
  }
  if (closed_) co_return;
  const bool may_be_older = head->status == 400 || head->status == 404 || head->status == 405;
  if (!post->initialize || !may_be_older || !endpoint_.empty()) co_return co_await take_failure(post, *std::move(head));
  const auto body = co_await read_body(post->exchange, limits_.max_error, limits_.accepted);
  if (closed_) co_return;
  const bool older = !is_modern_error(body ? *body : "") && co_await open_legacy();
  if (closed_) co_return;
  if (older) {
    post->text = std::move(again);
    co_return co_await talk(post);
  }
  if (body && has_type(*head, kJson)) deliver(post, *body);
  lose(post, "the server answered " + status_text(*head), false, head->status);
}

Task<void> HttpUpstream::take_answer(PostPtr post, http::ResponseHead head) {
  if (const auto coding = head.fields.joined("content-encoding"); coding && !iequals(trim(*coding), "identity")) {
    post->exchange->cancel();
    co_return lose(post, "the server's answer is compressed, which was not asked for");
  }
  if (const auto id = head.fields.find("mcp-session-id"); id && post->initialize) {
    if (!is_session_id(*id)) {
      post->exchange->cancel();
      co_return lose(post, "the server's session id is malformed");
    }
    session_ = *id;
  }
  if (!post->key || !endpoint_.empty()) {
    if (post->key && events_.waits(post->key)) owed_.insert(post->key);
    co_await drain(post->exchange);
    if (closed_ || post->method != "notifications/initialized" || !endpoint_.empty()) co_return;
    spawn(listen());
  } else if (has_type(head, "text/event-stream")) {
    co_await read_answer_stream(post);
  } else if (has_type(head, kJson)) {
    const auto body = co_await read_body(post->exchange, limits_.max_message, limits_.silence);
    if (closed_) co_return;
    if (!body) co_return lose(post, "the server's answer cannot be used: " + body.error().message);
    deliver(post, *body);
    lose(post, "the server answered with something that is no answer to this request");
  } else {
    post->exchange->cancel();
    lose(post, fmt::format("the server answered {} with neither JSON nor a stream of events", status_text(head)), false,
         head.status);
  }
}

Task<void> HttpUpstream::take_failure(PostPtr post, http::ResponseHead head) {
  if (head.status >= 300 && head.status < 400) {
    post->exchange->cancel();
    co_return lose(post, fmt::format("the server redirects ({}), which is not followed", status_text(head)), false,
                   head.status);
  }
  const auto body = co_await read_body(post->exchange, limits_.max_error, limits_.accepted);
  if (closed_) co_return;
  if (head.status == 404 && !post->session.empty()) {
    if (post->session == session_) forget_session("the server has ended the session");
    co_return lose(post, "the server has ended this session (HTTP 404): initialize again", false, head.status);
  }
  if (!post->key) co_return lose(post, "HTTP " + std::to_string(head.status));
  if (body && has_type(head, kJson)) deliver(post, *body);
  lose(post, fmt::format("the server answered {}{}", status_text(head), credentials_text(head)), false, head.status);
}

std::string HttpUpstream::credentials_text(const http::ResponseHead& head) const {
  if (head.status != 401 && head.status != 403) return "";
  const std::string text = ": it does not take the gateway's credentials";
  if (!bearer_) return text;
  const auto challenge = parse_bearer_challenge(head.fields.joined("www-authenticate").value_or(""));
  // Whom it knows and does not let in, a login would not help.
  const bool helps = head.status == 401 || (challenge && challenge->error == "insufficient_scope");
  return helps ? text + "; " + bearer_->advice(challenge) : text;
}

Task<Result<std::string>> HttpUpstream::read_body(ExchangePtr exchange, ByteCount most,
                                                  std::chrono::milliseconds at_most) {
  std::string body;
  for (;;) {
    co_await while_held();
    auto piece = co_await exchange->read_piece(at_most);
    if (closed_) co_return fail(Code::kCancelled, "the gateway ends");
    if (!piece) co_return fail(std::move(piece.error()));
    if (!*piece) co_return body;
    if (body.size() + (*piece)->size() > most) {
      exchange->cancel();
      co_return fail(Code::kTooLarge, fmt::format("it is longer than {} KiB", most / kKiB));
    }
    body += **piece;
  }
}

// An error without an id is an answer, too, where only one request can be meant.
void HttpUpstream::deliver(const PostPtr& post, std::string_view message) {
  if (post->initialize) {
    const auto parsed = parse_json(message);
    const Json* result = parsed ? find_member(*parsed, "result") : nullptr;
    const Json* version = result ? find_member(*result, "protocolVersion") : nullptr;
    if (version && version->is_string() && is_session_id(version->get_ref<const std::string&>())) {
      version_ = version->get<std::string>();
    }
  }
  // Whoever gets it reads it anyway: here only if it may be an error.
  const bool may_be_error = message.find("\"error\"") != message.npos || message.find("\\u") != message.npos;
  const mcp::Message parsed = may_be_error ? mcp::parse_spelled_message(message) : mcp::Message();
  const auto* response = std::get_if<mcp::Response>(&parsed);
  if (response && response->is_error && !response->id) {
    const Json* code = find_member(response->body, "code");
    const Json* text = find_member(response->body, "message");
    if (!code || !code->is_number_integer() || !text || !text->is_string()) return;
    const Json* data = find_member(response->body, "data");
    return events_.lost(post->key, {code->get<int>(), text->get<std::string>(), data ? *data : Json(nullptr)}, false);
  }
  events_.message(message, post->key);
}

void HttpUpstream::lose(const PostPtr& post, std::string why, bool unsent, int status) {
  if (closed_ || post->cancelled) return;
  const Json data = status == 0 ? Json(nullptr) : Json{{kHttpStatus, status}};
  if (post->key) return events_.lost(post->key, {mcp::rpc::kInternalError, std::move(why), data}, unsent);
  const std::string what = post->method.empty() ? "an answer" : visible_text(post->method);
  events_.notice(fmt::format("the server did not take {}: {}", what, why));
}

void HttpUpstream::forget_session(std::string_view why) {
  session_.clear();
  version_.clear();
  endpoint_.clear();
  session_lost_ = true;
  ++sessions_;
  for (const ExchangePtr& stream : std::set<ExchangePtr>(streams_)) stream->cancel();
  for (const mcp::SentKey key : std::exchange(owed_, {})) {
    events_.lost(key, {mcp::rpc::kInternalError, std::string(why), nullptr}, false);
  }
  events_.notice(why);
  events_.hears(false);
  events_.session_lost();
}

void HttpUpstream::hold_reading(bool hold) {
  held_ = hold;
  if (!hold) resume_.cancel();
}

void HttpUpstream::close(std::function<void()> gone) {
  if (closed_) return;
  closed_ = true;
  queue_.clear();
  order_.cancel();
  resume_.cancel();
  for (auto* pause : pauses_) pause->cancel();
  for (const PostPtr& post : std::set<PostPtr>(active_)) {
    if (post->exchange) post->exchange->cancel();
  }
  for (const ExchangePtr& stream : std::set<ExchangePtr>(streams_)) stream->cancel();
  farewell_.expires_after(session_.empty() ? std::chrono::milliseconds(0) : limits_.farewell);
  farewell_.async_wait(
      [self = shared_from_this(), gone = std::move(gone)](const boost::system::error_code&) { gone(); });
  if (!session_.empty()) spawn(say_goodbye(session_));
}

Task<void> HttpUpstream::say_goodbye(std::string session) {
  const auto self = shared_from_this();
  HttpClient::Request request{"DELETE", target_, own_fields(In::kSession, bearer_ ? bearer_->present() : ""), ""};
  const auto exchange = client_.open(std::move(request));
  const Status sent = co_await exchange->send();
  if (sent) (void)co_await exchange->read_head(limits_.farewell);
  exchange->cancel();
  farewell_.cancel();
}

}  // namespace sluice::gateway

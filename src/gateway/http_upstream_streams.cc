// Streams of events of a server over HTTP.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "gateway/http_upstream.h"
#include "proxy/pac_fetch.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::chrono::milliseconds kDrain{1'000};  // for the end of a stream that has said what it was for
constexpr std::chrono::milliseconds kLeastRetry{50};

bool is_stream(const http::ResponseHead& head) {
  const auto type = head.fields.find("content-type");
  return head.status == 200 && type && iequals(trim(type->substr(0, type->find(';'))), "text/event-stream") &&
         !head.fields.find("content-encoding");
}

bool is_message(const mcp::SseEvent& event) { return event.type.empty() || event.type == "message"; }

}  // namespace

Task<void> HttpUpstream::pause(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(io_);
  timer.expires_after(time);
  pauses_.insert(&timer);
  if (!closed_) co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  pauses_.erase(&timer);
}

Task<void> HttpUpstream::while_held() {
  while (held_ && !closed_) {
    resume_.expires_at(boost::asio::steady_timer::time_point::max());
    co_await resume_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

std::chrono::milliseconds HttpUpstream::retry_after(const mcp::SseReader& reader, int failures) const {
  const auto first = reader.retry().value_or(limits_.retry);
  return std::clamp(first * (1 << std::min(failures, 5)), kLeastRetry, limits_.max_retry);
}

// `exchange` is where it can be ended, while it is opened and behind it.
Task<Result<http::ResponseHead>> HttpUpstream::open_stream(std::string last_event_id, ExchangePtr& exchange) {
  for (bool renewed = false;; renewed = true) {
    const auto token = co_await take_token();
    if (closed_) co_return fail(Code::kCancelled, "the gateway ends");
    if (!token) co_return fail(token.error());
    HttpClient::Request request{"GET", target_, own_fields(In::kSession, *token), ""};
    request.fields.emplace_back("Accept", "text/event-stream");
    if (!last_event_id.empty()) request.fields.emplace_back("Last-Event-ID", last_event_id);
    const ExchangePtr opened = client_.open(std::move(request));
    exchange = opened;
    streams_.insert(opened);
    Result<http::ResponseHead> head = fail(Code::kClosed, "");
    const Status sent = co_await opened->send();
    if (sent) head = co_await opened->read_head(limits_.accepted);
    streams_.erase(opened);
    if (!sent) co_return fail(sent.error());
    if (!head || closed_) co_return head;
    if (!is_stream(*head)) opened->cancel();
    const bool refused = head->status == 401 && bearer_ && !renewed;
    if (!refused || !co_await bearer_->renew(*token)) co_return head;
    if (closed_) co_return fail(Code::kCancelled, "the gateway ends");
  }
}

// Until its end; for a request, until its answer.
Task<HttpUpstream::End> HttpUpstream::read_events(ExchangePtr exchange, mcp::SseReader& reader, PostPtr post,
                                                  bool& heard) {
  for (;;) {
    co_await while_held();
    const auto piece = co_await exchange->read_piece(limits_.silence);
    if (closed_ || !piece || !*piece) co_return End::kEnded;
    Bytes input = **piece;
    while (!input.empty()) {
      auto event = reader.next(input);
      if (!event) {
        exchange->cancel();
        co_return End::kTooLong;
      }
      if (!*event) continue;
      heard = true;
      if (is_message(**event) && post) {
        deliver(post, (*event)->data);
      } else if (is_message(**event)) {
        events_.message((*event)->data, {});
      }
      if (closed_) co_return End::kEnded;
    }
    if (post && !events_.waits(post->key)) co_return End::kAnswered;
  }
}

// What is left of an answer that nobody needs, so that the connection can serve again.
Task<void> HttpUpstream::drain(ExchangePtr exchange) {
  ByteCount left = limits_.max_error;
  for (;;) {
    const auto piece = co_await exchange->read_piece(kDrain);
    if (!piece || !*piece) co_return;
    if ((*piece)->size() > left) break;
    left -= (*piece)->size();
  }
  exchange->cancel();
}

Task<void> HttpUpstream::read_answer_stream(PostPtr post) {
  std::string last_id;
  std::chrono::milliseconds wait = limits_.retry;
  for (int failures = 0;;) {
    mcp::SseReader reader(limits_.max_message);
    bool heard = false;
    const End end = co_await read_events(post->exchange, reader, post, heard);
    if (closed_) co_return;
    if (end == End::kTooLong) co_return lose(post, "an event of the server's stream is longer than the limit");
    if (end == End::kAnswered || !events_.waits(post->key)) break;
    if (!reader.last_event_id().empty()) last_id = reader.last_event_id();
    failures = heard || !reader.last_event_id().empty() ? 0 : failures + 1;
    wait = retry_after(reader, failures);
    // Only an id tells where to go on; and only a legacy server knows of it.
    bool open = false;
    while (!post->modern && !last_id.empty() && failures < limits_.max_retries && !open) {
      co_await pause(wait);
      if (closed_ || !events_.waits(post->key)) co_return;
      const auto head = co_await open_stream(last_id, post->exchange);
      if (closed_) co_return;
      open = head && is_stream(*head);
      if (head && !open && head->status >= 400 && head->status < 500) break;
      ++failures;
    }
    if (!open) co_return lose(post, "the server's stream ended before its answer came");
  }
  co_await drain(post->exchange);
}

// What a legacy server says of itself.
Task<void> HttpUpstream::listen() {
  const auto self = shared_from_this();
  const std::uint64_t session = sessions_;
  std::string last_id;
  for (int failures = 0; failures <= limits_.max_retries;) {
    ExchangePtr exchange;
    const auto head = co_await open_stream(last_id, exchange);
    if (exchange) streams_.insert(exchange);
    mcp::SseReader reader(limits_.max_message);
    bool heard = false;
    if (!closed_ && sessions_ == session && head && is_stream(*head)) {
      events_.hears(true);
      const End end = co_await read_events(exchange, reader, nullptr, heard);
      if (!closed_) events_.hears(false);
      if (end == End::kTooLong && !closed_)
        events_.notice("an event of the server's own stream is longer than the limit");
    }
    streams_.erase(exchange);
    if (closed_ || sessions_ != session) co_return;
    if (head && head->status == 404 && !session_.empty()) co_return forget_session("the server has ended the session");
    if (head && head->status >= 400 && head->status < 500) co_return;  // 405: it has none
    if (!reader.last_event_id().empty()) last_id = reader.last_event_id();
    failures = heard ? 0 : failures + 1;
    co_await pause(retry_after(reader, failures));
    if (closed_ || sessions_ != session) co_return;
  }
  events_.notice("the server's own stream cannot be opened; what it says of itself is not heard");
}

// HTTP+SSE: a GET stream on which everything comes, and in its first event where messages go.
Task<bool> HttpUpstream::open_legacy() {
  ExchangePtr exchange;
  const auto head = co_await open_stream("", exchange);
  if (closed_ || !head || !is_stream(*head)) co_return false;
  streams_.insert(exchange);
  spawn(read_legacy(exchange));
  const MonoTime until = std::chrono::steady_clock::now() + limits_.endpoint;
  while (!closed_ && endpoint_.empty() && streams_.contains(exchange) && std::chrono::steady_clock::now() < until) {
    co_await pause(kLeastRetry);
  }
  if (endpoint_.empty()) exchange->cancel();
  co_return !closed_ && !endpoint_.empty();
}

Task<void> HttpUpstream::read_legacy(ExchangePtr exchange) {
  const auto self = shared_from_this();
  const std::uint64_t session = sessions_;
  mcp::SseReader reader(limits_.max_message);
  for (bool good = true; good;) {
    co_await while_held();
    const auto piece = co_await exchange->read_piece(limits_.silence);
    if (closed_ || sessions_ != session || !piece || !*piece) break;
    Bytes input = **piece;
    while (good && !input.empty() && !closed_) {
      auto event = reader.next(input);
      good = event.has_value();
      if (!good || !*event) continue;
      if (endpoint_.empty()) {
        good = (*event)->type == "endpoint" && set_endpoint((*event)->data);
      } else if (is_message(**event)) {
        events_.message((*event)->data, {});
      }
    }
  }
  exchange->cancel();
  streams_.erase(exchange);
  if (!closed_ && sessions_ == session && !endpoint_.empty()) forget_session("the server's stream has ended");
}

bool HttpUpstream::set_endpoint(std::string_view reference) {
  Url base = client_.server();
  base.target = target_;
  const auto url = proxy::redirect_target(base, reference);
  const bool same = url && url->scheme == base.scheme && url->host == base.host && url->port == base.port;
  if (!same) {
    events_.notice("the server names an endpoint of another origin, which is not used");
    return false;
  }
  endpoint_ = url->target;
  events_.hears(true);
  return true;
}

}  // namespace sluice::gateway

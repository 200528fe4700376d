#include "proxy/stream_relay.h"

#include <boost/asio/co_spawn.hpp>

#include "http/translate.h"
#include "http2/http2.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr ByteCount kDiscardAtMost = 8 * kMiB;            // of a request body that nobody wants
constexpr std::chrono::milliseconds kRestTime{300};       // for what a client has sent before it sees its answer
constexpr int kMostInterim = 100;                         // interim answers before one that is final
constexpr int kMostRetries = 3;                           // each on another connection
constexpr ByteCount kKeptForRetry = 64 * kKiB;            // of a request body, until the answer begins
constexpr std::uint32_t kInternalError = 2, kCancel = 8;  // RFC 9113 §7

std::string name_of(std::uint32_t code) {
  const std::string_view name = http2::to_string(static_cast<http2::ErrorCode>(code));
  return name.empty() ? std::to_string(code) : std::string(name);
}

}  // namespace

// Each exchange arms several times: as precisely as deadlines are kept, and without a look at the clock.
void StreamRelay::arm() {
  const Timeouts& timeouts = worker_.limits().timeouts;
  activity_ = worker_.deadlines().in(Duration{});
  client_.set_deadline(activity_ + idle_time());
  if (!origin_) return;
  origin_->set_deadline(request_over_ && !answering_ ? sent_at_ + timeouts.first_byte : activity_ + idle_time());
}

std::chrono::milliseconds StreamRelay::idle_time() const {
  const Timeouts& timeouts = worker_.limits().timeouts;
  return watcher_ ? timeouts.websocket_idle : timeouts.idle;
}

// RFC 8441 §4: from here on the stream carries the other protocol's octets, both ways.
void StreamRelay::open_tunnel(const std::string& protocol) {
  if (protocol != "websocket") return exchange_.become(flow::Protocol::kTcp);
  exchange_.become(flow::Protocol::kWebSocket);
  watcher_.emplace(exchange_, worker_.clock());
  edits_ = WebSocketEdits::of(exchange_, worker_.exchange_settings().rule_body);
}

Content StreamRelay::see(flow::Direction direction, Content content) {
  if (edits_) return Bytes(edits_->pass(direction, content.octets(), *watcher_));
  if (watcher_)
    watcher_->see(direction, content.octets());
  else if (direction == flow::Direction::kRequest)
    exchange_.request_body(content.octets());
  else
    exchange_.response_body(content.octets());
  return content;
}

bool StreamRelay::still_active() const {
  const bool first_byte = request_over_ && !answering_;
  return !first_byte && worker_.clock().mono() < activity_ + idle_time();
}

net::Task<bool> StreamRelay::room(End& end) {
  while (!end.has_room()) {
    arm();
    const Status ready = co_await end.wait_room();
    if (ready) break;
    if (ready.error().code != Code::kTimeout || !still_active()) co_return false;
  }
  co_return true;
}

StreamRelay::Result StreamRelay::client_left() {
  if (aborted_) exchange_.fail(FailureKind::kShutdown, "Sluice was stopped before the exchange was over");
  const auto reset = client_.reset_code();
  std::string what = "the client went away";
  if (reset) what = "the client reset its stream (" + name_of(*reset) + ")";
  exchange_.fail(FailureKind::kClientAborted,
                 what + (answering_ ? " in the middle of the answer" : " before the answer"));
  if (origin_) origin_->cut(reset.value_or(kCancel));
  return Result::kFailed;
}

net::Task<bool> StreamRelay::gather_request(std::optional<std::string>& content, std::string& begun) {
  const ByteCount limit = worker_.exchange_settings().rule_body;
  if (exchange_.expects_continue()) {  // engine.md 4: Sluice itself says 100
    continued_ = true;
    client_.offer_head(http::make_response(100), false);
  }
  for (;;) {
    arm();
    BodyRead read = co_await client_.read_body();
    switch (read.step) {
      case BodyStep::kContent:
        exchange_.request_body(read.content.octets());
        begun += read.content.octets();
        if (!gathered_.take(read.content.octets().size()) || begun.size() > limit) co_return true;
        break;
      case BodyStep::kEnd:
        if (read.trailers) exchange_.request_trailers(http::section_text(*read.trailers));
        exchange_.request_ended();
        content = std::move(begun);
        begun.clear();
        co_return true;
      case BodyStep::kFailed:
        client_left();
        exchange_.finish();
        co_return false;
    }
  }
}

net::Task<bool> StreamRelay::discard_request() {
  ByteCount seen = 0;
  for (;;) {
    if (exchange_.expects_continue() && !continued_) co_return false;  // RFC 9110 §10.1.1: a final answer instead
    arm();
    BodyRead read = co_await client_.read_body();
    if (read.step == BodyStep::kEnd) {
      exchange_.request_ended();
      co_return true;
    }
    if (read.step == BodyStep::kFailed) {
      client_left();
      exchange_.finish();
      co_return false;
    }
    exchange_.request_body(read.content.octets());
    if ((seen += read.content.octets().size()) > kDiscardAtMost) co_return false;
  }
}

StreamRelay::StreamRelay(Worker& worker, Exchange& exchange, ClientEnd& client, const bool& aborted, HoldPoint& holding)
    : worker_(worker),
      exchange_(exchange),
      client_(client),
      aborted_(aborted),
      holding_(holding),
      gathered_(worker.shared().bodies) {}

StreamRelay::~StreamRelay() { worker_.shared().bodies.give_back(kept_); }

net::Task<void> StreamRelay::take_rest() {
  const MonoTime until = worker_.clock().mono() + kRestTime;
  client_.set_deadline(until);
  for (ByteCount seen = 0; seen < kDiscardAtMost && worker_.clock().mono() < until;) {
    BodyRead read = co_await client_.read_body();
    if (read.step == BodyStep::kEnd) exchange_.request_ended();
    if (read.step != BodyStep::kContent) co_return;
    exchange_.request_body(read.content.octets());
    seen += read.content.octets().size();
  }
}

net::Task<void> StreamRelay::send_made(const std::string& made) {
  if (made.empty()) {
    client_.cut(kInternalError);
    co_return;
  }
  const Bytes body = exchange_.made_body(made);
  client_.offer_head(exchange_.response(), !body.empty());
  if (!body.empty()) {
    client_.offer(Bytes(body));
    client_.offer_end(nullptr);
  }
  if (!client_.has_room() && !co_await room(client_))
    exchange_.fail(FailureKind::kClientAborted, "the client went away before the answer");
}

// The request body that passes, in case that the origin turns out not to have taken the request.
void StreamRelay::keep(Bytes content) {
  if (!body_->at_hand) return;
  BodyBudget& budget = worker_.shared().bodies;
  const bool too_much = body_->begun.size() + content.size() > kKeptForRetry || budget.is_short();
  if (!protocol_.empty() || too_much) return forget_body();
  body_->begun += content;
  kept_ += content.size();
  budget.take(content.size());
}

void StreamRelay::forget_body() {
  body_->at_hand = false;
  std::string().swap(body_->begun);
  worker_.shared().bodies.give_back(std::exchange(kept_, 0));
}

net::Task<StreamRelay::Result> StreamRelay::run(OriginEnd& origin, RequestBody& body) {
  origin_ = &origin;
  body_ = &body;
  request_over_ = body.is_over;
  protocol_ = body.protocol;
  stopping_ = answering_ = send_failed_ = bad_request_ = client_gone_ = false;
  const bool replaced = exchange_.request_body_replaced();
  const Bytes at_hand = replaced ? exchange_.replaced_request_body() : Bytes(body.begun);
  const bool more = !replaced && !body.is_over;
  origin.offer_request(exchange_.sent_request(),
                       {exchange_.target().scheme, body.protocol, !at_hand.empty() || more, body.weight});
  if (!at_hand.empty()) {
    origin.offer(Bytes(at_hand));
    if (!more) origin.offer_end(nullptr);
  }
  origin.on_gone([this] { stop_request(); });
  client_.on_gone([this] {
    client_gone_ = true;
    slow_response_.pauses.end();
    origin_->cancel();
  });
  slow_request_.pace = Pace(exchange_.throttle().request);
  slow_response_.pace = Pace(exchange_.throttle().response);
  sent_at_ = worker_.clock().mono();
  exchange_.reached(Exchange::Step::kSent, sent_at_);
  joined_.reset();
  if (more) {
    const auto executor = co_await net::asio::this_coro::executor;
    joined_ = std::make_unique<net::Signal>(worker_.deadlines());
    pumping_ = true;
    net::asio::co_spawn(executor, pump_request(), [this](std::exception_ptr bug) {
      pumping_ = false;
      joined_->notify();
      if (!bug) return;
      send_failed_ = true;
      worker_.shared().on_bug("a request pump ended by an exception");
    });
  }
  Result result = Result::kFailed;
  std::exception_ptr bug;
  try {
    result = co_await relay_answer();
  } catch (...) {
    bug = std::current_exception();
  }
  if (pumping_) {
    if (result != Result::kDone || (exchange_.expects_continue() && !continued_)) stop_request();
    co_await join_request();
  }
  client_.on_gone(nullptr);
  origin.on_gone(nullptr);
  origin.release(result == Result::kDone && !bug && request_over_ && !send_failed_ && exchange_.upstream_lives());
  origin_ = nullptr;
  if (bug) std::rethrow_exception(bug);
  co_return result;
}

void StreamRelay::stop_request() {
  if (!pumping_) return;
  stopping_ = true;
  slow_request_.pauses.end();
  client_.cancel_reads();
  origin_->cancel();
}

net::Task<void> StreamRelay::join_request() {
  while (pumping_) co_await joined_->wait_told();
}

// The pause stands before a piece, not behind it: the end of a message does not wait.
net::Task<bool> StreamRelay::send_slowly(End& end, Content content, Slow& slow) {
  const flow::Held held = std::move(content).keep(worker_.sink());
  for (Bytes left = held.view(); !left.empty();) {
    const auto pause = slow.pace.pause(worker_.clock().mono());
    if (pause.count() > 0 && !co_await slow.pauses.wait(pause)) co_return false;
    const Bytes piece = left.substr(0, slow.pace.most());
    left.remove_prefix(piece.size());
    end.offer(piece);
    if (!co_await room(end)) co_return false;
    slow.pace.sent(piece.size(), worker_.clock().mono());
    arm();
  }
  co_return true;
}

net::Task<void> StreamRelay::pump_request() {
  while (!stopping_) {
    arm();
    BodyRead read = co_await client_.read_body();
    if (stopping_) co_return;
    if (read.step == BodyStep::kFailed) {
      if (read.failure.cause == EndFailure::Cause::kTimeout && still_active()) continue;
      if (read.failure.cause == EndFailure::Cause::kMalformed) {
        bad_request_ = true;
        exchange_.fail(FailureKind::kBadRequest, read.failure.message);
      } else {
        if (read.failure.cause == EndFailure::Cause::kNoRoom) {
          exchange_.fail(FailureKind::kOverloaded, read.failure.message);
        }
        client_gone_ = true;
      }
      origin_->cancel();
      co_return;
    }
    if (read.step == BodyStep::kEnd) {
      if (read.trailers) {
        exchange_.request_trailers(http::section_text(*read.trailers));
        forget_body();
      }
      if (edits_) origin_->offer(Bytes(edits_->finish(flow::Direction::kRequest, *watcher_)));
      if (watcher_) watcher_->ended(flow::Direction::kRequest);
      exchange_.request_ended();
      request_over_ = body_->is_over = true;
      sent_at_ = worker_.clock().mono();
      exchange_.reached(Exchange::Step::kSent, sent_at_);
      origin_->offer_end(read.trailers ? &*read.trailers : nullptr);
      arm();
    } else {
      Content passed = see(flow::Direction::kRequest, std::move(read.content));
      keep(passed.octets());
      if (slow_request_.pace.is_set()) {
        if (!co_await send_slowly(*origin_, std::move(passed), slow_request_)) send_failed_ = true;
        if (send_failed_) co_return;
        continue;
      }
      origin_->offer(std::move(passed));
    }
    if (!origin_->has_room() && !co_await room(*origin_)) {
      send_failed_ = true;  // the origin may have answered all the same
      co_return;
    }
    if (request_over_) co_return;
  }
}

net::Task<StreamRelay::Result> StreamRelay::relay_answer() {
  int interim = 0;
  for (;;) {
    arm();
    OriginHead read = co_await origin_->read_head(exchange_.sent_method());
    if (!read.head) {
      if (read.failure.cause == EndFailure::Cause::kTimeout) {
        if (still_active()) continue;
        if (!request_over_)
          co_return co_await fail_answer(FailureKind::kIdleTimeout,
                                         "the body of the request stopped, and no answer came");
        co_return co_await fail_answer(FailureKind::kFirstByteTimeout, "the server did not answer in time");
      }
      co_return co_await fail_from(read.failure);
    }
    const MonoTime now = worker_.clock().mono();
    if (!answering_) {
      exchange_.reached(Exchange::Step::kFirstByte, now);
      forget_body();
    }
    answering_ = true;
    if (read.head->is_interim()) {
      if (read.head->status == 101) {
        co_return co_await fail_answer(FailureKind::kBadAnswer,
                                       "the server switched protocols though the request did not ask for it");
      }
      if (++interim > kMostInterim) {
        co_return co_await fail_answer(FailureKind::kBadAnswer, "too many interim answers");
      }
      const bool repeated = read.head->status == 100 && continued_;
      if (read.head->status == 100) continued_ = true;
      // RFC 9110 §15.2: not to an HTTP/1.0 client; and not a second 100 where Sluice has said it.
      if (!repeated && exchange_.request().version != http::Version::kHttp10) client_.offer_head(*read.head, false);
      continue;
    }
    exchange_.reached(Exchange::Step::kResponseHead, now);
    exchange_.mark(read.anomalies);
    const Exchange::ResponsePlan plan =
        exchange_.receive_response(*std::move(read.head), read.framing, origin_->info(), origin_->is_reused());
    if (plan.gather) co_return co_await gather_answer(plan);
    if (plan.hold) co_return co_await hold_answer(plan, "", std::nullopt);
    const bool content = read.framing.kind != http::Framing::kNone;
    if (!protocol_.empty() && exchange_.response_status() / 100 == 2) open_tunnel(protocol_);
    client_.offer_head(exchange_.response(), content && !plan.drop_body);
    if (content) co_return co_await relay_body(plan.drop_body);
    exchange_.response_ended();
    if (!client_.has_room() && !co_await room(client_)) co_return client_left();
    co_return Result::kDone;
  }
}

net::Task<StreamRelay::Result> StreamRelay::relay_body(bool drop) {
  for (;;) {
    arm();
    BodyRead read = co_await origin_->read_body();
    if (read.step == BodyStep::kContent) {
      if (drop) continue;
      Content passed = see(flow::Direction::kResponse, std::move(read.content));
      if (slow_response_.pace.is_set()) {
        if (!co_await send_slowly(client_, std::move(passed), slow_response_)) co_return client_left();
        continue;
      }
      client_.offer(std::move(passed));
      if (!client_.has_room() && !co_await room(client_)) co_return client_left();
      continue;
    }
    if (read.step == BodyStep::kEnd) {
      if (read.failure.truncated) exchange_.mark(http::Anomaly::kTruncatedTls);
      if (edits_) client_.offer(Bytes(edits_->finish(flow::Direction::kResponse, *watcher_)));
      if (watcher_) watcher_->ended(flow::Direction::kResponse);
      exchange_.response_ended();
      if (drop) co_return Result::kDone;
      if (read.trailers) exchange_.response_trailers(http::section_text(*read.trailers));
      client_.offer_end(read.trailers ? &*read.trailers : nullptr);
      if (!client_.has_room() && !co_await room(client_)) co_return client_left();
      co_return Result::kDone;
    }
    if (read.failure.cause == EndFailure::Cause::kTimeout && still_active()) continue;
    if (client_gone_) co_return client_left();
    if (read.failure.truncated) exchange_.mark(http::Anomaly::kTruncatedTls);
    exchange_.mark(http::Anomaly::kTruncatedBody);
    if (read.failure.cause == EndFailure::Cause::kTimeout)
      exchange_.fail(FailureKind::kIdleTimeout, "the server stopped sending");
    else
      exchange_.fail(FailureKind::kBodyCut, read.failure.message.empty()
                                                ? "the server ended the connection before the end of the answer"
                                                : read.failure.message);
    client_.cut(read.failure.cause == EndFailure::Cause::kReset ? read.failure.code : kInternalError);
    co_return Result::kFailed;
  }
}

net::Task<StreamRelay::Result> StreamRelay::fail_answer(FailureKind kind, std::string message) {
  stop_request();
  co_await join_request();  // nothing may be recorded after the end
  origin_->cut(kCancel);
  const std::string page = exchange_.failure_page(kind, message);
  co_await send_made(page);
  co_return Result::kFailed;
}

net::Task<StreamRelay::Result> StreamRelay::fail_from(const EndFailure& failure) {
  if (pumping_ && request_over_) {  // only its last octets had not left
    stop_request();
    co_await join_request();
  }
  if (bad_request_) co_return co_await fail_answer(FailureKind::kBadRequest, "malformed request body");
  if (client_gone_) co_return client_left();
  const bool dead = origin_->is_reused() && failure.cause == EndFailure::Cause::kClosed;
  const bool body_at_hand = exchange_.request_body_replaced() || (request_over_ && body_->at_hand);
  if (!answering_ && !pumping_ && body_at_hand && !exchange_.failed() &&
      (failure.untouched || (dead && exchange_.is_idempotent()))) {
    if (body_->retries++ < (failure.untouched ? kMostRetries : 1)) co_return Result::kRetry;
  }
  if (failure.cause == EndFailure::Cause::kReset && client_.knows_resets()) {
    stop_request();
    co_await join_request();
    exchange_.fail(FailureKind::kUpstreamClosed, failure.message);
    client_.cut(failure.code);
    co_return Result::kFailed;
  }
  FailureKind kind = FailureKind::kUpstreamClosed;
  if (failure.cause == EndFailure::Cause::kMalformed) kind = FailureKind::kBadAnswer;
  if (failure.cause == EndFailure::Cause::kIdentity) kind = FailureKind::kClientCertificate;
  if (failure.cause == EndFailure::Cause::kProxyAuth) kind = FailureKind::kUpstreamProxyAuth;
  if (failure.cause == EndFailure::Cause::kTooLarge) kind = FailureKind::kAnswerTooLarge;
  co_return co_await fail_answer(
      kind, failure.message.empty() ? "the server ended the connection without an answer" : failure.message);
}

}  // namespace sluice::proxy

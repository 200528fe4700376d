#include "proxy/http1_server.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "proxy/admission.h"
#include "proxy/http1_conversation.h"
#include "proxy/origin.h"
#include "proxy/setup_page.h"
#include "proxy/transport.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kShownOfRefused = 4096;        // of a head that could not be read
constexpr ByteCount kLingerAtMost = 8 * kMiB;        // taken in while a client reads its last answer
constexpr int kMostChallenges = 3;                   // of an upstream proxy, answered for one request
constexpr std::chrono::milliseconds kLinger{1'000};  // for a client to take the last answer

// A head that was refused, as it stood, with what its first line says if that is one: records are found by it.
http::RequestHead guess_refused(Bytes octets) {
  http::RequestHead shown;
  shown.start_line = octets;
  const Bytes line = octets.substr(0, octets.find_first_of("\r\n"));
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last || !line.substr(last + 1).starts_with("HTTP/")) return shown;
  const Bytes method = line.substr(0, first), target = line.substr(first + 1, last - first - 1);
  const auto is_visible = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!http::is_token(method) || target.empty() || !std::ranges::all_of(target, is_visible)) return shown;
  shown.method = method;
  shown.target = target;
  return shown;
}

}  // namespace

Http1Server::Http1Server(Worker& worker, net::Stream& client, ClientFacts facts, flow::ConnectionPtr connection,
                         std::string own_address)
    : worker_(worker),
      client_(client),
      facts_(std::move(facts)),
      connection_(std::move(connection)),
      own_address_(std::move(own_address)),
      reader_(worker.limits().http),
      response_reader_(worker.limits().http),
      holding_(worker.shared().holds, worker.clock(), worker.deadlines()) {}

Http1Server::~Http1Server() = default;

void Http1Server::set_first_failure(std::string route_key, ConnectFailure failure) {
  first_failure_.emplace(std::move(route_key), std::move(failure));
}

void Http1Server::drain() {
  draining_ = true;
  if (idle_) client_.cancel(Code::kCancelled);
}

void Http1Server::abort() {
  aborted_ = draining_ = true;
  pauses_.end();
  holding_.end();
  client_.cancel(Code::kCancelled);
  if (upstream_) upstream_->cancel(Code::kCancelled);
  if (origin_) origin_->cancel();
}

void Http1Server::hold_rest() {
  if (!reader_.has_rest()) return;
  rest_ = reader_.take_rest();
  reader_.feed(rest_);
}

net::Task<Http1Server::Outcome> Http1Server::run() {
  bool lives = true;
  while (lives) {
    Complaint complaint;
    const HeadStep step = next_head(complaint);
    if (step == HeadStep::kEnded) co_return Outcome{};
    if (step == HeadStep::kRefused) {
      co_await refuse(std::move(complaint), nullptr);
      co_return Outcome{};
    }
    if (step == HeadStep::kWait) {
      const bool begun = head_has_begun();
      if (draining_ && !begun) co_return Outcome{};
      arm_head();
      idle_ = !begun;
      const Status ready = co_await wait_for_more(client_);
      idle_ = false;
      if (ready) continue;
      if (begun && ready.error().code == Code::kTimeout) {
        co_await refuse({FailureKind::kHeadTimeout, "the request head took too long"}, nullptr);
      }
      co_return Outcome{};
    }
    auto target = targets_.resolve(reader_.head(), facts_);
    if (const auto refusal = refuse_request(reader_.head(), target ? target->kind : TargetKind::kOrigin, facts_)) {
      co_await refuse({*refusal, std::string(sentence_of(*refusal))}, &reader_.head());
      co_return Outcome{};
    }
    if (!target) {
      co_await refuse({FailureKind::kBadRequest, target.error().message}, &reader_.head());
      co_return Outcome{};
    }
    switch (target->kind) {
      case TargetKind::kConnect:
        co_return Outcome{target->target, reader_.take_rest(), nullptr};
      case TargetKind::kSetup:
        lives = co_await serve_setup(reader_.head(), target->target);
        break;
      case TargetKind::kOrigin:
        lives = co_await serve(*target);
        if (upgraded_) co_return Outcome{std::nullopt, "", std::move(upgraded_)};
        break;
    }
    head_started_ = {};
    if (draining_ || worker_.draining()) lives = false;
    // Others have their turn between requests that came at once.
    if (lives && reader_.has_rest()) co_await net::asio::post(worker_.io(), net::asio::use_awaitable);
  }
  if (!aborted_) co_await linger();
  co_return Outcome{};
}

// The next head, as far as that goes without waiting.
Http1Server::HeadStep Http1Server::next_head(Complaint& complaint) {
  for (;;) {
    if (reader_.has_rest() && head_started_ == MonoTime{}) head_started_ = worker_.clock().mono();
    const auto step = reader_.step();
    if (!step) {
      const bool large = step.error().code == Code::kTooLarge;
      complaint = {large ? FailureKind::kHeadTooLarge : FailureKind::kBadRequest, step.error().message};
      return HeadStep::kRefused;
    }
    if (*step == http1::Step::kHead) {
      client_.clear_deadline();
      ++requests_;
      return HeadStep::kHead;
    }
    const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
    const tls::IoResult got = client_.read(space);
    if (got.status == tls::IoStatus::kOk) {
      if (head_started_ == MonoTime{}) head_started_ = worker_.clock().mono();
      reader_.feed(Bytes(space.data(), got.count));
      continue;
    }
    if (got.status == tls::IoStatus::kWouldBlock) {
      if (!reader_.in_head()) note_partial_record();
      return HeadStep::kWait;
    }
    if (!reader_.in_head()) return HeadStep::kEnded;
    complaint = {FailureKind::kClientAborted, "the client ended in the middle of a request head"};
    return HeadStep::kRefused;
  }
}

// Within TLS a head may have begun of which nothing can be read before its record is whole. OpenSSL says of five
// octets, a record's header, that there are none: what has begun stays begun.
void Http1Server::note_partial_record() {
  if (head_started_ == MonoTime{} && client_.has_partial_record()) head_started_ = worker_.clock().mono();
}

void Http1Server::arm_head() {
  const Timeouts& timeouts = worker_.limits().timeouts;
  client_.set_deadline(head_has_begun() ? head_started_ + timeouts.client_head : worker_.deadlines().in(timeouts.idle));
}

// Records a request that never became an exchange, tells the client, and ends the connection.
net::Task<void> Http1Server::refuse(Complaint complaint, const http::RequestHead* head) {
  http::RequestHead shown;
  if (head)
    shown = *head;
  else
    shown = guess_refused(reader_.refused_head().substr(0, kShownOfRefused));
  ResolvedTarget target;
  target.target.scheme = facts_.tls ? "https" : "http";
  target.target.host = facts_.destination_host;
  target.target.port = facts_.destination_port;
  target.target.path = shown.target;
  if (!head && !shown.target.empty()) {
    if (auto meant = targets_.resolve(shown, facts_)) target = *std::move(meant);
  }
  const auto [sink, settings] = worker_.handling(target.target.host, target.target.port, facts_.sni);
  Exchange exchange(sink, worker_.clock(), settings);
  static const rules::RuleBook kNoRules;
  exchange.receive_request(std::move(shown), {}, std::move(target), connection_,
                           head_started_ == MonoTime{} ? worker_.clock().mono() : head_started_, kNoRules);
  exchange.mark(reader_.anomalies());
  const std::string page = exchange.failure_page(complaint.kind, complaint.message);
  exchange.finish();
  if (page.empty()) co_return;
  client_.set_deadline(worker_.clock().mono() + kLinger);
  co_await client_.write_all(page);
  co_await linger();
}

net::Task<bool> Http1Server::serve_setup(const http::RequestHead& head, const Target& target) {
  const auto framing = http::request_framing(head);
  if (!framing || framing->kind != http::Framing::kNone) {
    co_await refuse({FailureKind::kBadRequest, "the set-up page takes no request body"}, &head);
    co_return false;
  }
  (void)reader_.step();  // the end of the message
  const SetupAnswer answer =
      setup_answer(head.method, target.path.empty() ? "/" : target.path, own_address_, *worker_.shared().authority);
  std::string octets;
  http1::append_head(octets, answer.head);
  octets += answer.body;
  hold_rest();
  client_.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
  const Status sent = co_await client_.write_all(octets);
  co_return sent&& http::keeps_alive(head);
}

net::Task<bool> Http1Server::serve(ResolvedTarget& target) {
  const auto handling = worker_.handling(target.target.host, target.target.port, target.target.server_name);
  auto seat = worker_.seats().make<Exchange>(handling.sink, worker_.clock(), handling.settings);
  Exchange& exchange = *seat;
  const rules::RuleBookPtr book = worker_.book();
  exchange.mark(reader_.anomalies());
  if (reader_.anomalies() & http::bit(http::Anomaly::kBareLf)) exchange.forbid_reuse();
  sent_continue_ = continued_ = false;
  request_over_ = reader_.framing().kind == http::Framing::kNone;
  if (request_over_) (void)reader_.step();  // the end of the message
  Exchange::Next next = exchange.receive_request(std::move(reader_.head()), reader_.framing(), std::move(target),
                                                 connection_, head_started_, *book);
  std::string wire;
  BodyShare gathered(worker_.shared().bodies);
  if (next == Exchange::Next::kGather) {
    std::optional<std::string> content;
    if (!co_await gather_request(exchange, gathered, content, wire)) co_return false;
    if (content) wire.clear();
    next = exchange.gathered_request(std::move(content), *book);
  }
  if (const auto delay = exchange.delay(); delay.count() > 0) {
    hold_rest();
    if (!co_await pauses_.wait(delay)) {
      fail_for_client(exchange, "");
      co_return false;
    }
  }
  if (next == Exchange::Next::kHold) {
    const auto decided = co_await hold_request(exchange);
    if (!decided) co_return false;
    next = *decided;
  }
  switch (next) {
    case Exchange::Next::kDrop:
      exchange.finish();
      client_.close();
      co_return false;
    case Exchange::Next::kAbort:
      exchange.finish();
      client_.reset();
      aborted_ = true;
      co_return false;
    case Exchange::Next::kAnswer: {
      const bool whole = co_await discard_request_body(exchange);
      if (exchange.failed()) co_return false;
      co_return co_await answer_and_go_on(exchange, exchange.answer()) && whole;
    }
    case Exchange::Next::kForward:
    case Exchange::Next::kGather:
    case Exchange::Next::kHold:
      break;
  }
  const bool lives = co_await forward(exchange, wire);
  if (upgraded_) upgraded_->exchange = std::move(seat);
  if (lives) {  // the next heads are read into the memory of these
    reader_.reuse(exchange.release_request());
    response_reader_.reuse(exchange.release_response());
  }
  co_return lives;
}

net::Task<bool> Http1Server::answer_and_go_on(Exchange& exchange, std::string octets, bool stays) {
  hold_rest();
  const bool keep = http::keeps_alive(exchange.request()) && (stays || !exchange.failed());
  exchange.finish();
  if (octets.empty()) co_return false;
  client_.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
  const Status sent = co_await client_.write_all(octets);
  co_return sent&& keep;
}

net::Task<bool> Http1Server::forward(Exchange& exchange, Bytes wire_at_hand) {
  const KnownRoute& known = find_route(exchange);
  const bool repeatable = request_over_ && exchange.is_idempotent() && wire_at_hand.empty();
  const bool at_hand = request_over_;  // all of the request, whatever it means
  int challenges = 0;
  flow::UpstreamPtr failed;  // the connection on which it was tried before
  std::unique_ptr<StreamRelay::RequestBody> crossing;
  // A pump that can be slow; what switches protocols is not slowed down.
  const bool by_events = exchange.is_throttled() && !exchange.request().fields.find("upgrade");
  for (;;) {
    std::unique_ptr<OriginEnd> other;  // that HTTP/1's own pump does not know
    if (const auto running = worker_.http2_upstreams().find(known.key, failed.get())) other = running->open();
    UpstreamConnectionPtr upstream;
    if (!other && !failed) upstream = take_idle(known, repeatable ? net::Look::kTold : net::Look::kSocket);
    ConnectFailure failure;
    if (!other && !upstream) upstream = co_await acquire(exchange, known, failure);
    if (upstream && upstream->alpn == "h2")
      other = Http2Upstream::start(worker_, std::move(upstream), co_await net::asio::this_coro::executor)->open();
    else if (upstream && (crossing || by_events))  // its body lies there
      other = http1_origin(worker_, std::move(upstream));
    if (other) {
      if (!crossing) {
        crossing = std::make_unique<StreamRelay::RequestBody>(body_to_cross(exchange, wire_at_hand));
      }
      origin_ = other.get();
      const Result result = co_await cross(exchange, *other, *crossing);
      origin_ = nullptr;
      if (result == Result::kRetry) {
        failed = other->info();
        continue;
      }
      exchange.finish();
      co_return result == Result::kDone;
    }
    if (!upstream) {
      exchange.set_upstream(failure.upstream);
      // What a tool can change is tried again on this connection, if no octets of this request are to come.
      const http::RequestHead& asked = exchange.request();
      const bool stays = is_about_tls_settings(failure.kind) && request_over_ && wire_at_hand.empty() && !draining_ &&
                         asked.version == http::Version::kHttp11 && http::keeps_alive(asked);
      const std::string page = exchange.failure_page(failure.kind, failure.message, stays);
      co_return co_await answer_and_go_on(exchange, page, stays);
    }
    if (upstream->forwarding && !at_hand && !crossing) {
      auto asked = co_await refresh_challenge(worker_, known.route, *upstream->forwarding);
      if (!asked) {
        co_await answer_and_go_on(exchange, exchange.failure_page(asked.error().kind, asked.error().message));
        co_return false;
      }
    }
    if (aborted_) {  // stopped while the origin was dialled: it gets no request any more
      fail_for_client(exchange, "");
      co_return false;
    }
    upstream_ = upstream->stream.get();
    Result result;
    {
      const auto talk = worker_.seats().make<Conversation>(*this, exchange, *upstream, repeatable);
      talk->resendable = at_hand && challenges < kMostChallenges;
      result = send_request(*talk, wire_at_hand) ? co_await relay_answer(*talk) : co_await converse(*talk);
    }
    upstream_ = nullptr;
    if (result == Result::kRetry) {
      if (upstream->forwarding) ++challenges;
      failed = upstream->info;
      continue;
    }
    if (result == Result::kUpgraded) {
      remember_resumption(*upstream);
      upgraded_->upstream = std::move(upstream);
      co_return false;
    }
    release(std::move(upstream), exchange, result);
    co_return result == Result::kDone;
  }
}

// Takes the last octets out of the way so that closing does not destroy an answer that the client has yet to read.
net::Task<void> Http1Server::linger() {
  client_.close_write();
  client_.set_deadline(worker_.clock().mono() + kLinger);
  ByteCount seen = 0;
  while (seen < kLingerAtMost) {
    const tls::IoResult got = client_.read(worker_.sink().read_space(worker_.limits().read_size));
    if (got.status == tls::IoStatus::kOk) {
      seen += got.count;
      continue;
    }
    if (got.status != tls::IoStatus::kWouldBlock) break;
    if (!co_await client_.wait_readable()) break;
  }
}

}  // namespace sluice::proxy

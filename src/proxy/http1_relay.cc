// The second half of Http1Server: octets between one request's client and its origin.
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>

#include "proxy/http1_server.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::chrono::seconds kClientLook{1};  // how often to see whether a waiting client has died
constexpr int kMostInterim = 64;                // 1xx answers before the final one

// While the origin thinks nobody reads the client: this notices a reset without an Asio wait for each request.
class ClientWatch final : net::Deadlines::Node {
 public:
  ClientWatch(Worker& worker, net::Stream& client, Duplex& duplex)
      : Node(worker.deadlines()), worker_(worker), client_(client), duplex_(duplex) {
    set_deadline(worker_.clock().mono() + kClientLook);
  }

 private:
  void on_deadline() override {
    if (client_.is_dead())
      duplex_.client_failed();
    else
      set_deadline(worker_.clock().mono() + kClientLook);
  }
  Worker& worker_;
  net::Stream& client_;
  Duplex& duplex_;
};

bool inside(Bytes whole, Bytes part) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// A piece of the reader's own memory lives only until its next call.
void add_wire(Outbox& out, Bytes fed, Bytes wire) {
  if (inside(fed, wire))
    out.add_view(wire);
  else
    out.add_made(wire);
}

}  // namespace

void Http1Server::fail_for_client(Exchange& exchange, std::string_view message) {
  if (aborted_)
    exchange.fail(FailureKind::kShutdown, "Sluice was stopped before the exchange was over");
  else
    exchange.fail(FailureKind::kClientAborted, message);
}

// With a duplex its deadlines count: while the other direction moves, this one may rest.
net::Task<bool> Http1Server::read_client(Bytes& fed, Duplex* duplex) {
  for (;;) {
    if (duplex && duplex->stopping()) co_return false;
    const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
    const tls::IoResult got = client_.read(space);
    if (got.status == tls::IoStatus::kOk) {
      fed = Bytes(space.data(), got.count);
      reader_.feed(fed);
      co_return true;
    }
    if (got.status != tls::IoStatus::kWouldBlock) co_return false;
    if (duplex)
      duplex->arm();
    else
      client_.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
    const Status ready = client_.read_waits_for() == tls::WaitFor::kRead ? co_await client_.wait_readable()
                                                                         : co_await client_.wait_writable();
    if (!ready) co_return false;
  }
}

// Sends the head with what is at hand, then lets both directions run until the answer is over.
net::Task<Http1Server::Result> Http1Server::converse(Exchange& exchange, UpstreamConnection& upstream,
                                                     Bytes body_at_hand) {
  Duplex duplex(co_await net::asio::this_coro::executor, worker_.clock(), worker_.limits().timeouts, client_,
                *upstream.stream);
  ++upstream.requests;
  Outbox to_origin(worker_.sink(), *upstream.stream);
  to_origin.add_made(exchange.request_octets());
  to_origin.add_made(body_at_hand);
  const bool replayable = request_over_ && exchange.is_idempotent() && body_at_hand.empty();
  bool bad_request = false;
  if (!request_over_) take_request_body(exchange, to_origin, Bytes(), bad_request);
  if (bad_request) {
    upstream.stream->reset();
    co_await answer_and_go_on(exchange, exchange.failure_page(FailureKind::kBadRequest, "malformed request body"));
    co_return Result::kFailed;
  }
  duplex.arm();
  if (!to_origin.try_send() && !to_origin.failed()) {
    hold_rest();
    if (Status sent = co_await to_origin.send_rest(); !sent) duplex.send_failed = true;
  }
  duplex.send_failed |= to_origin.failed();
  exchange.reached(Exchange::Step::kSent);
  duplex.request_sent(request_over_);
  if (duplex.send_failed && replayable && upstream.requests > 1) co_return Result::kRetry;
  hold_rest();  // a pipelined request or early octets of a tunnel: the next read takes the memory that they lie in
  if (!request_over_) {
    duplex.spawn(pump_request(exchange, *upstream.stream, duplex), worker_.shared().on_bug);
  }
  Result result = Result::kFailed;
  std::exception_ptr bug;
  try {
    result = co_await relay_response(exchange, upstream, duplex, replayable);
  } catch (...) {
    bug = std::current_exception();  // not before the pump has let go of all this
  }
  if (duplex.pumping()) {
    // The answer is over and the request is not: wait for its end only if both connections are to live on, and not for
    // a body that the client keeps back until it hears 100.
    if (result != Result::kDone || (exchange.expects_continue() && !continued_)) duplex.stop();
    co_await duplex.join();
  }
  if (bug) std::rethrow_exception(bug);
  const bool whole = request_over_ && !duplex.send_failed;
  if (!whole) exchange.forbid_reuse();  // the origin still waits for the rest of this body
  co_return result == Result::kDone && !whole ? Result::kDoneClose : result;
}

// What of the body is already here, without waiting.
void Http1Server::take_request_body(Exchange& exchange, Outbox& out, Bytes fed, bool& bad_request) {
  for (;;) {
    auto event = reader_.next();
    if (!event) {
      bad_request = true;
      return;
    }
    if (std::holds_alternative<http::NeedMore>(*event)) return;
    if (std::holds_alternative<http::MessageEnd>(*event)) {
      request_over_ = true;
      exchange.request_ended();
      exchange.mark(reader_.anomalies());
      return;
    }
    if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      exchange.request_body(piece->content);
      add_wire(out, fed, piece->wire);
    } else if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
      exchange.request_trailers(trailers->wire);
      add_wire(out, fed, trailers->wire);
    }
  }
}

net::Task<void> Http1Server::pump_request(Exchange& exchange, net::Stream& upstream, Duplex& duplex) {
  Outbox out(worker_.sink(), upstream);
  Bytes fed;
  while (!request_over_ && !duplex.stopping()) {
    bool bad_request = false;
    take_request_body(exchange, out, fed, bad_request);
    if (bad_request) {
      duplex.bad_request = true;
      exchange.fail(FailureKind::kBadRequest, "malformed request body");
      duplex.client_failed();
      co_return;
    }
    if (request_over_) hold_rest();  // a pipelined request
    duplex.arm();
    if (!out.try_send()) {
      hold_rest();
      if (out.failed() || !co_await out.send_rest()) {
        duplex.send_failed = true;  // the origin may have answered all the same
        co_return;
      }
    }
    if (request_over_) break;
    duplex.arm();
    if (!co_await read_client(fed, &duplex)) {
      if (!duplex.stopping()) {
        fail_for_client(exchange, "the client ended in the middle of the request body");
        duplex.client_failed();
      }
      co_return;
    }
  }
  if (request_over_) exchange.reached(Exchange::Step::kSent);
  duplex.request_sent(request_over_);
}

net::Task<Http1Server::Result> Http1Server::relay_response(Exchange& exchange, UpstreamConnection& upstream,
                                                           Duplex& duplex, bool replayable) {
  std::optional<ClientWatch> watch;
  watch.emplace(worker_, client_, duplex);
  http1::ResponseReader& reader = response_reader_;
  reader.forget_rest();
  reader.begin(exchange.sent_method());
  Outbox out(worker_.sink(), client_);
  Bytes fed;
  int interim = 0;
  for (;;) {
    auto event = reader.next();
    if (!event) {
      const bool large = event.error().code == Code::kTooLarge;
      co_return co_await fail_answer(exchange, duplex, large ? FailureKind::kAnswerTooLarge : FailureKind::kBadAnswer,
                                     event.error().message);
    }
    if (auto* head = std::get_if<http::ResponseHead>(&*event)) {
      if (head->is_interim() && head->status != 101) {
        if (++interim > kMostInterim) {
          co_return co_await fail_answer(exchange, duplex, FailureKind::kBadAnswer, "too many interim answers");
        }
        if (head->status == 100) continued_ = true;
        // RFC 9110 §15.2: not to an HTTP/1.0 client; and not a second 100 where Sluice has said it.
        if (exchange.request().version == http::Version::kHttp10 || (sent_continue_ && head->status == 100)) continue;
        out.add_made(exchange.receive_interim(*head));
        continue;
      }
      // RFC 9110 §7.8: only to what the client asked for, and only when its request is over.
      if (head->status == 101 && (!request_over_ || !http::is_upgrade(exchange.request()))) {
        co_return co_await fail_answer(exchange, duplex, FailureKind::kBadAnswer,
                                       "the server switched protocols though the request did not ask for it");
      }
      exchange.reached(Exchange::Step::kResponseHead);
      exchange.mark(reader.anomalies());
      if (reader.anomalies() & http::bit(http::Anomaly::kBareLf)) exchange.forbid_reuse();
      const Exchange::ResponsePlan plan =
          exchange.receive_response(std::move(*head), reader.framing(), upstream.info, upstream.requests > 1);
      if (exchange.response_status() == 101) {
        watch.reset();  // in a tunnel both directions end on their own
        co_return co_await tunnel(exchange, *upstream.stream, reader.take_rest());
      }
      if (plan.gather) co_return co_await gather_response(exchange, upstream, reader, plan, out, duplex);
      const Bytes wire = plan.head_changed ? Bytes() : reader.head_wire();
      if (wire.empty())
        out.add_made(exchange.response_octets());
      else
        add_wire(out, fed, wire);
      co_return co_await relay_response_body(exchange, upstream, reader, plan, out, duplex, fed);
    }
    if (!out.empty() && !out.try_send() && !co_await out.send_rest()) {
      fail_for_client(exchange, "the client went away before the answer");
      co_return Result::kFailed;
    }
    const Read read = co_await read_upstream(*upstream.stream, duplex, fed);
    if (read == Read::kOctets) {
      if (!duplex.answering) exchange.reached(Exchange::Step::kFirstByte);
      duplex.answering = true;
      reader.feed(fed);
      continue;
    }
    if (duplex.bad_request) {
      co_return co_await fail_answer(exchange, duplex, FailureKind::kBadRequest, "malformed request body");
    }
    if (duplex.has_client_failed() || aborted_) {
      fail_for_client(exchange, "the client went away before the answer");
      co_return Result::kFailed;
    }
    if (read == Read::kTimeout) {
      co_return co_await fail_answer(exchange, duplex, FailureKind::kFirstByteTimeout,
                                     "the server did not answer in time");
    }
    if (!duplex.answering && replayable && upstream.requests > 1) co_return Result::kRetry;
    if (const auto refused = duplex.answering ? std::nullopt : refused_afterwards(upstream)) {
      co_return co_await fail_answer(exchange, duplex, refused->kind, refused->message);
    }
    co_return co_await fail_answer(exchange, duplex, FailureKind::kUpstreamClosed,
                                   duplex.answering
                                       ? "the server ended the connection in the middle of the answer's head"
                                       : "the server ended the connection without an answer");
  }
}

net::Task<Http1Server::Result> Http1Server::fail_answer(Exchange& exchange, Duplex& duplex, FailureKind kind,
                                                        std::string message) {
  if (duplex.pumping()) {  // nothing may be recorded after the end
    duplex.stop();
    co_await duplex.join();
  }
  co_await answer_and_go_on(exchange, exchange.failure_page(kind, message));
  co_return Result::kFailed;
}

net::Task<Http1Server::Read> Http1Server::read_upstream(net::Stream& upstream, Duplex& duplex, Bytes& fed) {
  for (;;) {
    const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
    const tls::IoResult got = upstream.read(space);
    switch (got.status) {
      case tls::IoStatus::kOk:
        fed = Bytes(space.data(), got.count);
        co_return Read::kOctets;
      case tls::IoStatus::kEof:
        co_return Read::kEnd;
      case tls::IoStatus::kTruncated:
        co_return Read::kTruncated;
      case tls::IoStatus::kError:
        co_return Read::kError;
      case tls::IoStatus::kWouldBlock:
        break;
    }
    if (duplex.has_client_failed() || aborted_) co_return Read::kError;
    duplex.arm();
    const Status ready = upstream.read_waits_for() == tls::WaitFor::kRead ? co_await upstream.wait_readable()
                                                                          : co_await upstream.wait_writable();
    if (!ready && ready.error().code == Code::kTimeout) {
      if (duplex.still_active()) continue;
      co_return Read::kTimeout;
    }
    if (!ready) co_return Read::kError;
  }
}

net::Task<Http1Server::Result> Http1Server::relay_response_body(Exchange& exchange, UpstreamConnection& upstream,
                                                                http1::ResponseReader& reader,
                                                                Exchange::ResponsePlan plan, Outbox& out,
                                                                Duplex& duplex, Bytes fed) {
  for (;;) {
    auto event = reader.next();
    if (!event) {
      exchange.fail(FailureKind::kBadAnswer, event.error().message);
      client_.reset();
      co_return Result::kFailed;
    }
    if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      if (plan.drop_body) continue;
      exchange.response_body(piece->content);
      add_wire(out, fed, piece->wire);
      continue;
    }
    if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
      if (plan.drop_body) continue;
      exchange.response_trailers(trailers->wire);
      add_wire(out, fed, trailers->wire);
      continue;
    }
    const bool over = std::holds_alternative<http::MessageEnd>(*event);
    if (!out.try_send()) {
      duplex.arm();
      if (out.failed() || !co_await out.send_rest()) {
        fail_for_client(exchange, "the client went away in the middle of the answer");
        co_return Result::kFailed;
      }
    }
    if (over) co_return end_of_answer(exchange, reader, plan);

    const Read read = co_await read_upstream(*upstream.stream, duplex, fed);
    if (read == Read::kOctets) {
      reader.feed(fed);
      continue;
    }
    if (read == Read::kTruncated) exchange.mark(http::Anomaly::kTruncatedTls);
    if (read == Read::kEnd || read == Read::kTruncated) {
      auto ended = reader.finish();
      if (ended) co_return end_of_answer(exchange, reader, plan);
    }
    // engine.md 4: a body shorter than announced is cut for the client as well, never a clean end.
    const bool client_left = aborted_ || duplex.has_client_failed() || client_.is_dead();
    if (!client_left) exchange.mark(http::Anomaly::kTruncatedBody);
    if (client_left)
      fail_for_client(exchange, "the client went away in the middle of the answer");
    else if (read == Read::kTimeout)
      exchange.fail(FailureKind::kIdleTimeout, "the server stopped sending");
    else
      exchange.fail(FailureKind::kBodyCut, "the server ended the connection before the end of the answer");
    client_.reset();
    co_return Result::kFailed;
  }
}

Http1Server::Result Http1Server::end_of_answer(Exchange& exchange, http1::ResponseReader& reader,
                                               const Exchange::ResponsePlan& plan) {
  exchange.response_ended();
  exchange.mark(reader.anomalies());
  if (reader.has_rest()) {
    exchange.mark(http::Anomaly::kExtraBytes);
    exchange.forbid_reuse();
  }
  return plan.client_lives ? Result::kDone : Result::kDoneClose;
}

}  // namespace sluice::proxy

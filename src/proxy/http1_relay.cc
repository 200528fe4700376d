// The second half of Http1Server: octets between one request's client and its origin.
#include <boost/asio/this_coro.hpp>
#include <exception>

#include "proxy/http1_conversation.h"

namespace sluice::proxy {
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
      client_.set_deadline(worker_.deadlines().in(worker_.limits().timeouts.idle));
    if (!co_await wait_for_more(client_)) co_return false;
  }
}

// The request as far as it is at hand. True if that was all of it and all of it was sent: only the answer is left.
bool Http1Server::send_request(Conversation& talk, Bytes body_at_hand) {
  ++talk.upstream.requests;
  response_reader_.forget_rest();
  response_reader_.begin(talk.exchange.sent_method());
  if (talk.upstream.forwarding)
    talk.to_origin.add_made(
        talk.upstream.forwarding->request_of(talk.exchange.request_octets(), worker_.shared().entropy));
  else
    talk.to_origin.add_view(talk.exchange.request_octets());
  if (!body_at_hand.empty()) talk.to_origin.add_made(body_at_hand);
  if (!request_over_) talk.bad_request = !take_request_body(talk.exchange, talk.to_origin, Bytes());
  if (talk.bad_request || !talk.to_origin.try_send() || !request_over_) return false;
  talk.exchange.reached(Exchange::Step::kSent);
  talk.duplex.request_sent(true);
  hold_rest();  // a pipelined request: the next read takes the memory that it lies in
  return true;
}

// What send_request() could not do at once: waits for the origin to take the request, and lets both directions run
// until the answer is over.
net::Task<Http1Server::Result> Http1Server::converse(Conversation& talk) {
  Exchange& exchange = talk.exchange;
  Duplex& duplex = talk.duplex;
  net::Stream& upstream = *talk.upstream.stream;
  if (talk.bad_request) {
    upstream.reset();
    co_await answer_and_go_on(exchange, exchange.failure_page(FailureKind::kBadRequest, "malformed request body"));
    co_return Result::kFailed;
  }
  duplex.arm();
  hold_rest();  // a pipelined request or early octets of a tunnel: the next read takes the memory that they lie in
  duplex.send_failed = talk.to_origin.failed() || !co_await talk.to_origin.send_rest(&duplex);
  exchange.reached(Exchange::Step::kSent);
  duplex.request_sent(request_over_);
  if (duplex.send_failed && talk.repeatable && talk.upstream.requests > 1) co_return Result::kRetry;
  if (!request_over_) {
    duplex.spawn(co_await net::asio::this_coro::executor, pump_request(exchange, upstream, duplex),
                 worker_.shared().on_bug);
  }
  Result result = Result::kFailed;
  std::exception_ptr bug;
  try {
    result = co_await relay_answer(talk);
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

// What of the body is already here, without waiting. False: it cannot be read.
bool Http1Server::take_request_body(Exchange& exchange, Outbox& out, Bytes fed) {
  for (;;) {
    const auto step = reader_.step();
    if (!step) return false;
    switch (*step) {
      case http1::Step::kNeedMore:
      case http1::Step::kHead:
        return true;
      case http1::Step::kPiece:
        exchange.request_body(reader_.piece().content);
        out.add_wire(fed, reader_.piece().wire);
        break;
      case http1::Step::kTrailers: {
        const http::Trailers trailers = reader_.take_trailers();
        exchange.request_trailers(trailers.wire);
        out.add_wire(fed, trailers.wire);
        break;
      }
      case http1::Step::kEnd:
        request_over_ = true;
        exchange.request_ended();
        exchange.mark(reader_.anomalies());
        return true;
    }
  }
}

net::Task<void> Http1Server::pump_request(Exchange& exchange, net::Stream& upstream, Duplex& duplex) {
  Outbox out(worker_.sink(), upstream);
  Bytes fed;
  while (!request_over_ && !duplex.stopping()) {
    if (!take_request_body(exchange, out, fed)) {
      duplex.bad_request = true;
      exchange.fail(FailureKind::kBadRequest, "malformed request body");
      duplex.client_failed();
      co_return;
    }
    if (request_over_) hold_rest();  // a pipelined request
    duplex.arm();
    if (!out.try_send()) {
      hold_rest();
      if (out.failed() || !co_await out.send_rest(&duplex)) {
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

}  // namespace sluice::proxy

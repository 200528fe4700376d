// The answer's way to the client: the third part of Http1Server.
#include "proxy/http1_conversation.h"

namespace sluice::proxy {
namespace {

constexpr int kMostInterim = 64;  // 1xx answers before the final one

}  // namespace

// One coroutine for all of an answer. Waits for the origin stand here and not in read_upstream(), since nearly every
// answer has one.
net::Task<Http1Server::Result> Http1Server::relay_answer(Conversation& talk) {
  for (;;) {
    const Answer found = take_answer(talk);
    switch (found) {
      case Answer::kMore:
      case Answer::kWhole:
        break;
      case Answer::kGather:
        co_return co_await gather_response(talk);
      case Answer::kHold:
        co_return co_await hold_answer(talk, nullptr, "");
      case Answer::kTunnel:
        talk.watch.reset();  // in a tunnel both directions end on their own
        upgraded_ = std::make_unique<Upgraded>();
        upgraded_->early = response_reader_.take_rest();
        upgraded_->client_early = reader_.take_rest();
        upgraded_->for_requests = std::make_unique<Upgraded::ForRequests>(facts_, connection_, own_address_);
        co_return Result::kUpgraded;
      case Answer::kAgain:
        co_return Result::kRetry;
      case Answer::kBad:
        co_return co_await fail_answer(talk, talk.complaint.kind, talk.complaint.message);
    }
    if (!talk.to_client.empty() && !talk.to_client.try_send() &&
        (talk.to_client.failed() || !co_await talk.to_client.send_rest(&talk.duplex))) {
      fail_for_client(talk.exchange, talk.in_body ? "the client went away in the middle of the answer"
                                                  : "the client went away before the answer");
      co_return Result::kFailed;
    }
    if (found == Answer::kWhole) co_return end_of_answer(talk);
    Read read = read_now(talk);
    while (read == Read::kWait) {
      const Status ready = co_await wait_for_more(*talk.upstream.stream);
      read = after_wait(talk, ready);
    }
    if (read != Read::kOctets) co_return co_await answer_stopped(talk, read);
  }
}

// Takes what is at hand of the answer and lays out what goes to the client.
Http1Server::Answer Http1Server::take_answer(Conversation& talk) {
  http1::ResponseReader& reader = response_reader_;
  for (;;) {
    const auto step = reader.step();
    if (!step) {
      const bool large = !talk.in_body && step.error().code == Code::kTooLarge;
      talk.complaint = {large ? FailureKind::kAnswerTooLarge : FailureKind::kBadAnswer, step.error().message};
      return Answer::kBad;
    }
    switch (*step) {
      case http1::Step::kNeedMore:
        return Answer::kMore;
      case http1::Step::kHead:
        if (const Answer found = take_head(talk); found != Answer::kMore) return found;
        break;
      case http1::Step::kPiece:
        if (talk.plan.drop_body) break;
        talk.exchange.response_body(reader.piece().content);
        talk.to_client.add_wire(talk.fed, reader.piece().wire);
        break;
      case http1::Step::kTrailers: {
        const http::Trailers trailers = reader.take_trailers();
        if (talk.plan.drop_body) break;
        talk.exchange.response_trailers(trailers.wire);
        talk.to_client.add_wire(talk.fed, trailers.wire);
        break;
      }
      case http1::Step::kEnd:
        return Answer::kWhole;
    }
  }
}

Http1Server::Answer Http1Server::take_head(Conversation& talk) {
  Exchange& exchange = talk.exchange;
  http1::ResponseReader& reader = response_reader_;
  http::ResponseHead& head = reader.head();
  if (head.is_interim() && head.status != 101) {
    if (++talk.interim > kMostInterim) {
      talk.complaint = {FailureKind::kBadAnswer, "too many interim answers"};
      return Answer::kBad;
    }
    if (head.status == 100) continued_ = true;
    // RFC 9110 §15.2: not to an HTTP/1.0 client; and not a second 100 where Sluice has said it.
    const bool unwanted =
        exchange.request().version == http::Version::kHttp10 || (sent_continue_ && head.status == 100);
    if (!unwanted) talk.to_client.add_made(exchange.receive_interim(head));
    return Answer::kMore;
  }
  if (std::string why;
      talk.upstream.forwarding && talk.upstream.forwarding->is_challenge(head.status, head.fields, why)) {
    if (why.empty() && talk.resendable) return Answer::kAgain;
    if (why.empty()) why = refused_credentials(*talk.upstream.forwarding->proxy, connect::ProxyAuth::Verdict::kRetry);
    talk.complaint = {FailureKind::kUpstreamProxyAuth, std::move(why)};
    return Answer::kBad;
  }
  // RFC 9110 §7.8: only to what the client asked for, and only when its request is over.
  if (head.status == 101 && (!request_over_ || !http::is_upgrade(exchange.request()))) {
    talk.complaint = {FailureKind::kBadAnswer, "the server switched protocols though the request did not ask for it"};
    return Answer::kBad;
  }
  exchange.reached(Exchange::Step::kResponseHead, talk.read_at);
  exchange.mark(reader.anomalies());
  if (reader.anomalies() & http::bit(http::Anomaly::kBareLf)) exchange.forbid_reuse();
  talk.plan =
      exchange.receive_response(std::move(head), reader.framing(), talk.upstream.info, talk.upstream.requests > 1);
  if (exchange.response_status() == 101) return Answer::kTunnel;
  if (talk.plan.gather) return Answer::kGather;
  if (talk.plan.hold) return Answer::kHold;
  talk.in_body = true;
  const Bytes wire = talk.plan.head_changed ? Bytes() : reader.head_wire();
  if (wire.empty())
    talk.to_client.add_made(exchange.response_octets());
  else
    talk.to_client.add_wire(talk.fed, wire);
  return Answer::kMore;
}

// One read of the answer, fed to its reader. kWait: nothing is there, and the deadlines are set.
Http1Server::Read Http1Server::read_now(Conversation& talk) {
  const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
  const tls::IoResult got = talk.upstream.stream->read(space);
  switch (got.status) {
    case tls::IoStatus::kOk:
      if (!talk.in_body) {
        talk.read_at = worker_.clock().mono();
        if (!talk.duplex.answering) talk.exchange.reached(Exchange::Step::kFirstByte, talk.read_at);
      }
      talk.duplex.answering = true;
      talk.fed = Bytes(space.data(), got.count);
      response_reader_.feed(talk.fed);
      return Read::kOctets;
    case tls::IoStatus::kEof:
      return Read::kEnd;
    case tls::IoStatus::kTruncated:
      return Read::kTruncated;
    case tls::IoStatus::kError:
      return Read::kError;
    case tls::IoStatus::kWouldBlock:
      break;
  }
  if (talk.duplex.has_client_failed() || aborted_) return Read::kError;
  talk.duplex.in_head(!talk.in_body && response_reader_.in_head());
  talk.duplex.arm();
  return Read::kWait;
}

Http1Server::Read Http1Server::after_wait(Conversation& talk, const Status& ready) {
  if (ready) return read_now(talk);
  if (ready.error().code != Code::kTimeout) return Read::kError;
  return talk.duplex.still_active() ? read_now(talk) : Read::kTimeout;
}

net::Task<Http1Server::Read> Http1Server::read_upstream(Conversation& talk) {
  Read read = read_now(talk);
  while (read == Read::kWait) {
    const Status ready = co_await wait_for_more(*talk.upstream.stream);
    read = after_wait(talk, ready);
  }
  co_return read;
}

// The origin has said all it will say.
net::Task<Http1Server::Result> Http1Server::answer_stopped(Conversation& talk, Read how) {
  Exchange& exchange = talk.exchange;
  const bool answering = talk.duplex.answering;
  if (!talk.in_body) {
    if (talk.duplex.bad_request) {
      co_return co_await fail_answer(talk, FailureKind::kBadRequest, "malformed request body");
    }
    if (talk.duplex.has_client_failed() || aborted_) {
      fail_for_client(exchange, "the client went away before the answer");
      co_return Result::kFailed;
    }
    if (how == Read::kTimeout && !talk.duplex.request_over()) {
      co_return co_await fail_answer(talk, FailureKind::kIdleTimeout,
                                     "the body of the request stopped, and no answer came");
    }
    if (how == Read::kTimeout) {
      co_return co_await fail_answer(talk, FailureKind::kFirstByteTimeout, "the server did not answer in time");
    }
    if (const auto refused = answering ? std::nullopt : refused_afterwards(talk.upstream)) {
      co_return co_await fail_answer(talk, refused->kind, refused->message);
    }
    if (!answering && talk.repeatable && talk.upstream.requests > 1) co_return Result::kRetry;
    co_return co_await fail_answer(talk, FailureKind::kUpstreamClosed,
                                   answering ? "the server ended the connection in the middle of the answer's head"
                                             : "the server ended the connection without an answer");
  }
  if (how == Read::kTruncated) exchange.mark(http::Anomaly::kTruncatedTls);
  if ((how == Read::kEnd || how == Read::kTruncated) && response_reader_.finish()) co_return end_of_answer(talk);
  // engine.md 4: a body shorter than announced is cut for the client as well, never a clean end.
  const bool client_left = aborted_ || talk.duplex.has_client_failed() || client_.is_dead();
  if (!client_left) exchange.mark(http::Anomaly::kTruncatedBody);
  if (client_left)
    fail_for_client(exchange, "the client went away in the middle of the answer");
  else if (how == Read::kTimeout)
    exchange.fail(FailureKind::kIdleTimeout, "the server stopped sending");
  else
    exchange.fail(FailureKind::kBodyCut, "the server ended the connection before the end of the answer");
  client_.reset();
  co_return Result::kFailed;
}

// An answer that cannot be read: a page while nothing of it was sent, else the client's connection is cut.
net::Task<Http1Server::Result> Http1Server::fail_answer(Conversation& talk, FailureKind kind, std::string message) {
  if (talk.in_body) {
    talk.exchange.fail(kind, message);
    client_.reset();
    co_return Result::kFailed;
  }
  if (talk.duplex.pumping()) {  // nothing may be recorded after the end
    talk.duplex.stop();
    co_await talk.duplex.join();
  }
  co_await answer_and_go_on(talk.exchange, talk.exchange.failure_page(kind, message));
  co_return Result::kFailed;
}

Http1Server::Result Http1Server::end_of_answer(Conversation& talk) {
  talk.exchange.response_ended();
  talk.exchange.mark(response_reader_.anomalies());
  if (response_reader_.has_rest()) {
    talk.exchange.mark(http::Anomaly::kExtraBytes);
    talk.exchange.forbid_reuse();
  }
  return talk.plan.client_lives ? Result::kDone : Result::kDoneClose;
}

}  // namespace sluice::proxy

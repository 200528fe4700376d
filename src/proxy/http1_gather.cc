// Bodies that a rule needs whole, or that nobody needs: the third part of Http1Server.
#include "proxy/http1_conversation.h"

namespace sluice::proxy {
namespace {

constexpr ByteCount kWireForOne = 2;            // octets on the wire for one gathered octet of content, at most
constexpr ByteCount kDiscardAtMost = 8 * kMiB;  // of a request body that nobody wants
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

net::Task<bool> Http1Server::gather_request(Exchange& exchange, BodyShare& share, std::optional<std::string>& content,
                                            std::string& wire) {
  const ByteCount limit = worker_.exchange_settings().rule_body;
  std::string gathered;
  Bytes fed;
  if (exchange.expects_continue() && !reader_.has_rest()) {  // engine.md 4: Sluice itself says 100
    sent_continue_ = continued_ = true;
    client_.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
    if (!co_await client_.write_all(kContinue)) {
      exchange.fail(FailureKind::kClientAborted, "the client went away before its request body");
      co_return false;
    }
  }
  for (;;) {
    auto event = reader_.next();
    if (!event) {
      co_await answer_and_go_on(exchange, exchange.failure_page(FailureKind::kBadRequest, event.error().message));
      co_return false;
    }
    if (std::holds_alternative<http::MessageEnd>(*event)) {
      exchange.request_ended();
      exchange.mark(reader_.anomalies());
      request_over_ = true;
      content = std::move(gathered);
      co_return true;
    }
    if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      exchange.request_body(piece->content);
      gathered += piece->content;
      wire += piece->wire;
      // On the wire too: chunks of one octet may have lines of kilobytes. Content stays absent: too large.
      const bool room = share.take(piece->content.size() + piece->wire.size());
      if (!room || gathered.size() > limit || wire.size() > kWireForOne * limit) co_return true;
    } else if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
      exchange.request_trailers(trailers->wire);
      wire += trailers->wire;
    } else if (!co_await read_client(fed, nullptr)) {
      fail_for_client(exchange, "the client ended in the middle of the request body");
      co_return false;
    }
  }
}

net::Task<bool> Http1Server::discard_request_body(Exchange& exchange) {
  ByteCount seen = 0;
  Bytes fed;
  while (!request_over_) {
    // RFC 9110 §10.1.1: a final answer instead of 100; the client will not send the body.
    if (exchange.expects_continue() && !sent_continue_ && !reader_.has_rest()) co_return false;
    auto event = reader_.next();
    if (!event) {
      co_await answer_and_go_on(exchange, exchange.failure_page(FailureKind::kBadRequest, event.error().message));
      co_return false;
    }
    if (std::holds_alternative<http::MessageEnd>(*event)) {
      exchange.request_ended();
      exchange.mark(reader_.anomalies());
      request_over_ = true;
    } else if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      exchange.request_body(piece->content);
      if ((seen += piece->content.size()) > kDiscardAtMost) co_return false;
    } else if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
      exchange.request_trailers(trailers->wire);
    } else if (!co_await read_client(fed, nullptr)) {
      fail_for_client(exchange, "the client ended in the middle of the request body");
      co_return false;
    }
  }
  co_return true;
}

net::Task<Http1Server::Result> Http1Server::gather_response(Conversation& talk) {
  Exchange& exchange = talk.exchange;
  http1::ResponseReader& reader = response_reader_;
  std::string content, wire;
  bool whole = false, room = true;
  BodyShare share(worker_.shared().bodies);
  const ByteCount limit = worker_.exchange_settings().rule_body;
  while (!whole && room && content.size() <= limit && wire.size() <= kWireForOne * limit) {
    auto event = reader.next();
    if (!event) co_return co_await fail_answer(talk, FailureKind::kBadAnswer, event.error().message);
    if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      content += piece->content;
      wire += piece->wire;
      room = share.take(piece->content.size() + piece->wire.size());
    } else if (auto* trailers = std::get_if<http::Trailers>(&*event)) {
      exchange.response_trailers(trailers->wire);
      wire += trailers->wire;
    } else if (std::holds_alternative<http::MessageEnd>(*event)) {
      whole = true;
    } else {
      const Read read = co_await read_upstream(talk);
      if (read == Read::kOctets) continue;
      whole = (read == Read::kEnd || read == Read::kTruncated) && reader.finish().has_value();
      if (whole) continue;
      if (aborted_ || exchange.failed() || client_.is_dead()) {
        fail_for_client(exchange, "the client went away before the answer");
        co_return Result::kFailed;
      }
      if (read == Read::kTimeout) {
        co_return co_await fail_answer(talk, FailureKind::kIdleTimeout, "the server stopped sending");
      }
      co_return co_await fail_answer(talk, FailureKind::kBodyCut, "the answer was cut while a rule gathered it");
    }
  }
  if (whole)
    exchange.gathered_response(std::move(content));
  else
    exchange.gathered_response(std::nullopt);
  if (talk.plan.hold) {
    if (!whole) exchange.response_body(content);
    std::string().swap(content);
    co_return co_await hold_answer(talk, &share, std::move(wire));
  }
  if (whole) co_return co_await send_gathered(talk);
  talk.in_body = true;
  exchange.response_body(content);
  talk.to_client.add_made(exchange.response_octets());
  talk.to_client.add_made(wire);
  std::string().swap(content);  // it may go on for hours
  std::string().swap(wire);
  share.give_back();
  co_return co_await relay_answer(talk);
}

net::Task<Http1Server::Result> Http1Server::send_gathered(Conversation& talk) {
  talk.in_body = true;
  // The length is known now; a body until close no longer costs the client its connection.
  talk.plan.client_lives |=
      talk.plan.framing.kind == http::Framing::kUntilClose && http::keeps_alive(talk.exchange.request());
  talk.to_client.add_made(talk.exchange.response_octets());
  if (!co_await talk.to_client.send_rest(&talk.duplex)) {
    fail_for_client(talk.exchange, "the client went away in the middle of the answer");
    co_return Result::kFailed;
  }
  co_return end_of_answer(talk);
}

}  // namespace sluice::proxy

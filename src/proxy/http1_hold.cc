// Breakpoints on the exchanges of an HTTP/1 client: a part of Http1Server. engine.md 6; holds.h.
#include "proxy/http1_conversation.h"

namespace sluice::proxy {

net::Task<std::optional<Exchange::Next>> Http1Server::hold_request(Exchange& exchange) {
  hold_rest();
  co_return co_await holding_.hold_request(exchange, [this] { return client_.has_ended(); });
}

net::Task<Http1Server::Result> Http1Server::hold_answer(Conversation& talk, BodyShare* share, std::string begun) {
  Exchange& exchange = talk.exchange;
  talk.kept = response_reader_.take_rest();
  response_reader_.feed(talk.kept);
  talk.fed = talk.kept;
  hold_rest();
  const bool whole = exchange.answer_is_at_hand();
  const auto after = co_await holding_.hold_response(exchange, [this] { return client_.has_ended(); });
  if (after == Exchange::AfterHold::kAbort) {
    client_.reset();
    aborted_ = true;
    co_return Result::kFailed;
  }
  if (!after || *after == Exchange::AfterHold::kDrop) {
    if (after) client_.close();
    co_return Result::kFailed;
  }
  if (whole) co_return co_await send_gathered(talk);
  if (*after == Exchange::AfterHold::kOwn) co_return co_await replace_answer(talk);
  talk.in_body = true;
  talk.to_client.add_made(exchange.response_octets());
  talk.to_client.add_made(begun);
  std::string().swap(begun);
  if (share) share->give_back();
  co_return co_await relay_answer(talk);
}

// The rest of the origin's answer is of no use: neither connection can carry another exchange.
net::Task<Http1Server::Result> Http1Server::replace_answer(Conversation& talk) {
  if (talk.duplex.pumping()) {  // nothing may be recorded after the end
    talk.duplex.stop();
    co_await talk.duplex.join();
  }
  co_await answer_and_go_on(talk.exchange, talk.exchange.response_octets());
  co_return Result::kFailed;
}

}  // namespace sluice::proxy

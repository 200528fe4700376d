// Answers that a rule needs whole, or holds: a part of StreamRelay.
#include "http/translate.h"
#include "proxy/stream_relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr std::uint32_t kCancel = 8;         // RFC 9113 §7
constexpr std::uint32_t kInternalError = 2;  // RFC 9113 §7

}  // namespace

net::Task<StreamRelay::Result> StreamRelay::gather_answer(const Exchange::ResponsePlan& plan) {
  const ByteCount limit = worker_.exchange_settings().rule_body;
  std::string content;
  for (;;) {
    arm();
    BodyRead read = co_await origin_->read_body();
    if (read.step == BodyStep::kContent) {
      content += read.content.octets();
      if (gathered_.take(read.content.octets().size()) && content.size() <= limit) continue;
      exchange_.gathered_response(std::nullopt);  // it goes on as it stands
      exchange_.response_body(content);
      if (plan.hold) co_return co_await hold_answer(plan, std::move(content), std::nullopt);
      client_.offer_head(exchange_.response(), true);
      client_.offer(Bytes(content));
      if (!co_await room(client_)) co_return client_left();
      std::string().swap(content);  // it may go on for hours
      gathered_.give_back();
      co_return co_await relay_body(plan.drop_body);
    }
    if (read.step == BodyStep::kEnd) {
      if (read.failure.truncated) exchange_.mark(http::Anomaly::kTruncatedTls);
      if (read.trailers) exchange_.response_trailers(http::section_text(*read.trailers));
      exchange_.gathered_response(std::move(content));
      if (plan.hold) co_return co_await hold_answer(plan, "", std::move(read.trailers));
      co_return co_await send_gathered(read.trailers ? &*read.trailers : nullptr);
    }
    if (client_gone_) co_return client_left();
    if (read.failure.cause == EndFailure::Cause::kTimeout) {
      if (still_active()) continue;
      co_return co_await fail_answer(FailureKind::kIdleTimeout, "the server stopped sending");
    }
    co_return co_await fail_answer(FailureKind::kBodyCut, "the answer was cut while a rule gathered it");
  }
}

net::Task<StreamRelay::Result> StreamRelay::send_gathered(const http::FieldList* trailers) {
  const Bytes made = exchange_.made_body(exchange_.response_octets());
  client_.offer_head(exchange_.response(), !made.empty());
  if (!made.empty()) {
    client_.offer(Bytes(made));
    client_.offer_end(trailers);
  }
  if (!co_await room(client_)) co_return client_left();
  co_return Result::kDone;
}

net::Task<StreamRelay::Result> StreamRelay::hold_answer(const Exchange::ResponsePlan& plan, std::string begun,
                                                        std::optional<http::FieldList> trailers) {
  const bool whole = exchange_.answer_is_at_hand();
  const auto after = co_await holding_.hold_response(exchange_, [this] { return client_gone_ || client_.has_left(); });
  if (!after || *after == Exchange::AfterHold::kDrop || *after == Exchange::AfterHold::kAbort) {
    stop_request();
    co_await join_request();
    if (!whole) origin_->cut(kCancel);
    client_.cut(after ? kInternalError : kCancel);  // as by a rule that drops
    co_return Result::kFailed;
  }
  if (*after == Exchange::AfterHold::kOwn) {
    if (!whole) {  // nothing more of it is of use
      stop_request();
      co_await join_request();
      origin_->cut(kCancel);
    }
    co_return co_await send_gathered(nullptr);
  }
  if (whole) co_return co_await send_gathered(trailers ? &*trailers : nullptr);
  const bool content = plan.framing.kind != http::Framing::kNone;
  client_.offer_head(exchange_.response(), content && !plan.drop_body);
  if (!begun.empty() && !plan.drop_body) client_.offer(Bytes(begun));
  if (!co_await room(client_)) co_return client_left();
  std::string().swap(begun);
  gathered_.give_back();
  co_return co_await relay_body(plan.drop_body);
}

}  // namespace sluice::proxy
